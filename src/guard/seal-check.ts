/** The server's own signatures: the seal of every record, and the envelopes of what the server itself states. */
import { SEAL_NAMESPACE } from '../core/statement.ts'
import { type LedgerRecord, sealedPart } from '../ledger/record.ts'
import { parseSignature, type SignedEnvelope } from '../signing/envelope-verify.ts'
import type { SshKey } from '../signing/ssh-key.ts'
import { type IsGenuine, type ParsedSignature, verifySshsig } from '../signing/sshsig.ts'
import type { Distrust } from '../signing/trust.ts'
import type { Signed } from '../signing/verify-batch.ts'

export type SealVerdict = {
  /** The key that the signature names; null where it names none. */
  readonly key: SshKey | null
  /** Why it does not hold; null if that key made it. Whose key it is, is for the caller to say. */
  readonly problem: string | null
}

/** The seal of a record, parsed, and what it should be over. */
export type Seal = { readonly message: Buffer; readonly signature: ParsedSignature | Distrust }

export function parseSeal(record: LedgerRecord): Seal {
  return { message: sealedPart(record), signature: parseSignature(record.seal) }
}

/** Whether a record's seal is genuine. `isGenuine` as in verifyBy. */
export function checkSeal({ message, signature }: Seal, isGenuine?: IsGenuine): SealVerdict {
  const verdict = checkSignature(signature, message, isGenuine)
  if (verdict.problem === null && 'hashAlgorithm' in signature && signature.hashAlgorithm !== 'sha512')
    return { ...verdict, problem: 'it is not over sha512' }
  return verdict
}

/** Whether the server's own envelope is signed by `key`, the one that seals its record. */
export function checkServerEnvelope(
  { message, signatures }: SignedEnvelope,
  key: SshKey,
  isGenuine?: IsGenuine,
): string | null {
  let problem: string | null = 'it has no signature'
  for (const signature of signatures) {
    const verdict = checkSignature(signature, message, isGenuine)
    problem = verdict.problem
    if (problem !== null) continue
    if (verdict.key?.blob.equals(key.blob) === true) return null
    problem = `it is signed by ${verdict.key?.fingerprint}, and the record is sealed by ${key.fingerprint}`
  }
  return problem
}

/** Those of the server's signatures whose cryptography matters, to have them checked in one batch with others. */
export function serverSignatures(message: Buffer, signatures: SignedEnvelope['signatures']): Signed[] {
  return signatures.flatMap((signature) =>
    'verdict' in signature || objectionTo(signature) !== null ? [] : [{ signature, message }],
  )
}

function checkSignature(
  signature: ParsedSignature | Distrust,
  message: Uint8Array,
  isGenuine: IsGenuine = verifySshsig,
): SealVerdict {
  if ('verdict' in signature) return { key: null, problem: signature.reason }
  const { key } = signature
  const problem = objectionTo(signature)
  if (problem !== null || isGenuine(signature, message)) return { key, problem }
  return { key, problem: 'it does not fit the key and the bytes' }
}

function objectionTo({ certificate, namespace }: ParsedSignature): string | null {
  if (certificate !== undefined) return 'it is made with a certificate'
  return namespace === SEAL_NAMESPACE ? null : `it is for another purpose than ${SEAL_NAMESPACE}`
}

/**
 * The seal keys that an auditor believes in, in the order in which they came into use. A key that was replaced does not
 * come back: a stolen old key must not seal again.
 */
export class SealKeys {
  readonly #keys: SshKey[]
  #current = 0

  /** `current` is the one that sealed last, where an earlier audit ended. */
  constructor(keys: readonly SshKey[], current = 0) {
    this.#keys = [...keys]
    this.#current = current
  }

  get isEmpty(): boolean {
    return this.#keys.length === 0
  }

  /** Believes the first key that a ledger names, where the auditor knows no key from elsewhere. */
  adopt(key: SshKey): void {
    this.#keys.push(key)
  }

  /** Null if this key may seal the next record; else why not. */
  objectionTo(key: SshKey): string | null {
    const index = this.#keys.findIndex((known) => known.blob.equals(key.blob))
    if (index === -1) {
      const known = this.#keys[this.#current]?.fingerprint
      return known === undefined ? 'nobody vouches for this key' : `the server's key is ${known}`
    }
    if (index < this.#current)
      return `this key was replaced by ${this.#keys[this.#current]?.fingerprint} before`
    this.#current = index
    return null
  }

  get current(): SshKey | null {
    return this.#keys[this.#current] ?? null
  }

  /** All of them, and which is in use, to go on from later. */
  get known(): { readonly keys: readonly SshKey[]; readonly current: number } {
    return { keys: this.#keys, current: this.#current }
  }
}
