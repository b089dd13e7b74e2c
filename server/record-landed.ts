/** What became of moves that were authorized: those that landed are recorded as such. */

import type { LedgerState } from '../src/core/state.ts'
import type { TermsInForce } from '../src/guard/policy-in-force.ts'
import { type GuardedRepository, viewServer } from './guarded-repository.ts'
import { forgetMove } from './move-file.ts'
import { landedOutcomes } from './settle.ts'
import { type Attempt, LEDGER_MOVED, NEEDS_TURN, untilDone } from './until-done.ts'

/** What was in force when it was recorded, and what the ledger says since then. */
export type Landed = { readonly inForce: TermsInForce; readonly state: LedgerState }

/**
 * Records whatever has landed; null where no policy is in force. The moves are done: where this fails, the next push finds
 * them out from the refs.
 */
export async function recordLanded(guarded: GuardedRepository, clock: () => number): Promise<Landed | null> {
  const attempt = async (hasTurn: boolean): Promise<Attempt<Landed | null>> => {
    const view = await viewServer(guarded)
    const { inForce, snapshot } = view
    if (inForce === null) return { done: null }
    const at = new Date(clock()).toISOString()
    const records = landedOutcomes(view, { sealKey: guarded.sealKey, inForce, at, by: 'server' })
    let { state } = snapshot
    if (records.length > 0) {
      if (!hasTurn) return NEEDS_TURN
      const appended = await guarded.ledger.append(snapshot.head, records)
      if (appended.kind === 'stale') return LEDGER_MOVED
      state = appended.state
    }
    if (state.open.length === 0) forgetMove(guarded.repository.commonDirectory)
    return { done: { inForce, state } }
  }
  return untilDone(guarded, attempt, { mustAppend: true })
}
