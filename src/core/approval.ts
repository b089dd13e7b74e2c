import { CLOCK_SKEW_MS } from './evidence.ts'
import type { ReleaseMove } from './facts.ts'
import { type History, type HistoryRecord, trusted } from './history.ts'
import { shortOid } from './oid.ts'
import type { Terms } from './policy/policy.ts'
import { usedPayloads, type Voice } from './single-use.ts'

export type TrustedApproval = HistoryRecord<'approval'> & { signer: { trusted: true } }

export type Approvals = {
  /** One for each approver that counts, oldest first. */
  readonly valid: readonly TrustedApproval[]
  /** Why each other approval about this commit does not count. */
  readonly invalid: readonly string[]
}

/** Which approvals permit exactly this move now. Each approver counts once, and each key, however often they signed. */
export function collectApprovals(
  facts: ReleaseMove,
  policy: Terms,
  history: History,
  now: number,
): Approvals {
  const { approvers, approverMayPush, approvalMaxAgeMs } = policy.rollback
  const spent = usedPayloads(history.about, facts.ref, facts.to)
  const valid: TrustedApproval[] = []
  const invalid: string[] = []
  for (const record of history.about) {
    if (record.statement.kind !== 'approval') continue
    if (!record.signer.trusted) {
      invalid.push(`the approval in record ${record.seq}, since ${record.signer.reason}`)
      continue
    }
    const approval = record as TrustedApproval
    const { principal, fingerprint } = approval.signer
    const objection =
      permissionObjection(approval, facts, policy, spent, now) ??
      (now - Date.parse(approval.statement.predicate.issuedAt) >= approvalMaxAgeMs
        ? 'is older than rollback.approvalMaxAge allows'
        : !approvers.includes(principal)
          ? 'is by someone who may not approve rollbacks'
          : !approverMayPush && isPusher(approval.signer, facts)
            ? 'is by the pusher, and the policy asks for somebody else'
            : valid.some((other) => other.signer.principal === principal)
              ? 'is a second one by the same approver'
              : // Whoever got another name in allowed_signers meanwhile is still one person.
                valid.some((other) => other.signer.fingerprint === fingerprint)
                ? 'is a second one by the same key'
                : null)
    if (objection === null) valid.push(approval)
    else invalid.push(`the approval by ${principal} (record ${approval.seq}) ${objection}`)
  }
  return { valid, invalid }
}

/** Whether who signed also pushes: by name, or by a key that is the pusher's under another name. */
function isPusher(
  { principal, fingerprint }: Voice,
  { pusher, certificate, pusherKeys }: ReleaseMove,
): boolean {
  if (pusher.identified && pusher.principal === principal) return true
  if (pusherKeys === null) return false
  const signedPush = certificate.offered && certificate.good && certificate.principal === principal
  return signedPush || pusherKeys.includes(fingerprint)
}

/** Overrides that permit exactly this move now, by operators. */
export function validOverrides(
  facts: ReleaseMove,
  policy: Terms,
  history: History,
  now: number,
): (HistoryRecord<'override'> & { signer: { trusted: true } })[] {
  const spent = usedPayloads(history.about, facts.ref, facts.to)
  return trusted(history.about, 'override').filter(
    (override) =>
      permissionObjection(override, facts, policy, spent, now) === null &&
      now - Date.parse(override.statement.predicate.issuedAt) < policy.rollback.approvalMaxAgeMs &&
      policy.promotion.operators.includes(override.signer.principal),
  )
}

/** What is wrong with a permission, whether approval or override, for this from -> to at this time; null if nothing. */
function permissionObjection(
  record: HistoryRecord<'approval' | 'override'>,
  facts: ReleaseMove,
  policy: Terms,
  spent: ReadonlySet<string>,
  now: number,
): string | null {
  const { ref, from, to, issuedAt, expiresAt } = record.statement.predicate
  if (record.statement.repository !== policy.repository) return 'is for another repository'
  if (ref !== facts.ref) return `is for ${ref}`
  if (from !== facts.from || to !== facts.to || record.statement.commit !== to) {
    return `is for ${shortOid(from)} -> ${shortOid(to)}`
  }
  if (spent.has(record.statement.payloadDigest)) return 'has been used'
  if (Date.parse(issuedAt) > now + CLOCK_SKEW_MS) return 'was issued in the future'
  if (now >= Date.parse(expiresAt)) return `expired at ${expiresAt}`
  return null
}
