/** Evidence that is taken back. */

import type { Oid } from '../../core/oid.ts'
import { statementPayload } from '../../core/statement.ts'
import type { AllowedSigner } from '../../signing/allowed-signers.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { guardedPlace } from '../clone/guarded-place.ts'
import { viewGuarded } from '../clone/guarded-remote.ts'
import { keyHolder } from '../clone/key-holder.ts'
import { requireKey, requireReason } from '../requirements.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type InvalidateOptions = {
  readonly commit: string
  readonly reason: string
  /** The role that the key signs in; undefined takes the one that it has. */
  readonly as: 'evidence' | 'approval' | undefined
  readonly key: string | undefined
  readonly remote: string
}

/** Returns the commit about which there is no evidence any more. */
export async function invalidateEvidence(
  caller: Caller,
  options: InvalidateOptions,
  tell: (event: SubmitEvent) => void,
): Promise<Oid> {
  const key = requireKey(options.key, caller.environment)
  const reason = requireReason(options.reason)
  const client = new ClientRepository(caller)
  const place = await guardedPlace(client, options.remote)
  const { inForce } = await viewGuarded(client, place.reads)
  const commit = await client.resolveCommit(options.commit)
  const payload = statementPayload('invalidation', inForce.policy.repository, commit, {
    reason,
    issuedAt: new Date().toISOString(),
  })
  const namespace = `headgate-${options.as ?? roleOf(key, inForce.signers)}`
  await signAndSubmit(client, { place, kind: 'invalidation', namespace, payload, key }, tell)
  return commit
}

/** A signer of evidence or of approvals may take evidence back. Where the clone cannot tell, the server will. */
function roleOf(key: string, signers: readonly AllowedSigner[]): 'evidence' | 'approval' {
  const holder = keyHolder(key, signers, Date.now())
  return holder?.may('headgate-evidence') === false && holder.may('headgate-approval')
    ? 'approval'
    : 'evidence'
}
