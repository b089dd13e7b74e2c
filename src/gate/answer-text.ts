import { shapeOfJson } from '../core/unique-json.ts'
import type { HttpAnswer } from './http-exchange.ts'

/** What a body says, or why it can't be read; the reason never repeats any of it. */
export type Reading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string }

/** The body as text, in the character set that the answer declares (UTF-8 where it declares none). */
export function readText(answer: HttpAnswer): Reading<string> {
  // headgate asks for `identity`. What is compressed all the same is not unpacked: it could be a bomb.
  const encodings = (answer.headers.get('content-encoding') ?? []).join(',').toLowerCase()
  if (encodings !== '' && encodings !== 'identity') {
    return { ok: false, reason: 'the answer is compressed, although headgate asks for it plain' }
  }
  const types = answer.headers.get('content-type') ?? []
  const charset = /;\s*charset="?([^\s";]{1,40})/i.exec(types[0] ?? '')?.[1] ?? 'utf-8'
  try {
    const value = new TextDecoder(charset, { fatal: true }).decode(answer.body)
    // UTF-16 that is not declared is valid UTF-8 with a NUL beside every letter, and no word would be found in it.
    if (!value.includes('\0')) return { ok: true, value }
  } catch {
    // A character set that nobody knows, or bytes that it does not have.
  }
  return { ok: false, reason: 'the answer is not text in the character set that it declares' }
}

export function readJson(answer: HttpAnswer): Reading<unknown> {
  const text = readText(answer)
  if (!text.ok) return text
  let value: unknown
  try {
    value = JSON.parse(text.value)
  } catch {
    return { ok: false, reason: 'the answer is not JSON' }
  }
  // Of two equal keys some programs read the first and others the last: neither is what the answer says.
  if (shapeOfJson(text.value).repeatsKey) return { ok: false, reason: 'the answer is JSON with a key twice' }
  return { ok: true, value }
}

/**
 * What stands at a dotted path: map keys, and indexes of lists (`items.0.name`). Undefined where nothing does.
 * Only what the JSON itself holds is found, nothing inherited.
 */
export function valueAtPath(value: unknown, path: string): unknown {
  let inner = value
  for (const step of path.split('.')) {
    if (typeof inner !== 'object' || inner === null) return undefined
    if (Array.isArray(inner) && !/^(?:0|[1-9]\d*)$/.test(step)) return undefined
    if (!Object.hasOwn(inner, step)) return undefined
    inner = (inner as Record<string, unknown>)[step]
  }
  return inner
}
