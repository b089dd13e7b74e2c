/** Who signed, by a list of allowed signers: the one place where a signature becomes a name. */
import { printable } from '../core/printable.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { isLiteral, literalPrincipal, matchesPatternList } from './pattern-list.ts'
import { authorityCertified, type PresentedKey, type SshCertificate } from './ssh-certificate.ts'
import { type IsGenuine, type ParsedSignature, verifySshsig } from './sshsig.ts'

export type Distrust = {
  readonly verdict:
    | 'unknown-key'
    | 'wrong-namespace'
    | 'expired-key'
    | 'not-yet-valid-key'
    | 'bad-signature'
    | 'malformed'
  readonly fingerprint?: string
  readonly principal?: string
  /** One clause without a full stop. */
  readonly reason: string
}

export type Trust =
  | { readonly verdict: 'trusted'; readonly principal: string; readonly fingerprint: string }
  | Distrust

/** From the least telling to the most: how far the signature came before something was wrong. */
const TELLING = [
  'unknown-key',
  'malformed',
  'wrong-namespace',
  'not-yet-valid-key',
  'expired-key',
  'bad-signature',
] as const satisfies readonly Distrust['verdict'][]

/** The objection that tells more; of two that tell as much, the first. */
export function moreTelling(first: Distrust, second: Distrust): Distrust {
  return TELLING.indexOf(second.verdict) > TELLING.indexOf(first.verdict) ? second : first
}

/**
 * Verifies a signature and names its signer.
 *
 * A key may stand on several lines, such as while it is rotated: the first line that trusts it decides. Otherwise the
 * most telling objection of those lines is returned. The cryptography is done once, and only for a key that is
 * listed: what strangers send costs no more than the parsing. For a listed key it is done first, so that a forgery
 * is called a forgery, whatever else is wrong with it.
 *
 * The principal is the line's first name without wildcards. For a certificate, it is the first of the certificate's
 * principals that the line of its authority allows.
 *
 * `namespace`: what the signature may be for, one name or several. `at`: milliseconds since the epoch. `isGenuine`: who
 * does the cryptography, for a caller who has had it done already.
 */
export function verifyBy(
  signers: readonly AllowedSigner[],
  input: {
    readonly signature: ParsedSignature
    readonly message: Uint8Array
    readonly namespace: string | readonly string[]
    readonly at: number
    readonly isGenuine?: IsGenuine | undefined
  },
): Trust {
  const { signature, message, at, isGenuine = verifySshsig } = input
  const namespaces = typeof input.namespace === 'string' ? [input.namespace] : input.namespace
  requireTime(at)
  const { fingerprint, certificate } = signature
  const object = (verdict: Distrust['verdict'], reason: string): Distrust => ({
    verdict,
    fingerprint,
    reason,
  })

  const lines = signers.filter((signer) => isAbout(signer, signature))
  if (lines.length === 0) return object('unknown-key', whyUnknown(signers, signature))
  if (certificate !== undefined && !authorityCertified(certificate)) {
    return object('bad-signature', FORGED_CERTIFICATE)
  }
  if (!isGenuine(signature, message)) {
    return object('bad-signature', 'the signature does not fit the key and the signed data')
  }
  if (!namespaces.includes(signature.namespace)) {
    const wanted = namespaces.map(quoted).join(' or ')
    return object('wrong-namespace', `it was signed for ${quoted(signature.namespace)}, not for ${wanted}`)
  }
  return firstTrust(lines, signature, { namespace: signature.namespace, at, optionsKept: false })
}

/**
 * Names the person whose key sshd let in. sshd has seen that they hold it, and it keeps the critical options of a
 * certificate, since it lets nobody in by one with an option that it does not know. `namespace` and `at` as in verifyBy.
 */
export function nameLogin(
  signers: readonly AllowedSigner[],
  login: PresentedKey,
  namespace: string,
  at: number,
): Trust {
  requireTime(at)
  const { fingerprint, certificate } = login
  const lines = signers.filter((signer) => isAbout(signer, login))
  if (lines.length === 0) return { verdict: 'unknown-key', fingerprint, reason: whyUnknown(signers, login) }
  if (certificate !== undefined && !authorityCertified(certificate))
    return { verdict: 'bad-signature', fingerprint, reason: FORGED_CERTIFICATE }
  return firstTrust(lines, login, { namespace, at, optionsKept: true })
}

/** Comparisons with NaN are false, and a false comparison means "not expired". */
function requireTime(at: number): void {
  if (!Number.isFinite(at)) throw new RangeError('a key is judged at a time, in milliseconds since the epoch')
}

const FORGED_CERTIFICATE = 'the certificate was not made by the authority that it names'

type Circumstances = {
  readonly namespace: string
  readonly at: number
  /** Whether somebody keeps the critical options of a certificate. */
  readonly optionsKept: boolean
}

/** The first of these lines about a key that trusts it, else the most telling objection. */
function firstTrust(lines: readonly AllowedSigner[], key: PresentedKey, circumstances: Circumstances): Trust {
  let objection: Distrust | undefined
  for (const signer of lines) {
    const trust = judgeLine(signer, key, circumstances)
    if (trust.verdict === 'trusted') return trust
    objection = objection === undefined ? trust : moreTelling(objection, trust)
  }
  return objection ?? { verdict: 'unknown-key', fingerprint: key.fingerprint, reason: 'no line trusts it' }
}

/** Whether any line is about the key that signed: for others no signature need be checked. */
export function isListed(signers: readonly AllowedSigner[], signature: PresentedKey): boolean {
  return signers.some((signer) => isAbout(signer, signature))
}

/** A certificate is a matter for its authority's lines only, a plain key for its own only, as in OpenSSH. */
export function isAbout(
  signer: AllowedSigner,
  { key, certificate }: Pick<PresentedKey, 'key' | 'certificate'>,
): boolean {
  if (signer.certAuthority !== (certificate !== undefined)) return false
  return signer.publicKey.equals((certificate?.authority ?? key).blob)
}

/** Judges a key, whose use is known to be genuine, by one line that is about it. */
function judgeLine(
  signer: AllowedSigner,
  { fingerprint, certificate }: PresentedKey,
  { namespace, at, optionsKept }: Circumstances,
): Trust {
  const named =
    certificate === undefined ? literalPrincipal(signer.principals) : certifiedPrincipal(signer, certificate)
  const object = (verdict: Distrust['verdict'], reason: string): Distrust => ({
    verdict,
    fingerprint,
    ...(named === undefined ? {} : { principal: named }),
    reason: `${reason} (line ${signer.line})`,
  })
  if (named === undefined)
    return object('unknown-key', 'the line allows none of the principals of the certificate')
  if (signer.namespaces !== undefined && !matchesPatternList(namespace, signer.namespaces)) {
    return object('wrong-namespace', `the key is not allowed to sign for ${quoted(namespace)}`)
  }
  const untimely = objectionToTime(signer, at)
  if (untimely !== undefined) return object(...untimely)
  if (certificate !== undefined) {
    const [verdict, reason] = objectionTo(certificate, wholeSecond(at), optionsKept) ?? []
    if (verdict !== undefined) return object(verdict, reason ?? '')
  }
  return { verdict: 'trusted', principal: named, fingerprint }
}

/** OpenSSH compares whole seconds. */
function wholeSecond(at: number): number {
  return Math.floor(at / 1000) * 1000
}

/** What speaks against a line at a time, in ms since the epoch; both ends are within. */
export function objectionToTime(
  { validAfter, validBefore }: AllowedSigner,
  at: number,
): [Distrust['verdict'], string] | undefined {
  const second = wholeSecond(at)
  if (validAfter !== undefined && second < validAfter)
    return ['not-yet-valid-key', `the key is valid from ${isoTime(validAfter)} on`]
  if (validBefore !== undefined && second > validBefore)
    return ['expired-key', `the key was valid until ${isoTime(validBefore)}`]
  return undefined
}

/**
 * The first principal of the certificate that the line allows. A certificate without principals, which sshd may take
 * for anybody, is nobody's. Names that look like patterns or do not print are passed over.
 */
function certifiedPrincipal(signer: AllowedSigner, certificate: SshCertificate): string | undefined {
  return certificate.principals.find(
    (name) =>
      name !== '' &&
      isLiteral(name) &&
      printable(name, name.length) === name &&
      matchesPatternList(name, signer.principals),
  )
}

function objectionTo(
  certificate: SshCertificate,
  at: number,
  optionsKept: boolean,
): [Distrust['verdict'], string] | undefined {
  const second = BigInt(at / 1000)
  if (certificate.kind !== 'user') return ['unknown-key', 'the certificate is for a host, not for a person']
  // A critical option must be refused by a verifier that does not enforce it; source-address and force-command mean nothing
  // for a signature of data. ssh-keygen -Y verify does not look at them.
  const [option] = certificate.criticalOptions
  if (option !== undefined && !optionsKept) {
    return [
      'unknown-key',
      `the certificate has the critical option ${quoted(option)}, which cannot be enforced here`,
    ]
  }
  if (second < certificate.validAfter) return ['not-yet-valid-key', 'the certificate is not yet valid']
  if (second >= certificate.validBefore) return ['expired-key', 'the certificate has expired']
  return undefined
}

function whyUnknown(signers: readonly AllowedSigner[], { key, certificate }: PresentedKey): string {
  const line = signers.find((signer) => signer.publicKey.equals(key.blob))?.line
  if (certificate === undefined) {
    return line === undefined
      ? 'the key is not listed'
      : `the key is listed only as a cert-authority (line ${line})`
  }
  const authority = `no cert-authority with the key ${certificate.authority.fingerprint} is listed`
  return line === undefined
    ? authority
    : `${authority}; its plain key is (line ${line}), sign without the certificate`
}

function quoted(text: string): string {
  return JSON.stringify(printable(text, 100))
}

function isoTime(time: number): string {
  return new Date(time).toISOString().replace('.000Z', 'Z')
}
