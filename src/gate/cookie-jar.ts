import { getSetCookies, Headers } from 'undici'

type StoredCookie = {
  readonly name: string
  readonly value: string
  /** Host and port: more narrow than RFC 6265, where a cookie may go to sibling hosts and to other ports. */
  readonly host: string
  readonly path: string
  readonly secure: boolean
  /** ms since the epoch; null for as long as the run. */
  readonly expiresAt: number | null
}

/** An application sets a handful; a hostile one could set thousands. */
const MAX_COOKIES = 50
const MAX_COOKIE_LENGTH = 4096

/**
 * The cookies of one line of gates, in memory only. They go back to the very host that set them, wherever else it
 * says that they should go.
 */
export class CookieJar {
  #cookies: readonly StoredCookie[] = []

  /** A jar that begins with the cookies of this one; neither sees what the other takes later. */
  copy(): CookieJar {
    const jar = new CookieJar()
    jar.#cookies = this.#cookies
    return jar
  }

  /** `lines` are the values of the answer's Set-Cookie headers. */
  take(url: URL, lines: readonly string[], now: number): void {
    for (const line of lines.slice(0, MAX_COOKIES)) {
      if (line.length > MAX_COOKIE_LENGTH) continue
      const [parsed] = getSetCookies(new Headers([['set-cookie', line]]))
      if (parsed === undefined || !/^[!-~]+$/.test(parsed.name) || !/^[ -~]*$/.test(parsed.value)) continue
      const path = parsed.path?.startsWith('/') ? parsed.path : defaultPath(url.pathname)
      const until = parsed.expires === undefined ? null : new Date(parsed.expires).getTime()
      const cookie: StoredCookie = {
        name: parsed.name,
        value: parsed.value,
        host: url.host,
        path,
        secure: parsed.secure === true,
        expiresAt: typeof parsed.maxAge === 'number' ? now + parsed.maxAge * 1000 : until,
      }
      const others = this.#cookies.filter(
        ({ name, host, path }) => name !== cookie.name || host !== cookie.host || path !== cookie.path,
      )
      this.#cookies = [...others, cookie].slice(-MAX_COOKIES)
    }
  }

  /** The value of the Cookie header; null where there is nothing to send. */
  headerFor(url: URL, now: number): string | null {
    const fitting = this.#cookies.filter(
      ({ host, path, secure, expiresAt }) =>
        host === url.host &&
        (!secure || url.protocol === 'https:') &&
        (expiresAt === null || expiresAt > now) &&
        isBelow(url.pathname, path),
    )
    // More specific paths first, as RFC 6265 asks.
    const sorted = [...fitting].sort((a, b) => b.path.length - a.path.length)
    return sorted.length === 0 ? null : sorted.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
}

function defaultPath(pathname: string): string {
  const end = pathname.lastIndexOf('/')
  return end <= 0 ? '/' : pathname.slice(0, end)
}

function isBelow(pathname: string, folder: string): boolean {
  return pathname === folder || pathname.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}
