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
      const cookie = parseSetCookie(line, url, now)
      if (cookie === null) continue
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

/** RFC 6265, section 5.2, without Domain; null for what is no cookie that could be sent back as it came. */
function parseSetCookie(line: string, url: URL, now: number): StoredCookie | null {
  const [pair = '', ...attributes] = line.split(';')
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(pair.trim()) ?? []
  if (!/^[!-~]+$/.test(name.trim()) || !/^[ -~]*$/.test(value)) return null
  const given = new Map(
    attributes.map((text) => {
      const [, key = '', inner = ''] = /^([^=]*)=?(.*)$/s.exec(text.trim()) ?? []
      return [key.trim().toLowerCase(), inner.trim()]
    }),
  )
  const path = given.get('path')
  return {
    name: name.trim(),
    value: value.trim(),
    host: url.host,
    path: path?.startsWith('/') === true ? path : defaultPath(url.pathname),
    secure: given.has('secure'),
    expiresAt: expiry(given.get('max-age'), given.get('expires'), now),
  }
}

/** Max-Age wins over Expires; what can be read as neither lasts as long as the run. */
function expiry(maxAge: string | undefined, expires: string | undefined, now: number): number | null {
  if (maxAge !== undefined && /^-?\d{1,12}$/.test(maxAge)) return now + Number(maxAge) * 1000
  const at = expires === undefined ? Number.NaN : Date.parse(expires)
  return Number.isNaN(at) ? null : at
}

function defaultPath(pathname: string): string {
  const end = pathname.lastIndexOf('/')
  return end <= 0 ? '/' : pathname.slice(0, end)
}

function isBelow(pathname: string, folder: string): boolean {
  return pathname === folder || pathname.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}
