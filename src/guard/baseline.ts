import { type Oid, zeroOidLike } from '../core/oid.ts'
import type { NewRecord } from '../ledger/ledger.ts'
import { authorizationRecord, outcomeRecord, type StatementContext } from './server-statements.ts'

/** The release that was there before headgate: taken as the admin who installs finds it. */
export function baselineRecords(
  context: StatementContext,
  ref: string,
  tip: Oid,
  seq: number,
  referenceTransaction: boolean | null,
): NewRecord[] {
  const facts = {
    ref,
    from: zeroOidLike(tip),
    claimedFrom: zeroOidLike(tip),
    to: tip,
    objectType: 'commit',
    staging: null,
    onStaging: false,
    strays: [],
    fastForward: true,
    broughtBack: [],
    pusher: { identified: false, reason: 'found at installation' },
    certificate: { offered: false },
    pusherKeys: [],
    pushOptions: [],
  } as const
  const verdict = {
    verdict: 'allowed',
    kind: 'bootstrap',
    objections: [],
    waived: [],
    inputs: [],
    approvedBy: [],
  } as const
  const move = {
    seq,
    kind: 'bootstrap',
    ref,
    from: facts.from,
    to: tip,
    fastForward: true,
    at: context.at,
    by: context.by,
  } as const
  return [
    authorizationRecord(context, facts, verdict, referenceTransaction),
    outcomeRecord(context, move, 'landed', tip),
  ]
}
