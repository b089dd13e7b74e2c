import type { GateRequest } from '../core/policy/policy.ts'
import { type BaseUrl, parseBaseUrl } from './base-url.ts'
import type { CookieJar } from './cookie-jar.ts'
import { type Exchange, exchange, type HttpRequest } from './http-exchange.ts'
import type { Secrets } from './secrets.ts'

export type SendOptions = {
  readonly base: BaseUrl
  readonly secrets: Secrets
  /** Its cookies are sent, and what the answers set is put into it. */
  readonly cookies: CookieJar
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Awaited between the connection and the request, of the first exchange. */
  readonly onOpen?: () => Promise<void>
}

/** `durationMs` is from before the connection to the last byte, redirects included. */
export type Sent = Exchange & { readonly durationMs: number }

/** What a browser keeps of a request that it sends elsewhere with GET. */
const OF_BODIES = /^content-/

/** Sends the request of a gate, and follows as many redirects as the gate permits. `timeoutMs` bounds all of it. */
export async function sendRequest(request: GateRequest, options: SendOptions): Promise<Sent> {
  const startedMs = performance.now()
  const done = (result: Exchange): Sent => ({ ...result, durationMs: performance.now() - startedMs })
  const refuse = (reason: string) => done({ kind: 'failed', status: null, reason })
  let base = options.base
  let headers = Object.entries(request.headers)
  let next: HttpRequest = {
    method: request.method,
    path: request.path,
    headers: {},
    body: request.body === null ? null : options.secrets.resolve(request.body),
  }
  for (let followed = 0; ; followed++) {
    const spentMs = followed === 0 ? 0 : performance.now() - startedMs
    const url = new URL(base.origin + base.prefix + next.path)
    const cookie = options.cookies.headerFor(url, Date.now())
    const own = headers.map(([name, value]) => [name, options.secrets.resolve(value)])
    const sent = Object.fromEntries([
      ...own,
      ...(cookie === null ? [] : [['cookie', mergeCookies(own, cookie)]]),
    ])
    const { timeoutMs, signal } = options
    const onOpen = followed === 0 ? options.onOpen : undefined
    const result = await exchange(base, { ...next, headers: sent }, { timeoutMs, spentMs, signal, onOpen })
    if (result.kind === 'unreachable' && followed > 0) {
      // The environment itself was reached: it sends its users to where nothing is.
      return refuse(`redirects elsewhere: ${result.reason}`)
    }
    if (result.kind !== 'answered') return done(result)
    options.cookies.take(url, result.answer.headers.get('set-cookie') ?? [], Date.now())
    const { status } = result.answer
    if (request.redirects === 0 || ![301, 302, 303, 307, 308].includes(status)) return done(result)

    if (followed === request.redirects) return refuse(`redirects more than ${request.redirects} times`)
    const target = redirectTarget(url, result.answer.headers.get('location') ?? [])
    if (target === null) return refuse('redirects to something that is no plain http or https URL')
    if (url.protocol === 'https:' && target.protocol === 'http:')
      return refuse('redirects from https to http')
    if (status === 303 ? next.method !== 'HEAD' : status <= 302 && next.method === 'POST') {
      next = { ...next, method: 'GET', body: null }
      headers = headers.filter(([name]) => !OF_BODIES.test(name))
    }
    // What a policy sends to an environment is meant for that environment: it goes along to no other host.
    if (target.origin !== url.origin) {
      if (next.body !== null) return refuse('redirects the body to another host')
      headers = headers.filter(
        ([name, value]) => typeof value === 'string' && !/^(?:cookie|origin)$/.test(name),
      )
    }
    base = parseBaseUrl(target.origin)
    next = { ...next, path: target.pathname + target.search }
  }
}

/** A cookie that the policy itself sends stays; what the application set is added. */
function mergeCookies(own: readonly (readonly string[])[], cookie: string): string {
  const given = own.find(([name]) => name === 'cookie')?.[1]
  return given === undefined ? cookie : `${given}; ${cookie}`
}

function redirectTarget(from: URL, locations: readonly string[]): URL | null {
  const [location] = locations
  if (location === undefined || locations.length > 1 || location.length > 2000) return null
  if (!URL.canParse(location, from.href)) return null
  const url = new URL(location, from.href)
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : null
}
