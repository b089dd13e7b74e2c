import { matchesPatternList } from '../signing/pattern-list.ts'
import type { PolicyInForce } from './policy-in-force.ts'

/** What is valid and yet probably not meant: people and roles without a key that could act for them. */
export function policyRemarks({ policy, signers }: PolicyInForce): string[] {
  const may = (namespace: string) =>
    signers.filter(
      (signer) => signer.namespaces === undefined || matchesPatternList(namespace, signer.namespaces),
    )
  const hasKey = (name: string) => may('headgate-approval').some((signer) => signer.principals.includes(name))
  const remarks: string[] = []
  if (may('headgate-evidence').length === 0) {
    remarks.push(
      'no key in allowed_signers may sign evidence (namespace headgate-evidence), so nothing can be promoted',
    )
  }
  const keyless = [...new Set(policy.rollback.approvers)].filter((name) => !hasKey(name))
  for (const name of keyless) {
    remarks.push(
      `${name} may approve rollbacks but has no key for namespace headgate-approval in allowed_signers`,
    )
  }
  if (policy.rollback.approvers.length - keyless.length < policy.rollback.approvals) {
    remarks.push(
      `a rollback needs ${policy.rollback.approvals} approvals, and fewer approvers have a key: no rollback is possible`,
    )
  }
  const unrestricted = signers.filter((signer) => signer.namespaces === undefined)
  for (const signer of unrestricted) {
    remarks.push(
      `allowed_signers:${signer.line}: without namespaces= this key may sign anything, evidence and approvals alike`,
    )
  }
  return remarks
}
