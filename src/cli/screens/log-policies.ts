/** What `headgate log --kind policy` prints. */
import type { PolicyListing } from '../../app/audit/log-policies.ts'
import { escapeUnsafe, printable } from '../../core/printable.ts'
import { markdown, print, printJson } from '../output.ts'
import type { LogFormat } from './log.ts'

export function showPolicies(listed: readonly PolicyListing[], format: LogFormat): void {
  const policies = listed.map((policy) => ({ ...policy, by: printable(policy.by, 80) }))
  if (format === 'json') {
    const safe = (text: string) => escapeUnsafe(text)
    printJson({
      policies: policies.map(({ changes, ...policy }) => ({
        ...policy,
        changes: changes?.map(({ text, weakens }) => ({ text: safe(text), weakens })) ?? null,
      })),
    })
    return
  }
  if (policies.length === 0) print('no policy is recorded that fits')
  const isText = format === 'text'
  for (const { record, at, by, version, changes } of policies) {
    const head = `policy version ${version}, record ${record}, ${at}, by ${by}`
    print(isText ? head : `- ${markdown(head)}`)
    for (const { text, weakens } of changes ?? []) {
      const line = `${weakens ? 'WEAKENS ' : ''}${printable(text, 2000)}`
      print(isText ? `  ${line}` : `  - ${markdown(line)}`)
    }
    if (changes?.length === 0) print(isText ? '  nothing was changed' : '  - nothing was changed')
  }
}
