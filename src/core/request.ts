/**
 * An operator's signed wish for exactly one move, where nobody can ask the transport who pushes: it stands for the push,
 * for who pushes, and for the options that a push would carry. It is used once, by what was signed.
 */
import { CLOCK_SKEW_MS } from './evidence.ts'
import type { ReleaseMove } from './facts.ts'
import { type History, type HistoryRecord, trusted } from './history.ts'
import type { Terms } from './policy/policy.ts'
import { pushOption } from './push-option.ts'
import { DESPITE_BAR } from './rules/barred.ts'
import { usedPayloads } from './single-use.ts'
import type { Predicates } from './statement.ts'

/** The name of the source of a pusher who was told by a request. */
export const REQUEST_SOURCE = 'request'

/** What was asked for longer ago is not wanted any more. */
export const MAX_REQUEST_AGE_MS = 60 * 60_000

export type TrustedRequest = HistoryRecord<'request'> & { readonly signer: { readonly trusted: true } }

/** The options that a push for it would carry, in this order. */
export function requestOptions(request: Predicates['request']): string[] {
  const { note, plan, trigger, symptoms, despiteBar } = request
  const texts = { note, plan, trigger, symptoms }
  return [
    ...Object.entries(texts).flatMap(([name, text]) => (typeof text === 'string' ? [`${name}=${text}`] : [])),
    ...(despiteBar ?? []).map((commit) => `${DESPITE_BAR}${commit}`),
  ]
}

/** The keys of a pusher who is known by a request: the one that signed it, too. */
export function withRequestKey(keys: readonly string[], fingerprint: string): string[] {
  return [...new Set([...keys, fingerprint])].sort()
}

/** What of a request says the same as these options of a push; others mean nothing to headgate. */
export function requestWords(
  pushOptions: readonly string[],
): Pick<Predicates['request'], 'note' | 'plan' | 'trigger' | 'symptoms' | 'despiteBar'> {
  const word = (name: string) => {
    const text = pushOption(pushOptions, name)
    return text === null ? {} : { [name]: text }
  }
  const despiteBar = pushOptions
    .filter((option) => option.startsWith(DESPITE_BAR))
    .map((option) => option.slice(DESPITE_BAR.length))
  return {
    ...{ ...word('note'), ...word('plan'), ...word('trigger'), ...word('symptoms') },
    ...(despiteBar.length === 0 ? {} : { despiteBar }),
  }
}

/** The pusher's newest request that permits exactly this move now; null if there is none. `now` in ms. */
export function validRequest(
  facts: ReleaseMove,
  policy: Terms,
  history: History,
  now: number,
): TrustedRequest | null {
  const { pusher } = facts
  if (!pusher.identified || pusher.source !== REQUEST_SOURCE) return null
  const spent = usedPayloads(history.about, facts.ref, facts.to)
  // One that is older than the last move was asked for in another situation, whatever the branch has come back to.
  const landed = history.state.landed[facts.ref]
  const newest = landed === undefined ? Number.NEGATIVE_INFINITY : Date.parse(landed.at) - CLOCK_SKEW_MS
  const valid = trusted(history.about, 'request').filter(({ statement, signer }) => {
    const { ref, from, to, issuedAt, expiresAt } = statement.predicate
    const age = now - Date.parse(issuedAt)
    return (
      statement.repository === policy.repository &&
      statement.commit === to &&
      signer.principal === pusher.principal &&
      ref === facts.ref &&
      from === facts.from &&
      to === facts.to &&
      !spent.has(statement.payloadDigest) &&
      age >= -CLOCK_SKEW_MS &&
      age < MAX_REQUEST_AGE_MS &&
      Date.parse(issuedAt) >= newest &&
      now < Date.parse(expiresAt)
    )
  })
  return valid.at(-1) ?? null
}
