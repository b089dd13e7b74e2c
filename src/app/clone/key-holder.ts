import type { AllowedSigner } from '../../signing/allowed-signers.ts'
import { holderOfKey, type KeyHolder } from '../../signing/key-holder.ts'
import { publicKeyOf } from '../../signing/ssh-keygen.ts'

/**
 * Whose key a file holds, by the policy in force, before anything is signed with it. Null where that shows only by signing:
 * of a certificate, of a key that is locked, of one that is not listed.
 */
export function keyHolder(keyFile: string, signers: readonly AllowedSigner[], now: number): KeyHolder | null {
  const key = publicKeyOf(keyFile)
  return key === null ? null : holderOfKey(key, signers, now)
}
