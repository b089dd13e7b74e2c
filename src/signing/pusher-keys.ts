import type { Certificate, Pusher } from '../core/facts.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { isLiteral } from './pattern-list.ts'

/**
 * The fingerprints of all keys that are known to be the pusher's, sorted: those that `allowed_signers` lists under the name
 * of who pushes or of who signed the push, whatever else the line says, and the one beneath the push certificate.
 */
export function keysOfPusher(
  signers: readonly AllowedSigner[],
  pusher: Pusher,
  certificate: Certificate,
): string[] {
  const signed = certificate.offered && certificate.good ? certificate : null
  const names = [pusher.identified ? pusher.principal : null, signed?.principal]
  const listed = signers.filter(
    ({ certAuthority, principals }) =>
      !certAuthority && principals.some((name) => isLiteral(name) && names.includes(name)),
  )
  const keys = [
    ...listed.map(({ fingerprint }) => fingerprint),
    ...(signed === null ? [] : [signed.fingerprint]),
  ]
  return [...new Set(keys)].sort()
}
