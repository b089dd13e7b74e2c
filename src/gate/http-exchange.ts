import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { exactDuration } from '../core/policy/duration.ts'
import type { BaseUrl } from './base-url.ts'
import { describeConnectionFailure, isInvalidRequest } from './connection-failure.ts'

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
  let outgoing: ClientRequest | undefined
  let reached = false
  /** What a timeout would end the wait for. */
  let missing = 'no connection'
  /** What went wrong first; what follows from it says less. */
  let failure: Error | undefined
  let stopped: string | null = null
  let status: number | null = null
  const stop = (reason: string) => {
    stopped ??= reason
    outgoing?.destroy(new Error(reason))
  }
  const interrupt = () => stop('interrupted')
  signal.addEventListener('abort', interrupt, { once: true })
  const timer = setTimeout(() => stop(`${missing} within ${exactDuration(timeoutMs)}`), timeoutMs - spentMs)
  try {
    const sent = prepare(base, request)
    outgoing = sent
    sent.on('error', (error) => {
      failure ??= error
    })
    sent.once('socket', (socket) => {
      // Before TLS: whoever takes a connection and fails at TLS is there, and is not as it must be.
      socket.once('connect', () => {
        reached = true
        missing = 'no TLS connection'
      })
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
        missing = 'no answer'
        onOpen().then(() => sent.end(request.body ?? undefined))
      })
    })
    if (signal.aborted) interrupt()
    const incoming = await answerTo(sent)
    status = incoming.statusCode ?? 0
    if (status === 101)
      return { kind: 'failed', status, reason: 'the answer switches to a protocol that nobody asked for' }
    missing = 'the answer was not complete'
    const body = hasNoBody(request, status) ? leaveBody(incoming) : await readBody(incoming)
    if (body === null) return { kind: 'failed', status, reason: 'the answer is larger than 1 MiB' }
    const answer = { status, headers: collectHeaders(incoming.rawHeaders), body }
    // Node takes a reset for the end as well, and the rest of the answer may be missing.
    if (failure !== undefined && endsByClosing(request, answer)) throw failure
    return { kind: 'answered', answer }
  } catch (error) {
    const reason = stopped ?? describeConnectionFailure(failure ?? error)
    return reached || isInvalidRequest(error)
      ? { kind: 'failed', status, reason }
      : { kind: 'unreachable', reason }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', interrupt)
    outgoing?.destroy()
  }
}

/** A request that is not sent before it is ended. Throws for what cannot be written as HTTP. */
function prepare(base: BaseUrl, { method, path, headers, body }: HttpRequest): ClientRequest {
  const isSecure = base.origin.startsWith('https:')
  const request = (isSecure ? httpsRequest : httpRequest)(base.origin, {
    // A connection of its own, and no proxy, whatever the environment says.
    agent: new (isSecure ? HttpsAgent : HttpAgent)({
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
    }),
    method,
    path: base.prefix + path,
    headers: {
      accept: '*/*',
      'user-agent': 'headgate',
      ...headers,
      'accept-encoding': 'identity',
      ...(body === null ? {} : { 'content-length': Buffer.byteLength(body) }),
    },
    maxHeaderSize: MAX_HEADER_BYTES,
    insecureHTTPParser: false,
    // Stated, since NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise switch the check off.
    rejectUnauthorized: true,
  })
  // Their size is bounded; of more than this number Node would drop the rest without a word.
  request.maxHeadersCount = 0
  return request
}

/** The beginning of the answer: interim ones (1xx), which a client must take and wait on (RFC 9110, 15.2), Node takes. */
function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('error', reject).once('response', resolve).once('upgrade', resolve)
  })
}

/** The whole body; null where it has more than MAX_BODY_BYTES. Leaving the loop destroys the stream. */
async function readBody(stream: IncomingMessage): Promise<Buffer | null> {
  const chunks: Uint8Array[] = []
  let bodyBytes = 0
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
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
function leaveBody(stream: IncomingMessage): Buffer {
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
    values.push(Buffer.from(raw[at + 1] ?? '', 'latin1').toString('utf8'))
    headers.set(name, values)
  }
  return headers
}
