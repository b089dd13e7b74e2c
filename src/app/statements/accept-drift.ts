/** A branch that was moved behind the guard, accepted as it is. */

import { HeadgateError } from '../../core/errors.ts'
import { type Oid, zeroOidLike } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { branchRef } from '../../core/refs.ts'
import { statementPayload } from '../../core/statement.ts'
import { knownStaging } from '../../guard/known-staging.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { requireKey, requireReason } from '../requirements.ts'
import { type StatementOptions, viewRelease } from './guarded-release.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type AcceptedDrift = {
  /** False where the branch has not drifted. */
  readonly recorded: boolean
  readonly ref: string
  /** Short name. */
  readonly branch: string
  /** Where its last landed move put it, and where it is; null: not there. */
  readonly expected: Oid | null
  readonly found: Oid | null
}

export async function acceptDrift(
  caller: Caller,
  options: StatementOptions & {
    /** Short name; the release branch unless named. The staging branch can be accepted where a relay guards. */
    readonly branch?: string | undefined
  },
  tell: (event: SubmitEvent) => void,
): Promise<AcceptedDrift> {
  const key = requireKey(options.key, caller.environment)
  const reason = requireReason(options.reason)
  const client = new ClientRepository(caller)
  const { place, policy, view } = await viewRelease(client, options.remote)
  const { branch = policy.release } = options
  const isStaging = branch === policy.staging && policy.guard === 'relay'
  if (branch !== policy.release && !isStaging) {
    throw new HeadgateError('usage', `a drift of ${printable(branch, 100)} is not accepted`, {
      hint: `a drift is of ${policy.release}; of ${policy.staging} where a relay guards, since a host cannot refuse it there`,
    })
  }
  const ref = branchRef(branch)
  const found = view.refs.get(ref) ?? null
  const expected = isStaging ? await knownStaging(view) : (view.snapshot.state.landed[ref]?.to ?? null)
  const known = found ?? expected
  const drift = { ref, branch, expected, found }
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
