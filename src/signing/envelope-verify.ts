import { HeadgateError } from '../core/errors.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { decodeBase64 } from './base64.ts'
import { type Envelope, payloadBytes, preAuthEncoding } from './dsse.ts'
import { type ParsedSignature, parseSshsig, verifySshsigAside } from './sshsig.ts'
import { isListed, moreTelling, type Objection, type Trust, verifyBy } from './trust.ts'

export type EnvelopeTrust = { readonly trust: Trust; readonly others: readonly Trust[] }

/**
 * Verifies the signatures of an envelope. One trusted signature is enough: `trust` is the first trusted one, or the
 * most telling objection; `others` are the verdicts on the other signatures. Two signatures by one key are refused as
 * a whole, so that nobody can count one signer twice. `keyid` plays no part.
 */
export function verifyEnvelope(
  envelope: Envelope,
  signers: readonly AllowedSigner[],
  namespace: string | readonly string[],
  at: number,
): EnvelopeTrust {
  return judge(parsedOf(envelope), signers, namespace, at)
}

/** The same with the cryptography on other threads, for those who check thousands. */
export async function verifyEnvelopeAside(
  envelope: Envelope,
  signers: readonly AllowedSigner[],
  namespace: string | readonly string[],
  at: number,
): Promise<EnvelopeTrust> {
  const { message, parsed } = parsedOf(envelope)
  const genuine = await Promise.all(
    parsed.map((signature) =>
      'verdict' in signature || !isListed(signers, signature)
        ? undefined
        : verifySshsigAside(signature, message),
    ),
  )
  return judge({ message, parsed, genuine }, signers, namespace, at)
}

type ParsedEnvelope = {
  readonly message: Buffer
  readonly parsed: readonly (ParsedSignature | Objection)[]
  /** Of each signature, where it is known. */
  readonly genuine?: readonly (boolean | undefined)[]
}

function parsedOf(envelope: Envelope): ParsedEnvelope {
  const message = preAuthEncoding(envelope.payloadType, payloadBytes(envelope))
  return { message, parsed: envelope.signatures.map(({ sig }) => parseSig(sig)) }
}

function judge(
  { message, parsed, genuine }: ParsedEnvelope,
  signers: readonly AllowedSigner[],
  namespace: string | readonly string[],
  at: number,
): EnvelopeTrust {
  const fingerprints = new Set<string>()
  for (const { fingerprint } of parsed) {
    if (fingerprint === undefined) continue
    if (fingerprints.has(fingerprint)) {
      const reason = 'the envelope has two signatures by the same key'
      return { trust: { verdict: 'malformed', fingerprint, reason }, others: [] }
    }
    fingerprints.add(fingerprint)
  }

  const verdicts = parsed.map(
    (signature, index): Trust =>
      'verdict' in signature
        ? signature
        : verifyBy(signers, { signature, message, namespace, at, genuine: genuine?.[index] }),
  )
  const trust = verdicts.find((one) => one.verdict === 'trusted') ?? mostTelling(verdicts)
  return { trust, others: verdicts.filter((one) => one !== trust) }
}

function parseSig(sig: string): ParsedSignature | Objection {
  try {
    return parseSshsig(decodeBase64(sig, 'sig'))
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
