import { isOid, isZeroOid, type Oid } from '../core/oid.ts'
import { releaseRef, stagingRef } from '../core/refs.ts'
import type { GuardedView } from './guarded-view.ts'
import type { TermsInForce } from './policy-in-force.ts'

/**
 * Where the ledger saw the staging branch last, by the newest move of the release branch or by a note that accepted a
 * rewrite. Everything since then must be on top of it. Null where the ledger does not say.
 */
export async function knownStaging({
  snapshot,
  inForce,
}: Pick<GuardedView<TermsInForce>, 'snapshot' | 'inForce'>): Promise<Oid | null> {
  const { landed } = snapshot.state
  const accepted = landed[stagingRef(inForce.policy)]
  const move = landed[releaseRef(inForce.policy)]
  if (move === undefined || (accepted !== undefined && accepted.seq > move.seq)) return accepted?.to ?? null
  const record = (await snapshot.about(move.to)).find(({ seq }) => seq === move.seq)
  if (record?.statement.kind !== 'authorization') return accepted?.to ?? null
  const { staging } = record.statement.predicate['urn:headgate:move'].facts
  return typeof staging === 'string' && isOid(staging) && !isZeroOid(staging)
    ? staging
    : (accepted?.to ?? null)
}
