/** Who still has to permit a rollback, and the own permission where the policy lets the pusher give it. */
import { randomUUID } from 'node:crypto'
import type { Oid } from '../../core/oid.ts'
import { statementPayload } from '../../core/statement.ts'
import type { RollbackOption } from '../../guard/rollback-targets.ts'
import { keyHolder } from '../clone/key-holder.ts'
import { type SubmitEvent, signAndSubmit } from '../statements/submit.ts'
import type { ReleaseSession } from './release-session.ts'

/** What is missing until a rollback is permitted. */
export type Getting =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'sign'
      readonly key: string
      readonly principal: string
      /** How many are needed, this one included, and who else can give them. */
      readonly missing: number
      readonly who: readonly string[]
    }
  | { readonly kind: 'others'; readonly missing: number; readonly who: readonly string[] }

/** Whether nobody else has to agree first. */
export function mayGoAlone(getting: Getting): boolean {
  return getting.kind === 'none' || (getting.kind === 'sign' && getting.missing === 1)
}

/** It is used at once: long enough for a slow network. */
const OWN_APPROVAL_MS = 15 * 60_000

export function approvalsToGet(session: ReleaseSession, { approvals, foresight }: RollbackOption): Getting {
  const { policy } = session
  const { approvers, approverMayPush, approvals: needed } = policy.rollback
  if (foresight.answer === 'yes' || policy.enforcement === 'evaluate') return { kind: 'none' }
  const { key } = session
  const holder = key === undefined ? null : keyHolder(key, session.view.inForce.signers, Date.now())
  const mine = (name: string) => name === holder?.principal
  const given = approvals.valid
    .map(({ signer }) => signer.principal)
    .filter((name) => approverMayPush || !mine(name))
  const missing = needed - given.length
  if (missing <= 0) return { kind: 'none' }
  const who = approvers.filter((name) => !given.includes(name) && (approverMayPush || !mine(name)))
  // A key that tells nothing of itself, such as a certificate: the server will say whose it is.
  const may = holder === null || (approvers.some(mine) && holder.may('headgate-approval'))
  if (key === undefined || !approverMayPush || !may || given.some(mine))
    return { kind: 'others', missing, who }
  const principal = holder?.principal ?? 'the holder of the key'
  return { kind: 'sign', key, principal, missing, who }
}

export async function signOwnApproval(
  session: ReleaseSession,
  approval: {
    readonly from: Oid
    readonly to: Oid
    readonly key: string
    readonly request: {
      readonly trigger: string
      readonly symptoms: string
      readonly reason: string | undefined
    }
  },
  tell: (event: SubmitEvent) => void,
): Promise<void> {
  const { from, to, key, request } = approval
  const { policy, client, place } = session
  const now = Date.now()
  const payload = statementPayload('approval', policy.repository, to, {
    ref: session.releaseRef,
    from,
    to,
    trigger: request.trigger,
    symptoms: request.symptoms,
    reason: request.reason ?? request.trigger,
    nonce: randomUUID(),
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + Math.min(OWN_APPROVAL_MS, policy.rollback.approvalMaxAgeMs)).toISOString(),
  })
  await signAndSubmit(client, { place, kind: 'approval', payload, key }, tell)
}
