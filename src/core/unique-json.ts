import { HeadgateError } from './errors.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Every bracket and every string of a JSON text; a string with a colon after it is a key. */
const TOKENS = /[{}[\]]|"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g

/** A statement nests 8 deep; the rest is for fields that others add. Keeps every recursion over the value shallow. */
const MAX_DEPTH = 64

/**
 * Parses JSON in UTF-8 in which no object has the same key twice. JSON.parse keeps the last of two equal keys, other
 * parsers the first: such a text would mean one thing here and another thing to an auditor.
 * `what` names the thing in errors, HeadgateError 'data'.
 */
export function parseUniqueJson(bytes: Uint8Array, what: string): unknown {
  let text: string
  let value: unknown
  try {
    text = utf8.decode(bytes)
    // A byte order mark is kept by ignoreBOM and refused by JSON.parse.
    value = JSON.parse(text)
  } catch (cause) {
    throw new HeadgateError('data', `${what} is not JSON in UTF-8`, { cause })
  }
  if (isPlain(text, value)) return value
  const { depth, repeatsKey } = shapeOfJson(text)
  if (depth > MAX_DEPTH) throw new HeadgateError('data', `${what} nests deeper than ${MAX_DEPTH} levels`)
  if (repeatsKey) throw new HeadgateError('data', `${what} has a key twice`)
  return value
}

/** True of most texts that programs write: what comes back letter by letter has lost no key on the way. */
function isPlain(text: string, value: unknown): boolean {
  let opened = 0
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1))
      if (++opened > MAX_DEPTH) return false
  }
  return JSON.stringify(value) === text
}

/** Of a text that is known to be JSON, so that its tokens can be found without a grammar. */
export function shapeOfJson(text: string): { readonly depth: number; readonly repeatsKey: boolean } {
  const keysOfOpen: (Set<string> | null)[] = []
  let [depth, repeatsKey] = [0, false]
  for (const [token, colon] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      depth = Math.max(depth, keysOfOpen.push(null))
    } else if (token === '}' || token === ']') {
      keysOfOpen.pop()
    } else if (colon !== undefined) {
      // Decoded, since "a" and "\u0061" are the same key.
      const key = JSON.parse(token.slice(0, token.length - colon.length)) as string
      const at = keysOfOpen.length - 1
      const keys = keysOfOpen[at] ?? new Set()
      keysOfOpen[at] = keys
      repeatsKey ||= keys.has(key)
      keys.add(key)
    }
  }
  return { depth, repeatsKey }
}
