import type { Envelope } from '../core/envelope.ts'
import { HeadgateError } from '../core/errors.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { decodeBase64 } from './base64.ts'
import { payloadBytes, preAuthEncoding } from './dsse.ts'
import { type IsGenuine, type ParsedSignature, parseSshsig } from './sshsig.ts'
import { type Distrust, isListed, moreTelling, type Trust, verifyBy } from './trust.ts'
import type { Signed } from './verify-batch.ts'

export type EnvelopeTrust = { readonly trust: Trust; readonly others: readonly Trust[] }

/** The signatures of an envelope, parsed, and what each should be over. Nothing is proved by it. */
export type SignedEnvelope = {
  readonly message: Buffer
  readonly signatures: readonly (ParsedSignature | Distrust)[]
}

export function parseSignatures(envelope: Envelope): SignedEnvelope {
  const message = preAuthEncoding(envelope.payloadType, payloadBytes(envelope))
  return { message, signatures: envelope.signatures.map(({ sig }) => parseSignature(sig)) }
}

/** Those whose cryptography matters: by a key that is listed. */
export function listedSignatures(
  { message, signatures }: SignedEnvelope,
  signers: readonly AllowedSigner[],
): Signed[] {
  return signatures.flatMap((signature) =>
    'verdict' in signature || !isListed(signers, signature) ? [] : [{ signature, message }],
  )
}

/**
 * Verifies the signatures of an envelope. One trusted signature is enough: `trust` is the first trusted one, or the
 * most telling objection; `others` are the verdicts on the other signatures. Two signatures by one key are refused as
 * a whole, so that nobody can count one signer twice. `keyid` plays no part. `isGenuine` as in verifyBy.
 */
export function verifyEnvelope(
  { message, signatures }: SignedEnvelope,
  signers: readonly AllowedSigner[],
  namespace: string | readonly string[],
  at: number,
  isGenuine?: IsGenuine,
): EnvelopeTrust {
  const fingerprints = new Set<string>()
  for (const { fingerprint } of signatures) {
    if (fingerprint === undefined) continue
    if (fingerprints.has(fingerprint)) {
      const reason = 'the envelope has two signatures by the same key'
      return { trust: { verdict: 'malformed', fingerprint, reason }, others: [] }
    }
    fingerprints.add(fingerprint)
  }

  const verdicts = signatures.map(
    (signature): Trust =>
      'verdict' in signature
        ? signature
        : verifyBy(signers, { signature, message, namespace, at, isGenuine }),
  )
  const trust = verdicts.find((one) => one.verdict === 'trusted') ?? mostTelling(verdicts)
  return { trust, others: verdicts.filter((one) => one !== trust) }
}

/** One signature in base64, as envelopes and records have them. */
export function parseSignature(sig: string): ParsedSignature | Distrust {
  try {
    return parseSshsig(decodeBase64(sig, 'the signature'))
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return { verdict: 'malformed', reason: error.message }
  }
}

function mostTelling(verdicts: readonly Trust[]): Trust {
  const objections = verdicts.filter((one) => one.verdict !== 'trusted')
  const [first = { verdict: 'malformed', reason: 'the envelope has no signature' } as const, ...rest] =
    objections
  return rest.reduce(moreTelling, first)
}
