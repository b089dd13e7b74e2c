/** Why production was rolled back from a commit, in the words of the approver who permitted it. */
import type { BroughtBack } from '../core/facts.ts'
import type { LedgerState } from '../core/state.ts'
import type { Snapshot } from '../ledger/ledger.ts'
import { envelopeDigest } from './gather-history.ts'

type Bar = LedgerState['bars'][number]

/** Undefined where the outcome is not recorded yet. */
export async function whyRolledBack(snapshot: Snapshot, { seq }: Bar): Promise<string | undefined> {
  if (seq > snapshot.head.seq) return undefined
  for await (const { statement } of snapshot.read(seq)) {
    if (statement.kind !== 'outcome') return undefined
    const about = await snapshot.about(statement.commit)
    const move = about.find((record) => record.seq === statement.predicate.authorization)?.statement
    if (move?.kind !== 'authorization') return undefined
    const inputs = new Set(move.predicate.inputAttestations.map(({ digest }) => digest.sha256))
    for (const { statement: permission, envelope } of about) {
      if (permission.kind !== 'approval' && permission.kind !== 'override') continue
      if (!inputs.has(envelopeDigest(envelope))) continue
      const { symptoms, trigger, reason } = permission.predicate
      return symptoms ?? trigger ?? reason
    }
    return undefined
  }
  return undefined
}

export async function withReasons(
  snapshot: Snapshot,
  state: LedgerState,
  backs: readonly BroughtBack[],
): Promise<BroughtBack[]> {
  return Promise.all(
    backs.map(async (back) => {
      const bar = state.bars.find(({ commit }) => commit === back.commit)
      const why = bar === undefined ? undefined : await whyRolledBack(snapshot, bar)
      return why === undefined ? back : { ...back, why }
    }),
  )
}
