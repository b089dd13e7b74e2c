/** `headgate serve`: opens the repositories, listens, and stops without losing anything. */
import { existsSync, realpathSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { createAdaptorServer } from '@hono/node-server'
import pino, { type Logger } from 'pino'
import { HeadgateError } from '../src/core/errors.ts'
import { requireServable, ServedRepository } from './served-repository.ts'
import { type Health, hookService } from './service.ts'
import { SERVER_DIRECTORY } from './settings.ts'
import { listenOn } from './socket.ts'

export type ServeOptions = {
  /** Bare repositories with headgate installed. */
  readonly repositories: readonly string[]
  /** Absolute path of the socket; without it `headgate/socket` in the first repository. */
  readonly socket: string | undefined
  readonly logLevel: string
}

/** How long running decisions and moves get when the service is told to stop. */
const STOP_MS = 10_000
/** A request is a few hundred bytes from the same machine, which may be busy. */
const REQUEST_MS = 30_000

/**
 * Serves until SIGTERM or SIGINT; SIGHUP opens everything anew. Logs JSON lines to standard output. Resolves when it has
 * stopped. Throws HeadgateError 'configuration' if none of the repositories can be served or the socket can't be had.
 */
export async function serve(options: ServeOptions): Promise<void> {
  // What a decision leaves behind is collected early: V8 would let it grow to twice as much as all that is in use.
  setFlagsFromString('--optimize-for-size')
  const log = pino({ level: options.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime })
  const repositories = new Map<string, ServedRepository>()
  const problems = new Map<string, string>()
  for (const path of options.repositories) {
    try {
      if (!existsSync(path)) throw new HeadgateError('configuration', `there is no ${path}`)
      const repository = new ServedRepository(realpathSync(path), Date.now)
      await requireServable(repository)
      repositories.set(repository.path, repository)
    } catch (error) {
      problems.set(path, (error as Error).message)
      log.error({ repository: path, reason: (error as Error).message }, 'not served')
    }
  }
  const [first] = repositories.values()
  if (first === undefined) {
    throw new HeadgateError('configuration', [...problems.values()].join('\n') || 'no repository to serve', {
      hint: 'name bare repositories with headgate installed: headgate serve /srv/git/app.git',
    })
  }
  const socket = options.socket ?? join(first.path, SERVER_DIRECTORY, 'socket')
  const health = () => healthOf(repositories, problems)
  const app = hookService((path) => repositories.get(path), health, log)
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      connectionsCheckingInterval: 1000,
    },
  }) as Server
  const stopped = untilStopped(() => reload(repositories, socket, log), log)
  await listenOn(server, socket)
  await reload(repositories, socket, log)
  log.info({ socket, repositories: repositories.size, pid: process.pid }, 'serving')
  await stopped
  await stop(server, repositories, socket, log)
}

/** Settles and looks at every repository before its hooks are told to ask here. */
async function reload(
  repositories: ReadonlyMap<string, ServedRepository>,
  socket: string,
  log: Logger,
): Promise<void> {
  for (const repository of repositories.values()) {
    const about = { repository: repository.path }
    try {
      repository.close()
      const { seq, drift } = await repository.check()
      if (drift === null) log.info({ ...about, records: seq }, 'ready')
      else log.error({ ...about, records: seq, reason: drift }, 'drift')
    } catch (error) {
      // Its hooks ask all the same: the reason may be gone by then, and they hear it if it isn't.
      log.error({ ...about, reason: (error as Error).message }, 'not ready')
    }
    try {
      repository.announce(socket)
    } catch (error) {
      log.error({ ...about, reason: (error as Error).message }, 'the hooks cannot be told of the service')
    }
  }
}

async function healthOf(
  repositories: ReadonlyMap<string, ServedRepository>,
  problems: ReadonlyMap<string, string>,
): Promise<Health> {
  const found = await Promise.all(
    [...repositories.values()].map(async (repository) => {
      try {
        const { seq, drift } = await repository.check()
        return { path: repository.path, records: seq, problem: drift }
      } catch (error) {
        return { path: repository.path, records: null, problem: (error as Error).message }
      }
    }),
  )
  const unserved = [...problems].map(([path, problem]) => ({ path, records: null, problem }))
  const all = [...found, ...unserved]
  return { status: all.every(({ problem }) => problem === null) ? 'ok' : 'degraded', repositories: all }
}

/** Resolves with the first signal to stop; one more ends the process at once. */
function untilStopped(reload: () => Promise<void>, log: Logger): Promise<void> {
  process.on('SIGHUP', () => {
    log.info('reload')
    reload().catch((error: unknown) => log.error({ err: error }, 'bug'))
  })
  return new Promise((resolve) => {
    for (const [signal, number] of [
      ['SIGTERM', 15],
      ['SIGINT', 2],
    ] as const) {
      process.once(signal, () => {
        log.info({ signal }, 'stopping')
        process.once(signal, () => process.exit(128 + number))
        resolve()
      })
    }
  })
}

/** First no hook is told of us any more, then those that have asked get their answer. */
async function stop(
  server: Server,
  repositories: ReadonlyMap<string, ServedRepository>,
  socket: string,
  log: Logger,
): Promise<void> {
  for (const repository of repositories.values())
    if (repository.isAnnounced(socket)) repository.announce(null)
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const settled = closed.then(() => Promise.all([...repositories.values()].map((one) => one.idle())))
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, STOP_MS, 'late')
  })
  if ((await Promise.race([settled, late])) === 'late')
    log.warn('stopped with decisions under way; the next push settles them')
  clearTimeout(timer)
  for (const repository of repositories.values()) repository.close()
  log.info('stopped')
}
