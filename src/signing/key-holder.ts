/** Whose a key is by `allowed_signers`, before anything is signed with it, and which keys somebody has. */
import type { Certificate, Pusher } from '../core/facts.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { isLiteral, literalPrincipal, matchesPatternList } from './pattern-list.ts'
import type { SshKey } from './ssh-key.ts'
import { isAbout, objectionToTime } from './trust.ts'

export type KeyHolder = { readonly principal: string; readonly may: (namespace: string) => boolean }

/** Who holds a plain key, at a time in ms since the epoch; null where no line lists it then. */
export function holderOfKey(key: SshKey, signers: readonly AllowedSigner[], at: number): KeyHolder | null {
  const lines = signers.filter(
    (signer) => isAbout(signer, { key }) && objectionToTime(signer, at) === undefined,
  )
  const [first] = lines
  const principal = first === undefined ? undefined : literalPrincipal(first.principals)
  if (principal === undefined) return null
  const may = (namespace: string) =>
    lines.some(({ namespaces }) => namespaces === undefined || matchesPatternList(namespace, namespaces))
  return { principal, may }
}

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
