import { escapeJson } from './printable.ts'

/**
 * Text for people without the passwords and tokens of the URLs in it. Remotes have them in their URLs, and git repeats
 * those in its own words. Of an ssh URL the user's name stays, which is no secret; over HTTP that is often the token.
 */
export function withoutSecrets(text: string): string {
  return text.replace(AUTHORITY, withoutUserinfo).replace(MALFORMED, '$1').replace(PARAMETER, '$1***')
}

/** The same for each text in a value that will be JSON. */
export function jsonWithoutSecrets(value: unknown): string {
  return escapeJson(
    JSON.stringify(value, (_, part) => (typeof part === 'string' ? withoutSecrets(part) : part), 2),
  )
}

// The repetitions are bounded: hostile text must not take a minute.
// What stands before the last @ of the authority, which ends at the path, the query or the fragment (RFC 3986).
const AUTHORITY = /\b([a-z][a-z0-9+.-]{0,20}:\/\/)([^\s/?#]*)@/gi
// A password with a slash, which nobody has escaped: no authority has a colon that no port follows.
const MALFORMED = /\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#@[\]]*:(?!\d*(?:[/?#\s'")\],;:]|$))\S{0,2000}@/gi
const PARAMETER =
  /([?&;#][\w.-]{0,40}(?:token|secret|passw|pwd|credential|api[_-]?key|signature|jwt|auth(?!or))[\w.-]{0,40}=)[^\s&;#'"<>]+/gi

function withoutUserinfo(whole: string, scheme: string, userinfo: string): string {
  if (!/ssh/i.test(scheme)) return scheme
  return userinfo.includes(':') ? `${scheme}${userinfo.replace(/:.*$/s, '')}@` : whole
}
