/**
 * Who may submit which statement when: judged by the server before it records one, and again by an auditor. What only the
 * refs on disk can tell of a drift is not here.
 */

import { CLOCK_SKEW_MS } from './evidence.ts'
import type { Terms } from './policy/policy.ts'
import { printable } from './printable.ts'
import { branchRef, guardedBranches, releaseRef } from './refs.ts'
import type { Statement, SubmittedKind } from './statement.ts'
import { RULE_NAMES, type RuleName, WAIVABLE } from './verdict.ts'

export type Submitter = {
  readonly policy: Terms
  /** The trusted signer. */
  readonly principal: string
  /** When it is recorded, ms since the epoch. */
  readonly at: number
}

/** What is wrong with a well-signed statement; null if nothing. */
export function objectionToSubmission(
  statement: Statement<SubmittedKind>,
  { policy, principal, at }: Submitter,
): string | null {
  const who = printable(principal, 80)
  const isOperator = policy.promotion.operators.includes(principal)
  const release = releaseRef(policy)
  const future = (time: string) => Date.parse(time) > at + CLOCK_SKEW_MS
  switch (statement.kind) {
    case 'evidence': {
      const { environment, finishedAt } = statement.predicate.headgate
      if (!Object.hasOwn(policy.environments, environment))
        return `the policy knows no environment "${printable(environment)}"`
      return future(finishedAt) ? `the run says that it finished in the future (${finishedAt})` : null
    }
    case 'approval':
    case 'override': {
      const { ref, to, issuedAt, expiresAt } = statement.predicate
      if (ref !== release) return `${printable(ref)} is not the release branch (${release})`
      if (to !== statement.commit) return 'its subject is not the commit that it permits to move to'
      if (future(issuedAt)) return `it says that it was issued in the future (${issuedAt})`
      if (Date.parse(expiresAt) <= at) return `it expired at ${expiresAt}`
      if (statement.kind === 'approval')
        return policy.rollback.approvers.includes(principal) ? null : `${who} may not approve rollbacks`
      if (!isOperator) return `${who} is not an operator and cannot override`
      const wrong = statement.predicate.waives.find((rule) => !WAIVABLE.has(rule as RuleName))
      if (wrong === undefined) return null
      return (RULE_NAMES as readonly string[]).includes(wrong)
        ? `the rule ${wrong} cannot be waived`
        : `there is no rule named "${printable(wrong)}"`
    }
    case 'request': {
      const { ref, to, issuedAt, expiresAt } = statement.predicate
      if (policy.guard !== 'relay') return 'nobody is asked for a move here: an operator pushes it'
      if (!isOperator) return `${who} is not an operator of ${policy.release}`
      if (ref !== release) return `${printable(ref)} is not the release branch (${release})`
      if (to !== statement.commit) return 'its subject is not the commit that it asks to move to'
      if (future(issuedAt)) return `it says that it was issued in the future (${issuedAt})`
      return Date.parse(expiresAt) <= at ? `it expired at ${expiresAt}` : null
    }
    case 'invalidation':
      return future(statement.predicate.issuedAt) ? 'it says that it was issued in the future' : null
    case 'freeze':
      if (!isOperator) return `${who} is not an operator and can neither freeze nor unfreeze`
      return future(statement.predicate.issuedAt) ? 'it says that it was issued in the future' : null
    case 'retire': {
      const { role, ref, issuedAt } = statement.predicate
      if (!isOperator) return `${who} is not an operator and cannot retire a branch`
      if (ref === branchRef(policy[role]))
        return `${printable(ref)} is the ${role} branch; only one that an earlier policy named can be retired`
      return future(issuedAt) ? 'it says that it was issued in the future' : null
    }
    case 'drift': {
      const { ref, issuedAt } = statement.predicate
      if (!isOperator) return `${who} is not an operator and cannot settle a drift`
      // Nobody can refuse a rewrite of the staging branch on a host without hooks, so that it has to be settled.
      const settled = policy.guard === 'relay' ? guardedBranches(policy) : [release]
      if (!settled.includes(ref)) return `${printable(ref)} is not the release branch (${release})`
      return future(issuedAt) ? 'it says that it was issued in the future' : null
    }
  }
}
