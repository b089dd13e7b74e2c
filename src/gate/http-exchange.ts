import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { buildConnector, Client } from 'undici'
import { exactDuration } from '../core/policy/duration.ts'
import type { BaseUrl } from './base-url.ts'
import { describeConnectionFailure, isInvalidRequest } from './connection-failure.ts'
import { skipInterim } from './interim-answers.ts'

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
  readonly body: Buffer
}

/**
 * - `answered`     a complete answer came, whatever it says
 * - `failed`       the environment was reached but no complete answer came; a TLS handshake that fails is one of these
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

export type ExchangeOptions = {
  /** Bounds all of it: looking up the name, connecting, TLS, headers, and every byte of the body. */
  readonly timeoutMs: number
  /** How much of that is over already. */
  readonly spentMs?: number
  /** Ends it early. */
  readonly signal: AbortSignal
  /** Awaited between the connection and the request. */
  readonly onOpen?: (() => Promise<void>) | undefined
}

/**
 * Sends one request over a connection of its own and reads the whole answer: no redirect followed, no proxy, no
 * cookie, no cached TLS session, nothing that an earlier answer could have left behind.
 */
export async function exchange(
  base: BaseUrl,
  request: HttpRequest,
  { timeoutMs, spentMs = 0, signal, onOpen = async () => undefined }: ExchangeOptions,
): Promise<Exchange> {
  let socket: Socket | undefined
  let reached = false
  /** What a timeout would end the wait for. */
  let missing = 'no connection'
  let resetBy: NodeJS.ErrnoException | null = null
  let stopped: string | null = null
  let status: number | null = null
  // Stated, since NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise switch the check off.
  const connect = buildConnector({
    rejectUnauthorized: true,
    timeout: 0,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  }) as (...args: Parameters<buildConnector.connector>) => Socket
  const client = new Client(base.origin, {
    pipelining: 0,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: (options, callback) => {
      socket = connect(options, (...[error, connected]: Parameters<buildConnector.Callback>) => {
        if (error !== null) return callback(error, null)
        missing = 'no answer'
        skipInterim(connected, MAX_HEADER_BYTES)
        onOpen().then(() => callback(null, connected))
      })
      // Before TLS: a server that takes a connection and fails at TLS is there, and is not as it must be.
      socket.prependOnceListener('connect', () => {
        reached = true
        missing = 'no TLS connection'
      })
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') resetBy = error
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
  const timer = setTimeout(() => stop(`${missing} within ${exactDuration(timeoutMs)}`), timeoutMs - spentMs)
  try {
    const response = await client.request({
      method: request.method,
      path: base.prefix + request.path,
      headers: { accept: '*/*', 'user-agent': 'headgate', ...request.headers, 'accept-encoding': 'identity' },
      body: request.body,
      responseHeaders: 'raw',
    })
    status = response.statusCode
    missing = 'the answer was not complete'
    const body = hasNoBody(request, status) ? leaveBody(response.body) : await readBody(response.body)
    if (body === null) return { kind: 'failed', status, reason: 'the answer is larger than 1 MiB' }
    const headers = collectHeaders(response.headers as unknown as readonly string[])
    const answer = { status, headers, body }
    // undici takes a reset for the end as well, and the rest of the answer may be missing.
    if (resetBy !== null && endsByClosing(request, answer)) throw resetBy
    return { kind: 'answered', answer }
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
async function readBody(stream: AsyncIterable<Uint8Array>): Promise<Buffer | null> {
  const chunks: Uint8Array[] = []
  let bodyBytes = 0
  for await (const chunk of stream) {
    bodyBytes += chunk.byteLength
    if (bodyBytes > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** RFC 9112, section 6.3: whatever its headers say, such an answer ends with them. */
function hasNoBody({ method }: HttpRequest, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** What comes all the same, or does not although a length was said, is nothing of the answer's. */
function leaveBody(stream: Readable): Buffer {
  stream.on('error', () => undefined)
  return Buffer.alloc(0)
}

/** RFC 9112, section 6.3: the answer says nowhere how long it is, and ends with the connection. */
function endsByClosing(request: HttpRequest, { status, headers }: HttpAnswer): boolean {
  if (hasNoBody(request, status)) return false
  return !headers.has('content-length') && !headers.has('transfer-encoding')
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
