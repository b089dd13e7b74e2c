/** What `headgate policy` prints. */
import type { PolicyReport } from '../../../server/install/admin.ts'
import type { CheckedPolicy } from '../../app/policy.ts'
import { jsonText } from '../../core/printable.ts'
import type { PolicyFiles } from '../../ledger/ledger.ts'
import { note, plural, print, printExactly, printJson } from '../output.ts'

export function checkedJson({ policy, remarks, lacks }: CheckedPolicy): void {
  printJson({ policy, remarks, ...(lacks === null ? {} : { lacks }) })
}

export function checkedText({ from, policy, keys, remarks, lacks }: CheckedPolicy, profile = ''): void {
  for (const remark of remarks) note(`remark: ${remark}`)
  const { staging, release, environments } = policy
  print(
    `${from} is a valid policy: ${release} follows ${staging}, ${plural(environments.staging.gates.length, 'staging gate')}, ${plural(keys, 'key')}`,
  )
  if (lacks === null) return
  print(lacks.length === 0 ? `it holds to ${profile}` : `it lacks for ${profile}:`)
  for (const lack of lacks) print(`  ${lack}`)
}

/** A policy that was applied. */
export function showApplied(applied: PolicyReport): void {
  const { version, changed, release, staging, enforcement, remarks } = applied
  print(
    changed
      ? `policy version ${version} is in force now, from ${applied.from}: ${release} follows ${staging}, ${enforcement}`
      : `policy version ${version} is in force already; nothing changed`,
  )
  if (applied.baseline !== null)
    print(`  ${release} at ${applied.baseline.slice(0, 7)} is recorded as the baseline`)
  if (enforcement === 'evaluate')
    print('  enforcement: evaluate judges and records every push and refuses none')
  for (const remark of remarks) note(`remark: ${remark}`)
}

/** The files byte for byte. */
export function showFiles({ version, policy, allowedSigners }: PolicyFiles, json: boolean): void {
  if (json) {
    printExactly(jsonText({ version, policy, allowedSigners }, 2))
    return
  }
  printExactly(`# policy version ${version}`)
  printExactly(policy.trimEnd())
  printExactly('\n# allowed_signers')
  printExactly(allowedSigners.trimEnd())
}
