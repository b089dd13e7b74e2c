import type { AllowedSigner } from '../signing/allowed-signers.ts'
import { literalPrincipal, matchesPatternList } from '../signing/pattern-list.ts'
import type { PolicyInForce } from './policy-in-force.ts'

/** What is valid and yet probably not meant: people and roles without a key that could act for them. */
export function policyRemarks({ policy, signers }: PolicyInForce): string[] {
  const hasKey = (name: string, namespace: string) => hasKeyFor(signers, name, namespace)
  const remarks: string[] = []
  if (!signers.some((signer) => maySign(signer, 'headgate-evidence'))) {
    remarks.push(
      'no key in allowed_signers may sign evidence (namespace headgate-evidence), so nothing can be promoted',
    )
  }
  const keyless = [...new Set(policy.rollback.approvers)].filter((name) => !hasKey(name, 'headgate-approval'))
  for (const name of keyless) {
    remarks.push(
      `${name} may approve rollbacks but has no key for namespace headgate-approval in allowed_signers`,
    )
  }
  if (policy.rollback.approvers.length - keyless.length < policy.rollback.approvals) {
    remarks.push(
      `rollback.approvals is ${policy.rollback.approvals}, and fewer approvers than that have a key, so no rollback is possible`,
    )
  }
  for (const name of policy.promotion.operators) {
    if (policy.promotion.signedPush !== 'required' || hasKey(name, 'git')) continue
    remarks.push(
      `${name} may promote but has no key for namespace git in allowed_signers, and signedPush is required`,
    )
  }
  const unrestricted = signers.filter((signer) => signer.namespaces === undefined)
  for (const signer of unrestricted) {
    remarks.push(
      `allowed_signers:${signer.line}: without namespaces= this key may sign anything, evidence and approvals alike`,
    )
  }
  return [...remarks, ...sharedKeys(signers)]
}

/** One key under two names would be two people to rules that ask for somebody else. */
function sharedKeys(signers: readonly AllowedSigner[]): string[] {
  const owners = new Map<string, AllowedSigner>()
  return signers.flatMap((signer) => {
    if (signer.certAuthority) return []
    const owner = owners.get(signer.fingerprint) ?? signer
    owners.set(signer.fingerprint, owner)
    const [first, name] = [owner, signer].map(({ principals }) => literalPrincipal(principals))
    return name === first
      ? []
      : [`allowed_signers:${signer.line}: the key of ${name} is also that of ${first} (line ${owner.line})`]
  })
}

/** Whether a name has a key for a namespace, now or at another time. */
export function hasKeyFor(signers: readonly AllowedSigner[], name: string, namespace: string): boolean {
  return signers.some((signer) => maySign(signer, namespace) && actsAs(signer, name))
}

function maySign({ namespaces }: AllowedSigner, namespace: string): boolean {
  return namespaces === undefined || matchesPatternList(namespace, namespaces)
}

/** A key belongs to its line's first literal name; an authority's certificates to any name that its line allows. */
function actsAs(signer: AllowedSigner, name: string): boolean {
  return signer.certAuthority
    ? matchesPatternList(name, signer.principals)
    : literalPrincipal(signer.principals) === name
}
