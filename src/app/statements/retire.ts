/** Lets go of a branch that an earlier policy named, as it is now. */

import { HeadgateError } from '../../core/errors.ts'
import { shortRef } from '../../core/explain.ts'
import { type Oid, zeroOidLike } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { fullRef } from '../../core/refs.ts'
import { type FormerBranch, formerBranches } from '../../core/state.ts'
import { statementPayload } from '../../core/statement.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { guardedPlace } from '../clone/guarded-place.ts'
import { viewGuarded } from '../clone/guarded-remote.ts'
import { requireKey, requireReason } from '../requirements.ts'
import type { StatementOptions } from './guarded-release.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type Retired = {
  readonly ref: string
  /** What it was guarded as. */
  readonly role: FormerBranch['role']
  /** Where it is; null where it is not there. */
  readonly found: Oid | null
}

export async function retire(
  caller: Caller,
  options: StatementOptions & { readonly branch: string },
  tell: (event: SubmitEvent) => void,
): Promise<Retired> {
  const key = requireKey(options.key, caller.environment)
  const reason = requireReason(options.reason)
  const client = new ClientRepository(caller)
  const place = await guardedPlace(client, options.remote)
  const { inForce, snapshot, refs } = await viewGuarded(client, place.reads)
  const { policy } = inForce
  const ref = fullRef(options.branch)
  const shown = printable(shortRef(ref), 200)
  const former = formerBranches(snapshot.state)
  const branch = former.find((other) => other.ref === ref)
  if (branch === undefined) {
    const names = former.map((other) => printable(shortRef(other.ref), 200)).join(', ')
    throw new HeadgateError('refused', `${shown} is not guarded for an earlier policy's sake`, {
      hint: names === '' ? 'no branch is, so that there is nothing to retire' : `these are: ${names}`,
    })
  }
  const found = (await client.remoteRefs(place.reads, [ref])).get(ref) ?? null
  const { staging, release } = refsOf(policy)
  const known = found ?? refs.get(release) ?? refs.get(staging)
  if (known === undefined) {
    throw new HeadgateError('configuration', 'a note speaks of a commit, and no branch has one yet', {
      hint: `push ${policy.staging} first`,
    })
  }
  const payload = statementPayload('retire', policy.repository, known, {
    role: branch.role,
    ref,
    found: found ?? zeroOidLike(known),
    reason,
    issuedAt: new Date().toISOString(),
  })
  await signAndSubmit(client, { place, kind: 'retire', payload, key }, tell)
  return { ref, role: branch.role, found }
}
