import type { Statement } from '../core/statement.ts'
import type { Snapshot } from '../ledger/ledger.ts'

export type PolicyRecord = { readonly seq: number; readonly statement: Statement<'policy'> }

/** The record that put the policy in force; null where none is. */
export async function policyRecordOf(snapshot: Snapshot): Promise<PolicyRecord | null> {
  const seq = snapshot.state.policies.at(-1)?.seq
  if (seq === undefined) return null
  for await (const { statement } of snapshot.read(seq))
    return statement.kind === 'policy' ? { seq, statement } : null
  return null
}
