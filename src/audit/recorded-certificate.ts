import { HeadgateError } from '../core/errors.ts'
import { type Certificate, MAX_PUSH_OPTION_LENGTH, MAX_PUSH_OPTIONS } from '../core/facts.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { AllowedSigner } from '../signing/allowed-signers.ts'
import { parsePushCertificate, verifyPushCertificate } from '../signing/push-certificate.ts'

/** How old a signed nonce may be when the server judges it. */
const MAX_NONCE_AGE_MS = 15 * 60_000

/**
 * The push certificate that an authorization keeps, judged again as the server judged it, by the keys that were in
 * force. Whether its nonce was the server's own, only the server could tell.
 */
export function judgeRecordedCertificate(
  record: LedgerRecord,
  signers: readonly AllowedSigner[],
): {
  readonly certificate: Certificate
  readonly problem: string | null
  /** The other ref that it names. */
  readonly elsewhere: string | null
} {
  const none = { certificate: { offered: false }, problem: null, elsewhere: null } as const
  if (record.statement.kind !== 'authorization') return none
  const { pushCertificate, pushOptions, from, to, ref } = record.statement.predicate['urn:headgate:move']
  if (pushCertificate === null || pushCertificate === undefined) return none
  const bad = (reason: string) => ({
    certificate: { offered: true, good: false, reason } as const,
    problem: reason,
    elsewhere: null,
  })
  const at = Date.parse(record.at)
  try {
    const certificate = parsePushCertificate(Buffer.from(pushCertificate, 'utf8'))
    const trust = verifyPushCertificate(certificate, signers, at)
    if (trust.verdict !== 'trusted') return bad(`does not hold: ${trust.reason}`)
    const stamp = Number(/^(\d{1,12})-/.exec(certificate.nonce ?? '')?.[1] ?? Number.NaN) * 1000
    if (!(Math.abs(at - stamp) <= MAX_NONCE_AGE_MS)) return bad('has a nonce that was too old')
    // A push of an alias names the alias: then only the change itself tells that this move is meant.
    const covering = certificate.updates.filter((update) => update.from === from && update.to === to)
    if (covering.length === 0) return bad('is for another move')
    const other = covering.every((update) => update.ref !== ref) ? covering[0]?.ref : undefined
    return {
      certificate: {
        ...{ offered: true, good: true, text: pushCertificate },
        ...{ principal: trust.principal, fingerprint: trust.fingerprint },
      },
      problem: isRecorded(certificate.pushOptions, pushOptions) ? null : 'names other push options',
      elsewhere: other ?? null,
    }
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return bad(`cannot be read: ${error.message}`)
  }
}

/** Whether these are the options that were signed, as far as a record keeps them. */
function isRecorded(signed: readonly string[], recorded: readonly string[]): boolean {
  const kept = signed.slice(0, MAX_PUSH_OPTIONS).map((option) => option.slice(0, MAX_PUSH_OPTION_LENGTH))
  return kept.length === recorded.length && kept.every((option, index) => option === recorded[index])
}
