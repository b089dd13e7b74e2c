/** The key by which a guard's own records and statements are known: that of a server or of a relay. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Envelope } from '../core/envelope.ts'
import { PAYLOAD_TYPE, SEAL_NAMESPACE } from '../core/statement.ts'
import { preAuthEncoding } from '../signing/dsse.ts'
import { ed25519PublicKeyLine } from '../signing/key-line.ts'
import { createSshsig, parseSshsig } from '../signing/sshsig.ts'

/** The guard's own key: seals records and signs authorizations, outcomes and policies, in this process. */
export type SealKey = {
  /** One OpenSSH line, `ssh-ed25519 AAAA... headgate-seal`. */
  readonly publicKeyLine: string
  /** Base64 of the SSHSIG blob over `bytes`, namespace `headgate-ledger`. */
  seal(bytes: Uint8Array): string
  /** The payload in a DSSE envelope that this key signed. */
  sign(payload: string): Envelope
}

/** `privateKey`: Ed25519. */
export function sealKeyOf(privateKey: KeyObject): SealKey {
  let keyid: string | undefined
  const signature = (message: Uint8Array) => createSshsig({ privateKey, namespace: SEAL_NAMESPACE, message })
  return {
    publicKeyLine: sealKeyLine(privateKey),
    seal: (bytes) => signature(bytes).toString('base64'),
    sign: (payload) => {
      const bytes = Buffer.from(payload, 'utf8')
      const blob = signature(preAuthEncoding(PAYLOAD_TYPE, bytes))
      keyid ??= parseSshsig(blob).fingerprint
      return {
        payloadType: PAYLOAD_TYPE,
        payload: bytes.toString('base64'),
        signatures: [{ keyid, sig: blob.toString('base64') }],
      }
    },
  }
}

/** Its public half as one line. */
export function sealKeyLine(privateKey: KeyObject): string {
  return ed25519PublicKeyLine(createPublicKey(privateKey), 'headgate-seal')
}
