/** `headgate retire`: lets go of a branch that an earlier policy named, as it is now. */

import { ClientRepository } from '../app/clone/client-repository.ts'
import { guardedPlace } from '../app/clone/guarded-place.ts'
import { viewGuarded } from '../app/clone/guarded-remote.ts'
import { requireKey, requireReason } from '../app/requirements.ts'
import { signAndSubmit } from '../app/statements/submit.ts'
import { HeadgateError } from '../core/errors.ts'
import { shortRef } from '../core/explain.ts'
import { zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { fullRef } from '../core/refs.ts'
import { formerBranches } from '../core/state.ts'
import { statementPayload } from '../core/statement.ts'
import { refsOf } from '../guard/foresee.ts'
import { print, printJson } from './output.ts'
import { tellSubmit } from './screens/submit.ts'
import { thisCaller } from './this-caller.ts'

export async function retire(options: {
  readonly branch: string
  readonly reason: string
  readonly key: string | undefined
  readonly remote: string
  readonly json: boolean
}): Promise<void> {
  const key = requireKey(options.key, thisCaller().environment)
  const reason = requireReason(options.reason)
  const client = new ClientRepository(thisCaller())
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
  await signAndSubmit(client, { place, kind: 'retire', payload, key }, tellSubmit)
  if (options.json)
    return printJson({ recorded: 'retire', remote: options.remote, ref, role: branch.role, found })
  print(`retired: nobody guards ${shown} any more`)
}
