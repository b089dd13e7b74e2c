import { isOid, isZeroOid, type Oid } from '../core/oid.ts'
import { releaseRef, stagingRef } from '../core/refs.ts'
import type { Snapshot } from '../ledger/ledger.ts'
import type { GuardedView } from './guarded-view.ts'
import type { TermsInForce } from './policy-in-force.ts'
import { policyRecordOf } from './policy-record.ts'

type Seen = { readonly seq: number; readonly commit: Oid }

/**
 * Where the ledger saw the staging branch last: when the policy in force was applied, by the newest move of the release
 * branch, or by a note that accepted a rewrite. Everything since then must be on top of it. Null where the ledger does not say.
 */
export async function knownStaging({
  snapshot,
  inForce,
}: Pick<GuardedView<TermsInForce>, 'snapshot' | 'inForce'>): Promise<Oid | null> {
  const { landed } = snapshot.state
  const accepted = landed[stagingRef(inForce.policy)]
  const policy = await policyRecordOf(snapshot)
  const seen = [
    accepted === undefined ? null : { seq: accepted.seq, commit: accepted.to },
    await seenByMove(snapshot, releaseRef(inForce.policy)),
    policy === null ? null : { seq: policy.seq, commit: policy.statement.commit },
  ]
  const newest = seen
    .flatMap((one) => (one === null || isZeroOid(one.commit) ? [] : [one]))
    .toSorted((a, b) => b.seq - a.seq)
  return newest[0]?.commit ?? null
}

async function seenByMove(snapshot: Snapshot, release: string): Promise<Seen | null> {
  const move = snapshot.state.landed[release]
  if (move === undefined) return null
  const record = (await snapshot.about(move.to)).find(({ seq }) => seq === move.seq)
  if (record?.statement.kind !== 'authorization') return null
  const { staging } = record.statement.predicate['urn:headgate:move'].facts
  return typeof staging === 'string' && isOid(staging) ? { seq: move.seq, commit: staging } : null
}
