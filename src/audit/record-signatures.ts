/** The signatures of a record: parsed as it is read, so that those of many are checked at once, and judged afterwards. */
import { NAMESPACES, type SubmittedKind } from '../core/statement.ts'
import { isSubmitted } from '../guard/gather-history.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import { parseSeal, type Seal, serverSignatures } from '../guard/seal-check.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import {
  listedSignatures,
  parseSignatures,
  type SignedEnvelope,
  verifyEnvelope,
} from '../signing/envelope-verify.ts'
import type { IsGenuine } from '../signing/sshsig.ts'
import type { Signed } from '../signing/verify-batch.ts'

export type RecordSignatures = {
  readonly seal: Seal
  readonly envelope: SignedEnvelope
  /** The signatures of both whose cryptography matters. */
  readonly signatures: readonly Signed[]
}

export function signaturesOf(record: LedgerRecord, inForce: PolicyInForce | null): RecordSignatures {
  const seal = parseSeal(record)
  const envelope = parseSignatures(record.envelope)
  const signatures = [
    ...serverSignatures(seal.message, [seal.signature]),
    ...(isSubmitted(record.statement.kind)
      ? listedSignatures(envelope, inForce?.signers ?? [])
      : serverSignatures(envelope.message, envelope.signatures)),
  ]
  return { seal, envelope, signatures }
}

/** Who submitted a record, by the keys that were in force when it was recorded. */
export function signerOf(
  record: LedgerRecord,
  envelope: SignedEnvelope,
  by: { readonly kind: SubmittedKind; readonly inForce: PolicyInForce | null; readonly isGenuine: IsGenuine },
) {
  const { kind, inForce, isGenuine } = by
  if (inForce === null) return { trusted: false, reason: 'no policy was in force', key: null } as const
  const at = Date.parse(record.at)
  const { trust } = verifyEnvelope(envelope, inForce.signers, NAMESPACES[kind], at, isGenuine)
  const key = trust.fingerprint ?? null
  return trust.verdict === 'trusted'
    ? ({ trusted: true, principal: trust.principal, fingerprint: trust.fingerprint, key } as const)
    : ({ trusted: false, reason: trust.reason, key } as const)
}
