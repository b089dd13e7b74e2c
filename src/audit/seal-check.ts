/** The server's own signatures: the seal of every record, and the envelopes of what the server itself states. */
import { HeadgateError } from '../core/errors.ts'
import { type LedgerRecord, sealedPart } from '../ledger/record.ts'
import { decodeBase64 } from '../signing/base64.ts'
import { type Envelope, payloadBytes, preAuthEncoding } from '../signing/dsse.ts'
import type { SshKey } from '../signing/ssh-key.ts'
import { parseSshsig, verifySshsigAside } from '../signing/sshsig.ts'

/** The SSH signature namespace of everything that the server signs. */
export const SEAL_NAMESPACE = 'headgate-ledger'

export type SealVerdict = {
  /** The key that the signature names; null where it names none. */
  readonly key: SshKey | null
  /** Why it does not hold; null if that key made it. Whose key it is, is for the caller to say. */
  readonly problem: string | null
}

/** Whether a record's seal is genuine. */
export async function checkSeal(record: LedgerRecord): Promise<SealVerdict> {
  return checkSignature(record.seal, sealedPart(record), 'sha512')
}

/** Whether the server's own envelope is signed by `key`, the one that seals its record. */
export async function checkServerEnvelope(envelope: Envelope, key: SshKey): Promise<string | null> {
  const message = preAuthEncoding(envelope.payloadType, payloadBytes(envelope))
  let problem: string | null = 'it has no signature'
  for (const { sig } of envelope.signatures) {
    const verdict = await checkSignature(sig, message)
    problem = verdict.problem
    if (problem !== null) continue
    if (verdict.key?.blob.equals(key.blob) === true) return null
    problem = `it is signed by ${verdict.key?.fingerprint}, and the record is sealed by ${key.fingerprint}`
  }
  return problem
}

async function checkSignature(sig: string, message: Uint8Array, hash?: 'sha512'): Promise<SealVerdict> {
  try {
    const parsed = parseSshsig(decodeBase64(sig, 'the signature'))
    const bad = (problem: string): SealVerdict => ({ key: parsed.key, problem })
    if (parsed.certificate !== undefined) return bad('it is made with a certificate')
    if (parsed.namespace !== SEAL_NAMESPACE) return bad(`it is for another purpose than ${SEAL_NAMESPACE}`)
    if (hash !== undefined && parsed.hashAlgorithm !== hash) return bad(`it is not over ${hash}`)
    if (!(await verifySshsigAside(parsed, message))) return bad('it does not fit the key and the bytes')
    return { key: parsed.key, problem: null }
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return { key: null, problem: error.message }
  }
}

/**
 * The seal keys that an auditor believes in, in the order in which they came into use. Whoever was replaced does not
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

  /** Believes a key that nobody vouched for: the first one that a ledger names, where nothing is known from elsewhere. */
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
