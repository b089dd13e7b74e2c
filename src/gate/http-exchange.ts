import type { Socket } from 'node:net'
import { formatDuration } from '../core/duration.ts'
import type { BaseUrl } from './base-url.ts'
import { describeConnectionFailure, isInvalidRequest } from './connection-failure.ts'
import { buildConnector, Client, type Connector, type ConnectorCallback, sendWith } from './undici-client.ts'

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

export type HttpAnswer = {
  readonly status: number
  /** Every value of every header, by name in lower case. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: Uint8Array
}

/**
 * - `answered`     a complete answer came, whatever it says
 * - `failed`       the environment was reached but no complete answer came
 * - `unreachable`  no connection came about: nothing was learnt about the environment
 */
export type Exchange =
  | { readonly kind: 'answered'; readonly answer: HttpAnswer }
  | { readonly kind: 'failed'; readonly status: number | null; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string }

/** Far more than a health check answers, far less than would trouble a CI runner. */
export const MAX_BODY_BYTES = 1024 * 1024
/** Node's own limit, whatever NODE_OPTIONS says. */
const MAX_HEADER_BYTES = 16 * 1024
/** A host with two addresses gets this long for the first. Node's 250 ms gives up on distant but healthy hosts. */
const ADDRESS_ATTEMPT_MS = 1000

/**
 * Sends one request over a connection of its own and reads the whole answer: no redirect followed, no proxy, no
 * cookie, no cached TLS session, nothing that an earlier answer could have left behind. `timeoutMs` bounds all of it:
 * looking up the name, connecting, TLS, headers, and every byte of the body; `spentMs` of it are over. `signal` ends it
 * early.
 */
export async function exchange(
  base: BaseUrl,
  request: HttpRequest,
  timeoutMs: number,
  signal: AbortSignal,
  spentMs = 0,
): Promise<Exchange> {
  let socket: Socket | undefined
  let reached = false
  let stopped: string | null = null
  let status: number | null = null
  // Stated, since NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise switch the check off.
  const open = buildConnector({
    rejectUnauthorized: true,
    timeout: 0,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  }) as (...args: Parameters<Connector>) => Socket
  const client = new Client(base.origin, {
    pipelining: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: (options, callback) => {
      socket = open(options, (...[error, connected]: Parameters<ConnectorCallback>) => {
        reached = error === null
        if (error === null) callback(null, connected)
        else callback(error, null)
      })
    },
  })
  const stop = (reason: string) => {
    stopped ??= reason
    // The client does not close a socket that is still connecting, which would keep the process alive.
    socket?.destroy()
    client.destroy(new Error(reason)).catch(() => undefined)
  }
  const interrupt = () => stop('interrupted')
  signal.addEventListener('abort', interrupt, { once: true })
  if (signal.aborted) interrupt()
  const timer = setTimeout(() => {
    const what = !reached ? 'no connection' : status === null ? 'no answer' : 'the answer was not complete'
    stop(`${what} within ${formatDuration(timeoutMs)}`)
  }, timeoutMs - spentMs)
  try {
    const response = await sendWith(client, {
      method: request.method,
      path: base.prefix + request.path,
      headers: { accept: '*/*', 'user-agent': 'headgate', ...request.headers, 'accept-encoding': 'identity' },
      body: request.body,
      responseHeaders: 'raw',
    })
    status = response.statusCode
    const body = await readBody(response.body)
    if (body === null) return { kind: 'failed', status, reason: 'the answer is larger than 1 MiB' }
    const headers = collectHeaders(response.headers as unknown as readonly string[])
    return { kind: 'answered', answer: { status, headers, body } }
  } catch (error) {
    const reason = stopped ?? describeConnectionFailure(error)
    return reached || isInvalidRequest(error)
      ? { kind: 'failed', status, reason }
      : { kind: 'unreachable', reason }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', interrupt)
    client.destroy().catch(() => undefined)
  }
}

/** The whole body; null where it has more than MAX_BODY_BYTES. Leaving the loop destroys the stream. */
async function readBody(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = []
  let bodyBytes = 0
  for await (const chunk of stream) {
    bodyBytes += chunk.byteLength
    if (bodyBytes > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function collectHeaders(raw: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, string[]>()
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = String(raw[at]).toLowerCase()
    const values = headers.get(name) ?? []
    values.push(String(raw[at + 1]))
    headers.set(name, values)
  }
  return headers
}
