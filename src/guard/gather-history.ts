import { canonicalJson, sha256 } from '../core/canonical-json.ts'
import type { Envelope } from '../core/envelope.ts'
import type { History, HistoryRecord, Signer } from '../core/history.ts'
import type { Oid } from '../core/oid.ts'
import type { LedgerState } from '../core/state.ts'
import { NAMESPACES, SUBMITTED_KINDS, type SubmittedKind } from '../core/statement.ts'
import type { LedgerRecord, Snapshot } from '../ledger/ledger.ts'
import type { AllowedSigner } from '../signing/allowed-signers.ts'
import { parseSignatures, verifyEnvelope } from '../signing/envelope-verify.ts'
import { parseSigners } from './parse-signers.ts'
import type { TermsInForce } from './policy-in-force.ts'

/** The name that an authorization calls an envelope by: SHA-256 of its canonical JSON. */
export function envelopeDigest(envelope: Envelope): string {
  return sha256(canonicalJson(envelope))
}

/**
 * The history that a move to `commit` is judged by. Each signature is checked here again, by the allowed_signers that
 * were in force when the statement was recorded, so that a decision rests on keys and not on what the ledger says of them.
 * `inForce` spares reading the policy of this snapshot once more.
 */
export async function gatherHistory(
  snapshot: Snapshot,
  commit: Oid,
  inForce: TermsInForce | null = null,
): Promise<History> {
  const records = await snapshot.about(commit)
  const signersAt = signersByRecord(snapshot, inForce)
  const about: HistoryRecord[] = []
  for (const record of records) about.push(await judgeRecord(record, signersAt))
  return { state: snapshot.state, about }
}

async function judgeRecord(
  record: LedgerRecord,
  signersAt: (seq: number) => Promise<readonly AllowedSigner[]>,
): Promise<HistoryRecord> {
  const { seq, by, envelope, statement } = record
  const at = Date.parse(record.at)
  const signer: Signer = isSubmitted(statement.kind)
    ? judgeSigner(envelope, statement.kind, await signersAt(seq), at)
    : { trusted: true, principal: 'server', fingerprint: '' }
  return { seq, at, by, statement, envelopeDigest: envelopeDigest(envelope), signer }
}

/** Who signed a submitted statement, by these keys at this time (ms since the epoch). */
export function judgeSigner(
  envelope: Envelope,
  kind: SubmittedKind,
  signers: readonly AllowedSigner[],
  at: number,
): Signer {
  const { trust } = verifyEnvelope(parseSignatures(envelope), signers, NAMESPACES[kind], at)
  return trust.verdict === 'trusted'
    ? { trusted: true, principal: trust.principal, fingerprint: trust.fingerprint }
    : { trusted: false, reason: trust.reason }
}

export function isSubmitted(kind: string): kind is SubmittedKind {
  return (SUBMITTED_KINDS as readonly string[]).includes(kind)
}

/** Reads each allowed_signers at most once; almost always there is one. */
function signersByRecord(
  snapshot: Snapshot,
  inForce: TermsInForce | null,
): (seq: number) => Promise<readonly AllowedSigner[]> {
  const cache = new Map(inForce === null ? [] : [[inForce.version, inForce.signers]])
  return async (seq) => {
    const version = versionInForce(snapshot.state, seq)
    if (version === null) return []
    const known = cache.get(version)
    if (known !== undefined) return known
    const files = await snapshot.policyVersion(version)
    const signers = files === null ? [] : parseSigners(files)
    cache.set(version, signers)
    return signers
  }
}

function versionInForce(state: LedgerState, seq: number): number | null {
  return state.policies.findLast((policy) => policy.seq < seq)?.version ?? null
}
