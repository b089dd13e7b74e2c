/** What became of moves that were authorized: those that landed are recorded as such. */
import { type GuardedRepository, viewServer } from './guarded-repository.ts'
import { forgetMove } from './move-file.ts'
import { landedOutcomes } from './settle.ts'
import { type Attempt, LEDGER_MOVED, NEEDS_TURN, untilDone } from './until-done.ts'

/** Records whatever has landed. The moves are done: where this fails, the next push finds them out from the refs. */
export async function recordLanded(guarded: GuardedRepository, clock: () => number): Promise<void> {
  const attempt = async (hasTurn: boolean): Promise<Attempt<undefined>> => {
    const view = await viewServer(guarded)
    const { inForce, snapshot } = view
    if (inForce === null) return { done: undefined }
    const at = new Date(clock()).toISOString()
    const records = landedOutcomes(view, { sealKey: guarded.sealKey, inForce, at, by: 'server' })
    if (records.length > 0) {
      if (!hasTurn) return NEEDS_TURN
      const appended = await guarded.ledger.append(snapshot.head, records)
      if (appended.kind === 'stale') return LEDGER_MOVED
    }
    if (records.length === snapshot.state.open.length) forgetMove(guarded.repository.commonDirectory)
    return { done: undefined }
  }
  await untilDone(guarded, attempt, { mustAppend: true })
}
