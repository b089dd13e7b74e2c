/** `headgate log --kind policy`: what each policy says otherwise than the one before it. */
import { differenceOfPolicies } from '../../audit/policy-difference.ts'
import { markdown, note, print, printJson } from '../../cli/output.ts'
import { escapeUnsafe, printable } from '../../core/printable.ts'
import type { GitRepository } from '../../git/repository.ts'
import { type PolicyInForce, parsePolicyFiles } from '../../guard/policy-in-force.ts'
import { listEntries, readEntries } from '../../ledger/entry-list.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'

type PolicyListing = {
  readonly record: number
  readonly at: string
  readonly by: string
  readonly version: number
  /** Null for the first one, and where this one or the one before cannot be read. */
  readonly changes: readonly { readonly text: string; readonly weakens: boolean }[] | null
}

/** `tip`: a ledger commit. */
export async function showPolicies(
  repository: GitRepository,
  tip: string,
  options: {
    readonly format: 'text' | 'md' | 'json'
    readonly limit: number | undefined
    readonly filter: (record: LedgerRecord) => boolean
  },
): Promise<void> {
  const listed: PolicyListing[] = []
  let before: PolicyInForce | null = null
  const entries = (await listEntries(repository, tip)).filter(({ kind }) => kind === 'policy')
  for await (const record of readEntries(repository, entries)) {
    if (record.statement.kind !== 'policy') continue
    const { version, policy, allowedSigners } = record.statement.predicate
    const inForce = readable({ version, policy: policy.text, allowedSigners: allowedSigners.text })
    const changes = before === null || inForce === null ? null : differenceOfPolicies(before, inForce)
    before = inForce
    if (options.filter(record))
      listed.push({ record: record.seq, at: record.at, by: printable(record.by, 80), version, changes })
  }
  const shown = options.limit === undefined ? listed : listed.slice(-options.limit)
  show(shown, options.format)
  if (shown.length < listed.length) note(`${listed.length - shown.length} earlier ones are not listed`)
}

function readable(files: Parameters<typeof parsePolicyFiles>[0]): PolicyInForce | null {
  try {
    return parsePolicyFiles(files)
  } catch {
    // What is wrong with it, an audit says.
    return null
  }
}

function show(policies: readonly PolicyListing[], format: 'text' | 'md' | 'json'): void {
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
