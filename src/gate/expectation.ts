import { runInNewContext } from 'node:vm'
import { exactDuration } from '../core/policy/duration.ts'
import type { HttpExpectation, Match, Scalar } from '../core/policy/policy.ts'
import { showValue } from '../core/printable.ts'
import { readJson, readText, valueAtPath } from './answer-text.ts'
import type { HttpAnswer } from './http-exchange.ts'

/** A pattern that backtracks badly is the policy's fault, but the text it meets is the server's: keep that short. */
const MAX_MATCHED_LENGTH = 4096
/** Any sound pattern takes less than a thousandth of this for such a text. */
const MAX_MATCH_MS = 250

/**
 * Everything that does not hold; empty if all does. The reasons name what the policy expects and what kind of thing
 * was found instead, never what the answer says.
 */
export function checkAnswer(expect: HttpExpectation, answer: HttpAnswer): string[] {
  const objections = [...checkStatus(expect, answer.status)]
  for (const { name, match } of expect.headers) {
    const values = answer.headers.get(name) ?? []
    const objection =
      values.length > 1 && match.kind !== 'absent' ? 'is there more than once' : checkMatch(match, values[0])
    if (objection !== null) objections.push(`header ${name} ${objection}`)
  }
  if (expect.json.length > 0) {
    const json = readJson(answer)
    if (!json.ok) objections.push(json.reason)
    else {
      for (const { path, match } of expect.json) {
        const objection = checkMatch(match, valueAtPath(json.value, path))
        if (objection !== null) objections.push(`json ${path} ${objection}`)
      }
    }
  }
  if (expect.bodyIncludes.length + expect.bodyExcludes.length > 0) {
    const text = readText(answer)
    // Text that can't be read might hold what it must not: that fails too.
    if (!text.ok) objections.push(text.reason)
    else {
      for (const wanted of expect.bodyIncludes) {
        if (!text.value.includes(wanted)) objections.push(`body does not contain ${showValue(wanted)}`)
      }
      for (const unwanted of expect.bodyExcludes) {
        // Also as it came: a wrong character set would turn it into something else.
        const found = text.value.includes(unwanted) || answer.body.includes(unwanted)
        if (found) objections.push(`body contains ${showValue(unwanted)}`)
      }
    }
  }
  return [...new Set(objections)]
}

export function checkStatus(expect: HttpExpectation, status: number): string[] {
  const wanted = expect.statuses ?? ['2xx']
  if (wanted.some((one) => one === status || one === `${Math.floor(status / 100)}xx`)) return []
  const redirect = status >= 300 && status <= 399 && status !== 304 ? ' (a redirect, not followed)' : ''
  const words = wanted.map((one) => (one === '2xx' && wanted.length === 1 ? '200 to 299' : String(one)))
  return [`status ${status}${redirect}, expected ${words.join(' or ')}`]
}

export function checkTime({ maxTimeMs }: HttpExpectation, durationMs: number): string[] {
  return maxTimeMs === null || durationMs <= maxTimeMs
    ? []
    : [`took ${exactDuration(Math.ceil(durationMs))}, expected ${exactDuration(maxTimeMs)} at most`]
}

/** What does not hold about a value, undefined where there is none; null if nothing. */
function checkMatch(match: Match, found: unknown): string | null {
  if (match.kind === 'absent') return found === undefined ? null : 'is there, expected to be absent'
  if (found === undefined) return `is missing, expected ${describe(match)}`
  switch (match.kind) {
    case 'equals':
      if (found === match.value) return null
      return kindOf(found) === kindOf(match.value)
        ? `is not ${showValue(match.value)}`
        : `is ${kindOf(found)}, expected ${showValue(match.value)}`
    case 'one-of':
      return match.values.includes(found as Scalar) ? null : `is not ${describe(match)}`
    case 'matches':
      if (typeof found !== 'string') return `is ${kindOf(found)}, expected ${describe(match)}`
      if (found.length > MAX_MATCHED_LENGTH) return 'is too long to be matched'
      return checkPattern(match.pattern, found) ? null : `is not ${describe(match)}`
  }
}

/** A pattern that takes too long has found nothing. In a context of its own, which alone can be stopped while it searches. */
function checkPattern(pattern: string, text: string): boolean {
  try {
    const search = 'new RegExp(pattern, "u").test(text)'
    return runInNewContext(search, { pattern, text }, { timeout: MAX_MATCH_MS }) === true
  } catch {
    return false
  }
}

function describe(match: Exclude<Match, { kind: 'absent' }>): string {
  switch (match.kind) {
    case 'equals':
      return showValue(match.value)
    case 'one-of':
      return match.values.length === 1
        ? showValue(match.values[0])
        : `one of ${match.values.map((value) => showValue(value)).join(', ')}`
    case 'matches':
      return `text that matches ${showValue(match.pattern)}`
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  const kinds: Record<string, string> = {
    string: 'a text',
    number: 'a number',
    boolean: 'a boolean',
    object: 'a map',
  }
  return kinds[typeof value] ?? 'something else'
}
