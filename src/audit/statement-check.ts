/**
 * Whether the server was right to record a submitted statement: who may make it, for which repository, at which time.
 * The same conditions stand in docs/ledger-format.md, "The inbox".
 */
import { isZeroOid, type Oid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { stagingRef } from '../core/refs.ts'
import { formerBranches, type LedgerState } from '../core/state.ts'
import type { Statement, SubmittedKind } from '../core/statement.ts'
import { objectionToSubmission, type Submitter } from '../core/submission.ts'

type Circumstances = Submitter & { readonly state: LedgerState }

/** What should have kept the server from recording it; null if nothing. */
export function objectionToStatement(
  statement: Statement<SubmittedKind>,
  { policy, state, principal, at }: Circumstances,
): string | null {
  if (statement.repository !== policy.repository)
    return `it is for the repository "${printable(statement.repository)}", not for "${printable(policy.repository)}"`
  if (isZeroOid(statement.commit)) return 'it is about no commit'
  const objection = objectionToSubmission(statement, { policy, principal, at })
  if (objection === null && statement.kind === 'retire') {
    const { role, ref } = statement.predicate
    const isFormer = formerBranches(state).some((former) => former.role === role && former.ref === ref)
    return isFormer ? null : `${printable(ref, 200)} was no ${role} branch that an earlier policy named`
  }
  if (objection !== null || statement.kind !== 'drift') return objection
  const { ref, expected, found } = statement.predicate
  // Where the staging branch was, the records of moves tell, and the branch's own history is audited by them.
  if (ref === stagingRef(policy)) return expected === found ? 'it accepts a drift where there is none' : null
  return objectionToDrift(state, ref, expected, found)
}

/** Where the branch really was cannot be told afterwards; where the ledger had put it, can. */
function objectionToDrift(state: LedgerState, ref: string, expected: Oid, found: Oid): string | null {
  const landed = state.landed[ref]?.to ?? zeroOidLike(expected)
  // A move that was on disk and not yet recorded as landed was taken for a drift; its outcome came first, then.
  if (expected !== landed && found !== landed)
    return `it expects ${expected}, and the last landed move went to ${landed}`
  return expected === found ? 'it accepts a drift where there is none' : null
}
