/** What each policy of a ledger says otherwise than the one before it. */
import { differenceOfPolicies } from '../../audit/policy-difference.ts'
import type { GitRepository } from '../../git/repository.ts'
import { type PolicyInForce, parsePolicyFiles } from '../../guard/policy-in-force.ts'
import { listEntries, readEntries } from '../../ledger/entry-list.ts'

export type PolicyListing = {
  readonly record: number
  readonly at: string
  readonly by: string
  readonly version: number
  /** Null for the first one, and where this one or the one before cannot be read. */
  readonly changes: readonly { readonly text: string; readonly weakens: boolean }[] | null
}

/** `tip`: a ledger commit. */
export async function listPolicies(repository: GitRepository, tip: string): Promise<PolicyListing[]> {
  const listed: PolicyListing[] = []
  let before: PolicyInForce | null = null
  const entries = (await listEntries(repository, tip)).filter(({ kind }) => kind === 'policy')
  for await (const record of readEntries(repository, entries)) {
    if (record.statement.kind !== 'policy') continue
    const { version, policy, allowedSigners } = record.statement.predicate
    const inForce = readable({ version, policy: policy.text, allowedSigners: allowedSigners.text })
    const changes = before === null || inForce === null ? null : differenceOfPolicies(before, inForce)
    before = inForce
    listed.push({ record: record.seq, at: record.at, by: record.by, version, changes })
  }
  return listed
}

function readable(files: Parameters<typeof parsePolicyFiles>[0]): PolicyInForce | null {
  try {
    return parsePolicyFiles(files)
  } catch {
    // What is wrong with it, an audit says.
    return null
  }
}
