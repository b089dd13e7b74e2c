/** What a policy says otherwise than the one before it, its keys included; for `verify` and `log --kind policy`. */
import { type PolicyChange, policyChanges } from '../core/policy/policy-changes.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { AllowedSigner } from '../signing/allowed-signers.ts'

/** What weakens comes first. */
export function differenceOfPolicies(before: PolicyInForce, after: PolicyInForce): PolicyChange[] {
  const changes = [
    ...policyChanges(before.policy, after.policy),
    ...signerChanges(before.signers, after.signers),
  ]
  if (changes.length === 0 && before.files.policy !== after.files.policy)
    changes.push({ text: 'policy.yaml: another text that says the same', weakens: false })
  if (changes.length === 0 && before.files.allowedSigners !== after.files.allowedSigners)
    changes.push({ text: 'allowed_signers: another text that says the same', weakens: false })
  return changes.toSorted((a, b) => Number(b.weakens) - Number(a.weakens))
}

/** A new line lets another key or name sign, unless it only says less than an earlier line of the same key and names. */
function signerChanges(before: readonly AllowedSigner[], after: readonly AllowedSigner[]): PolicyChange[] {
  const [old, now] = [before.map(meaning), after.map(meaning)]
  const put = after.filter((signer) => !old.includes(meaning(signer)))
  const taken = before.filter((signer) => !now.includes(meaning(signer)))
  const changes: PolicyChange[] = []
  for (const signer of put) {
    const earlier = taken.find((other) => owner(other) === owner(signer))
    const [verb, weakens] =
      earlier === undefined
        ? ['put in', true]
        : isNarrower(signer, earlier)
          ? ['narrowed', false]
          : ['widened', true]
    changes.push({ text: `allowed_signers: ${nameOf(signer)} ${verb}`, weakens })
  }
  for (const signer of taken) {
    if (put.some((other) => owner(other) === owner(signer))) continue
    changes.push({ text: `allowed_signers: ${nameOf(signer)} taken out`, weakens: false })
  }
  // Of several lines with one key the first names the signer.
  for (const key of new Set(after.map(({ fingerprint }) => fingerprint))) {
    const lines = (signers: readonly AllowedSigner[]) =>
      signers.filter(({ fingerprint }) => fingerprint === key).map(meaning)
    const [was, is] = [lines(before), lines(after)]
    if (was.join('\n') !== is.join('\n') && was.toSorted().join('\n') === is.toSorted().join('\n'))
      changes.push({ text: `allowed_signers: the lines of ${key} in another order`, weakens: true })
  }
  return changes
}

/** Everything that a line says but where it stands. */
function meaning({ line: _, publicKey, fingerprint: __, ...signer }: AllowedSigner): string {
  return JSON.stringify([
    signer.principals,
    signer.certAuthority,
    signer.namespaces ?? null,
    signer.validAfter ?? null,
    signer.validBefore ?? null,
    publicKey.toString('base64'),
  ])
}

function owner({ principals, certAuthority, publicKey }: AllowedSigner): string {
  return JSON.stringify([principals, certAuthority, publicKey.toString('base64')])
}

function isNarrower(now: AllowedSigner, before: AllowedSigner): boolean {
  const within =
    before.namespaces === undefined ||
    now.namespaces?.every((name) => before.namespaces?.includes(name)) === true
  // A pattern that excludes and is gone lets more through.
  const excluded = (before.namespaces ?? []).filter((name) => name.startsWith('!'))
  return (
    within &&
    excluded.every((name) => now.namespaces?.includes(name)) &&
    (now.validAfter ?? 0) >= (before.validAfter ?? 0) &&
    (now.validBefore ?? Number.POSITIVE_INFINITY) <= (before.validBefore ?? Number.POSITIVE_INFINITY)
  )
}

function nameOf({ principals, fingerprint, namespaces, certAuthority }: AllowedSigner): string {
  const use = namespaces === undefined ? 'for everything' : `for ${namespaces.join(',')}`
  return `${certAuthority ? 'authority of ' : ''}${principals.join(',')} ${fingerprint} (${use})`
}
