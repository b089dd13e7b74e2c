/**
 * Whether the server was right to record a submitted statement: who may make it, for which repository, at which time.
 * The same conditions stand in docs/ledger-format.md, "The inbox".
 */
import { CLOCK_SKEW_MS } from '../core/evidence.ts'
import { isZeroOid, type Oid, zeroOidLike } from '../core/oid.ts'
import type { Policy } from '../core/policy.ts'
import { printable } from '../core/printable.ts'
import type { LedgerState } from '../core/state.ts'
import type { Statement, SubmittedKind } from '../core/statement.ts'
import { type RuleName, WAIVABLE } from '../core/verdict.ts'

type Circumstances = {
  readonly policy: Policy
  readonly state: LedgerState
  /** The trusted signer. */
  readonly principal: string
  /** When it was recorded, ms since the epoch. */
  readonly at: number
}

/** What should have kept the server from recording it; null if nothing. */
export function objectionToStatement(
  statement: Statement<SubmittedKind>,
  { policy, state, principal, at }: Circumstances,
): string | null {
  if (statement.repository !== policy.repository)
    return `it is for the repository "${printable(statement.repository)}", not for "${printable(policy.repository)}"`
  if (isZeroOid(statement.commit)) return 'it is about no commit'
  const who = printable(principal, 80)
  const future = (time: string) => Date.parse(time) > at + CLOCK_SKEW_MS
  const isOperator = policy.promotion.operators.includes(principal)
  const release = `refs/heads/${policy.release}`
  switch (statement.kind) {
    case 'evidence': {
      const { environment, finishedAt } = statement.predicate.headgate
      if (!Object.hasOwn(policy.environments, environment))
        return `the policy has no environment "${printable(environment)}"`
      return future(finishedAt)
        ? `the run finished at ${finishedAt}, which was in the future when it was recorded`
        : null
    }
    case 'approval':
    case 'override': {
      const { ref, to, issuedAt, expiresAt } = statement.predicate
      if (ref !== release) return `${printable(ref)} is not the release branch`
      if (to !== statement.commit) return 'its subject is not the commit that it permits to move to'
      if (future(issuedAt)) return `it was issued at ${issuedAt}, in the future when it was recorded`
      if (Date.parse(expiresAt) <= at) return `it had expired at ${expiresAt}, before it was recorded`
      if (statement.kind === 'approval')
        return policy.rollback.approvers.includes(principal) ? null : `${who} may not approve rollbacks`
      if (!isOperator) return `${who} is not an operator and cannot override`
      const wrong = statement.predicate.waives.find((rule) => !WAIVABLE.has(rule as RuleName))
      return wrong === undefined ? null : `the rule ${printable(wrong)} cannot be waived`
    }
    case 'invalidation':
      return future(statement.predicate.issuedAt) ? 'it was issued in the future' : null
    case 'freeze':
      if (!isOperator) return `${who} is not an operator and can neither freeze nor unfreeze`
      return future(statement.predicate.issuedAt) ? 'it was issued in the future' : null
    case 'drift': {
      const { ref, expected, found, issuedAt } = statement.predicate
      if (!isOperator) return `${who} is not an operator and cannot settle a drift`
      if (ref !== release) return `${printable(ref)} is not the release branch`
      if (future(issuedAt)) return 'it was issued in the future'
      return objectionToDrift(state, ref, expected, found)
    }
  }
}

/** Where the branch was, nobody can tell afterwards; where the ledger had put it, anybody can. */
function objectionToDrift(state: LedgerState, ref: string, expected: Oid, found: Oid): string | null {
  const landed = state.landed[ref]?.to ?? zeroOidLike(expected)
  // A move that was on disk and not yet recorded as landed was taken for a drift; its outcome came first, then.
  if (expected !== landed && found !== landed)
    return `it expects ${expected}, and the last landed move went to ${landed}`
  return expected === found ? 'it accepts a drift where there is none' : null
}
