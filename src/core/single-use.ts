/**
 * One signature, one use. What was used is what was signed: its bytes can be wrapped anew, and SSHSIG does not sign the
 * field that names the key, so that neither the envelope nor the armor nor the key's field tells two uses apart.
 */
import type { HistoryRecord, Signer } from './history.ts'
import { movesTo } from './history.ts'
import type { Oid } from './oid.ts'

/** Who signed, as far as it counts. */
export type Voice = Pick<Extract<Signer, { trusted: true }>, 'principal' | 'fingerprint'>

/** Whether two signatures are one person's: by name, or by the key beneath any certificate. */
export function isSameVoice(one: Voice, other: Voice): boolean {
  return one.principal === other.principal || one.fingerprint === other.fingerprint
}

/**
 * Digests of the payloads that earlier moves of `ref` to `commit` rest on. A move that did not land has used nothing.
 * `about` is in the order of the ledger.
 */
export function usedPayloads(about: readonly HistoryRecord[], ref: string, commit: Oid): ReadonlySet<string> {
  const envelopes = new Set(
    movesTo(about, ref, commit)
      .filter((move) => move.outcome !== 'not-landed')
      .flatMap(({ authorization }) => inputsOf(authorization)),
  )
  return payloadsOf(about, envelopes)
}

/** The payloads of the envelopes that an authorization names. */
export function payloadsOf(
  about: readonly HistoryRecord[],
  envelopes: ReadonlySet<string>,
): ReadonlySet<string> {
  return new Set(
    about
      .filter(({ envelopeDigest }) => envelopes.has(envelopeDigest))
      .map(({ statement }) => statement.payloadDigest),
  )
}

function inputsOf({ statement }: HistoryRecord<'authorization'>): string[] {
  return statement.predicate.inputAttestations.map(({ digest }) => digest.sha256)
}

const ARMOR = '\n-----BEGIN SSH SIGNATURE-----\n'

/** What a push certificate's signature covers: all of its text before the armor. */
export function signedText(certificate: string): string {
  const end = certificate.indexOf(ARMOR)
  return end === -1 ? certificate : certificate.slice(0, end + 1)
}
