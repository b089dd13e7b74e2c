/** `headgate serve`: the process. It listens, looks for repositories now and then, and stops within a second. */
import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { createAdaptorServer } from '@hono/node-server'
import pino, { type Logger } from 'pino'
import { HeadgateError } from '../../src/core/errors.ts'
import { SERVER_DIRECTORY } from '../settings.ts'
import { areRepositories, type NamedPlaces } from './served-paths.ts'
import { ServedRepositories } from './served-repositories.ts'
import { hookService } from './service.ts'
import { listenOn } from './socket.ts'

export type ServeOptions = NamedPlaces & {
  /** Absolute path of the socket; without it `headgate/socket` in the first repository, where only such are named. */
  readonly socket: string | undefined
  readonly logLevel: string
}

/** How long running decisions get when the service is told to stop. Whoever waits longer decides by itself. */
const STOP_MS = 700
/** A request is a few hundred bytes from the same machine, which may be busy. */
const REQUEST_MS = 30_000
/** Each waits with up to 1 MiB of a question. */
const MAX_CONNECTIONS = 256
/** How often it is looked which repositories there are; where that takes long, less often. */
const FIND_EVERY_MS = 10_000
const FIND_SHARE = 50

/**
 * Serves until SIGTERM or SIGINT, and ends the process; SIGHUP opens everything anew. Logs JSON lines to standard output.
 * Throws HeadgateError 'usage' if too little is named, 'configuration' if none of the repositories that are named can be
 * served, or if the socket can't be had.
 */
export async function serve(options: ServeOptions): Promise<never> {
  if (options.places.length === 0 && options.list === undefined)
    throw new HeadgateError('usage', 'no repository is named', {
      hint: 'name bare repositories with headgate installed, or folders of them: headgate serve /srv/git/app.git',
    })
  if (options.socket === undefined && !areRepositories(options))
    throw new HeadgateError('usage', 'a folder of repositories, or a list, has no place for the socket', {
      hint: 'name one: --socket /run/headgate/socket',
    })
  // What a decision leaves behind is collected early: V8 would let it grow to twice as much as all that is in use.
  setFlagsFromString('--optimize-for-size')
  const log = pino({ level: options.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime })
  const service = new Service(options, log)
  const stopped = untilStopped(service, log)
  await Promise.race([service.begin(), stopped])
  await stopped
  await service.stop()
  // Whatever still waits here waits for somebody who has left.
  process.exit()
}

class Service {
  readonly #options: ServeOptions
  readonly #log: Logger
  readonly #repositories: ServedRepositories
  readonly #server: Server
  #socket = ''
  /** One look for repositories after the other. */
  #looking: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** Of the last look, so that it is logged once. */
  #failure = ''
  #stopped = false

  constructor(options: ServeOptions, log: Logger) {
    this.#options = options
    this.#log = log
    this.#repositories = new ServedRepositories(options, log, Date.now)
    this.#server = createAdaptorServer({
      fetch: hookService(this.#repositories, log).fetch,
      serverOptions: {
        requestTimeout: REQUEST_MS,
        headersTimeout: REQUEST_MS,
        connectionsCheckingInterval: 1000,
      },
    }) as Server
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** Resolves when it serves. */
  async begin(): Promise<void> {
    const repositories = this.#repositories
    await repositories.find()
    if (repositories.paths.size === 0 && areRepositories(this.#options)) {
      const reasons = [...repositories.problems.values()]
      throw new HeadgateError('configuration', reasons.join('\n') || 'no repository to serve', {
        hint: 'name bare repositories with headgate installed, or folders of them: headgate serve /srv/git/app.git',
      })
    }
    if (this.#stopped) return
    this.#socket = this.#socketPath()
    await listenOn(this.#server, this.#socket)
    await repositories.announce(this.#socket, { takeOver: true })
    if (this.#stopped) return
    const about = { socket: this.#socket, repositories: repositories.paths.size, pid: process.pid }
    this.#log.info(about, 'serving')
    this.#lookLater(FIND_EVERY_MS)
  }

  /** Looks which repositories there are, after a look that is under way; `anew` forgets what was read of them. */
  look({ anew }: { readonly anew: boolean }): void {
    this.#looking = this.#looking.then(() => this.#lookNow(anew))
  }

  /** Permits nothing any more, and gives those that are at work a moment. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    // First no hook is told of us any more, then those that have asked get their answer.
    this.#repositories.stop()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, STOP_MS, 'late')
    })
    if ((await Promise.race([closed, late])) === 'late')
      this.#log.warn('stopped with questions under way; their hooks decide by themselves')
    clearTimeout(timer)
    this.#repositories.close()
    this.#log.info('stopped')
  }

  async #lookNow(anew: boolean): Promise<void> {
    // Not before it serves, nor afterwards.
    if (this.#stopped || this.#socket === '') return
    clearTimeout(this.#timer)
    const start = performance.now()
    try {
      await this.#repositories.find()
      if (anew) this.#repositories.openAnew()
      else this.#repositories.closeIdle()
      await this.#listenAgain()
      await this.#repositories.announce(this.#socket, { takeOver: anew })
      this.#failure = ''
      if (anew) this.#log.info({ repositories: this.#repositories.paths.size }, 'reloaded')
    } catch (error) {
      const reason = (error as Error).message
      if (reason !== this.#failure) this.#log.error({ reason }, 'not looked up')
      this.#failure = reason
    }
    this.#lookLater(Math.max(FIND_EVERY_MS, FIND_SHARE * (performance.now() - start)))
  }

  #lookLater(ms: number): void {
    if (!this.#stopped) this.#timer = setTimeout(() => this.look({ anew: false }), ms)
  }

  /** A socket in a repository goes with the guard of that. */
  async #listenAgain(): Promise<void> {
    if (existsSync(this.#socket)) return
    this.#log.error({ socket: this.#socket }, 'the socket is gone')
    this.#server.close()
    this.#socket = this.#socketPath()
    await listenOn(this.#server, this.#socket)
    this.#log.info({ socket: this.#socket }, 'listening again')
  }

  #socketPath(): string {
    if (this.#options.socket !== undefined) return this.#options.socket
    const [first] = this.#repositories.paths
    if (first === undefined) throw new HeadgateError('unavailable', 'there is no repository for the socket')
    return join(first, SERVER_DIRECTORY, 'socket')
  }
}

/** Resolves with the first signal to stop; one more ends the process at once. */
function untilStopped(service: Service, log: Logger): Promise<void> {
  process.on('SIGHUP', () => {
    log.info('reload')
    service.look({ anew: true })
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
