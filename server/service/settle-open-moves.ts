/** What the service does with authorizations that nobody saw to their end. */
import { HeadgateError } from '../../src/core/errors.ts'
import type { ServerView } from '../../src/guard/guarded-view.ts'
import { type GuardedRepository, viewServer } from '../guarded-repository.ts'
import { recordLanded } from '../record-landed.ts'
import { closePending, isFresh } from '../settle.ts'
import { LEDGER_MOVED, NEEDS_TURN, untilDone } from '../until-done.ts'

/**
 * Records what has landed, and closes what is old and did not land. A fresh authorization is left to its push, and so is
 * one whose ref somebody has locked. Returns what the server knows then.
 */
export async function settleOpenMoves(guarded: GuardedRepository, clock: () => number): Promise<ServerView> {
  const first = await viewServer(guarded)
  if (first.snapshot.state.open.length === 0) return first
  await recordLanded(guarded, clock)
  return untilDone<ServerView>(guarded, async (hasTurn) => {
    const view = await viewServer(guarded)
    const { inForce, snapshot } = view
    const pending = snapshot.state.open.find((move) => !isFresh(move, clock()))
    if (inForce === null || pending === undefined) return { done: view }
    if (!hasTurn) return NEEDS_TURN
    const context = {
      sealKey: guarded.sealKey,
      inForce,
      at: new Date(clock()).toISOString(),
      by: 'server',
    }
    try {
      await closePending(guarded, view, pending, context)
    } catch (error) {
      // Somebody holds a lock: the next push settles it.
      if (error instanceof HeadgateError && error.code === 'unavailable') return { done: view }
      throw error
    }
    return LEDGER_MOVED
  })
}
