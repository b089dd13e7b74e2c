/** Base URLs of environments: what one may be, and its one spelling. */

/** What is wrong with a base URL, for people, without repeating the URL; null if nothing. */
export function baseUrlProblem(text: string): string | null {
  // Printable ASCII only: the URL parser silently drops line breaks and tabs, and reads "\" as "/".
  if (
    text.length > 2000 ||
    !/^https?:\/\/[^\s\\/?#]/i.test(text) ||
    !/^[!-~]+$/.test(text) ||
    !URL.canParse(text)
  ) {
    return 'must be a URL like https://staging.example.com'
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password'
  if (text.includes('?') || text.includes('#')) return 'must have neither query nor fragment'
  return null
}

export type BaseUrl = {
  /** Scheme, host and port. */
  readonly origin: string
  /** What goes before every path: empty, or `/app`. Never ends in a slash. */
  readonly prefix: string
  /** Both, for people and for evidence. */
  readonly text: string
}

/** The one spelling of a base URL that has no problem. */
export function normalBaseUrl(text: string): BaseUrl {
  const { origin, pathname } = new URL(text)
  const prefix = pathname.replace(/\/+$/, '')
  return { origin, prefix, text: origin + prefix }
}
