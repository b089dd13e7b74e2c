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
    return { ok: true, value: new TextDecoder(charset, { fatal: true }).decode(answer.body) }
  } catch {
    return { ok: false, reason: 'the answer is not text in the character set that it declares' }
  }
}

export function readJson(answer: HttpAnswer): Reading<unknown> {
  const text = readText(answer)
  if (!text.ok) return text
  try {
    return { ok: true, value: JSON.parse(text.value) }
  } catch {
    return { ok: false, reason: 'the answer is not JSON' }
  }
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
