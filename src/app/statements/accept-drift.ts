/** A release branch that was moved behind the guard, accepted as it is. */
import { type Oid, zeroOidLike } from '../../core/oid.ts'
import { releaseRef } from '../../core/refs.ts'
import { statementPayload } from '../../core/statement.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { requireKey, requireReason } from '../requirements.ts'
import { type StatementOptions, viewRelease } from './guarded-release.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type AcceptedDrift = {
  /** False where the branch has not drifted. */
  readonly recorded: boolean
  readonly ref: string
  /** Short name of the release branch. */
  readonly branch: string
  /** Where its last landed move put it, and where it is; null: not there. */
  readonly expected: Oid | null
  readonly found: Oid | null
}

export async function acceptDrift(
  caller: Caller,
  options: StatementOptions,
  tell: (event: SubmitEvent) => void,
): Promise<AcceptedDrift> {
  const key = requireKey(options.key, caller.environment)
  const reason = requireReason(options.reason)
  const client = new ClientRepository(caller)
  const { place, policy, state, release: found } = await viewRelease(client, options.remote)
  const ref = releaseRef(policy)
  const expected = state.landed[ref]?.to ?? null
  const known = found ?? expected
  const drift = { ref, branch: policy.release, expected, found }
  if (known === null || expected === found) return { recorded: false, ...drift }
  const payload = statementPayload('drift', policy.repository, known, {
    ref,
    expected: expected ?? zeroOidLike(known),
    found: found ?? zeroOidLike(known),
    reason,
    issuedAt: new Date().toISOString(),
  })
  await signAndSubmit(client, { place, kind: 'drift', payload, key }, tell)
  return { recorded: true, ...drift }
}
