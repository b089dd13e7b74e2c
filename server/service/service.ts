/**
 * The hook service: HTTP on a unix socket.
 *
 *     POST /hook       a hook's request and its answer, both as hook-request.ts has them
 *     GET /healthz     JSON: whether each repository can be read, and whether its release branch has drifted
 */
import type { Socket } from 'node:net'
import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { stream } from 'hono/streaming'
import type { Logger } from 'pino'
import { HeadgateError } from '../../src/core/errors.ts'
import { jsonText } from '../../src/core/printable.ts'
import { answerText, failureText, type HookRequest, parseHookRequest } from '../hooks/request.ts'
import type { ServedRepositories } from './served-repositories.ts'

/** A push with more guarded refs and submissions than this is rare, and decides by itself. */
const MAX_BODY_BYTES = 1024 * 1024
/** While a decision takes time, a dot this often says that somebody works on it. */
const DOT_MS = 500
/** A hook leaves after ten seconds without a dot. What took longer than this is answered to nobody. */
const MAX_SILENCE_MS = 8_000

/** Who asks how it is waits so long for what has changed; after that it hears what is known. */
const HEALTH_MS = 5_000

export function hookService(repositories: ServedRepositories, log: Logger): Hono<{ Bindings: HttpBindings }> {
  const service = new Hono<{ Bindings: HttpBindings }>()
  service.post('/hook', bodyLimit({ maxSize: MAX_BODY_BYTES }), async (context) => {
    const wait = new Waiting(context.env.incoming.socket)
    const start = performance.now()
    let phase: HookRequest['phase'] | undefined
    const asked = async (body: Uint8Array) => {
      const request = parseHookRequest(body)
      phase = request.phase
      return answer(repositories, request, wait)
    }
    const answering = asked(new Uint8Array(await context.req.arrayBuffer())).then(
      ({ text, ...about }) => {
        log.info({ ...about, ms: Math.round((performance.now() - start) * 10) / 10 }, 'hook')
        return text
      },
      (error: unknown) => {
        if (error instanceof HeadgateError) log.warn({ reason: error.message }, 'no decision')
        else log.error({ err: error }, 'bug')
        return failureText(error, phase)
      },
    )
    const soon = await Promise.race([answering, wait.dot()])
    if (soon !== ALIVE) {
      wait.end()
      return context.text(wait.told() + soon)
    }
    return stream(context, async (output) => {
      for (;;) {
        await output.write(wait.sign())
        const next = await Promise.race([answering, wait.dot()])
        if (next === ALIVE) continue
        wait.end()
        await output.write(wait.told() + next)
        return
      }
    })
  })
  service.get('/healthz', async (context) => {
    const found = await repositories.health(HEALTH_MS)
    const type = { 'content-type': 'application/json' }
    return context.body(jsonText(found), found.status === 'ok' ? 200 : 503, type)
  })
  service.notFound((context) => context.text('there is POST /hook and GET /healthz\n', 404))
  service.onError((error, context) => {
    if (error instanceof HTTPException) return error.getResponse()
    log.error({ err: error }, 'bug')
    return context.text('failed\nheadgate: the service has a bug\n', 500)
  })
  return service
}

const ALIVE = Symbol('alive')

/** Whether a hook still waits for its answer: it hung up, or this process was stopped for so long that it has left. */
class Waiting {
  readonly #socket: Socket
  #lastDot = performance.now()
  #timer: NodeJS.Timeout | undefined
  #told = ''

  constructor(socket: Socket) {
    this.#socket = socket
  }

  async isAwaited(): Promise<boolean> {
    // The end of a connection that came with the request itself is read in the event loop's next turn but one.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
    const left = this.#socket.readableEnded || this.#socket.destroyed
    return !left && performance.now() - this.#lastDot < MAX_SILENCE_MS
  }

  /** A line for the pusher; it goes out with the next dot, or with the answer. */
  tell(text: string): void {
    this.#told += `progress ${text}\n`
  }

  /** What is sent: that somebody works on it, and what there is to say. */
  sign(): string {
    return `.${this.told()}`
  }

  /** What there is to say, once. */
  told(): string {
    const told = this.#told
    this.#told = ''
    return told
  }

  dot(): Promise<typeof ALIVE> {
    return new Promise((resolve) => {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => {
        if (performance.now() - this.#lastDot < MAX_SILENCE_MS) this.#lastDot = performance.now()
        resolve(ALIVE)
      }, DOT_MS)
    })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

type Told = {
  readonly repository: string
  readonly phase: HookRequest['phase']
  readonly refs: number
  readonly verdict: 'accepted' | 'refused'
  readonly text: string
}

async function answer(repositories: ServedRepositories, request: HookRequest, wait: Waiting): Promise<Told> {
  const given = await repositories.answer(request, {
    isAwaited: () => wait.isAwaited(),
    tell: (text) => wait.tell(text),
  })
  return {
    repository: request.repository,
    phase: request.phase,
    refs: request.updates.length,
    verdict: given.accepted ? 'accepted' : 'refused',
    text: answerText(given),
  }
}
