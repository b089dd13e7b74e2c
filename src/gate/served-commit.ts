import { isOid, isZeroOid, type Oid } from '../core/oid.ts'
import type { Environment } from '../core/policy/policy.ts'
import { readJson, valueAtPath } from './answer-text.ts'
import type { BaseUrl } from './base-url.ts'
import { exchange } from './http-exchange.ts'

/** As long as a gate gets by default. */
const TIMEOUT_MS = 10_000

/**
 * What an environment says about the commit that it runs.
 *
 * - `reported`     a full commit id
 * - `unreported`   an answer without one
 * - `invalid`      something that is no full id. An abbreviation is one of these: it can stand for several commits
 * - `unreadable`   no complete answer
 * - `unreachable`  no connection
 */
export type ServedCommit =
  | { readonly kind: 'reported'; readonly commit: Oid }
  | { readonly kind: 'unreported' | 'invalid' | 'unreadable' | 'unreachable'; readonly reason: string }

export async function readServedCommit(
  base: BaseUrl,
  source: NonNullable<Environment['servedCommit']>,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<ServedCommit> {
  const request = { method: 'GET', path: source.get, headers, body: null } as const
  const result = await exchange(base, request, { timeoutMs: TIMEOUT_MS, signal })
  const where = `GET ${source.get}`
  if (result.kind === 'unreachable') return { kind: 'unreachable', reason: result.reason }
  if (result.kind === 'failed') return { kind: 'unreadable', reason: `${where}: ${result.reason}` }
  const { answer } = result
  if (answer.status < 200 || answer.status > 299) {
    return { kind: 'unreported', reason: `${where} has status ${answer.status}` }
  }
  const json = readJson(answer)
  if (!json.ok) return { kind: 'unreported', reason: `${where}: ${json.reason}` }
  const found = valueAtPath(json.value, source.json)
  const text = typeof found === 'string' ? found.trim() : found
  if (text === undefined || text === null || text === '') {
    return { kind: 'unreported', reason: `${where} has nothing at json ${source.json}` }
  }
  if (typeof text !== 'string' || !isOid(text) || isZeroOid(text)) {
    const abbreviated = typeof text === 'string' && /^[0-9a-f]{4,63}$/i.test(text)
    const what = abbreviated ? 'an abbreviated or malformed commit id' : 'something that is no commit id'
    return {
      kind: 'invalid',
      reason: `${where} has ${what} at json ${source.json}; the full lowercase id is needed`,
    }
  }
  return { kind: 'reported', commit: text }
}
