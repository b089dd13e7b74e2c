/** What the start of the service does with authorizations that nobody saw to their end. */
import { type GuardedRepository, LEDGER_MOVED, untilDone, viewServer } from './guarded-repository.ts'
import { committed } from './reference-transaction.ts'
import { closePending, isFresh } from './settle.ts'

/**
 * Records what has landed, and closes what is old and did not land. A fresh authorization is left to its push, and so is
 * one whose ref somebody has locked.
 */
export async function settleOpenMoves(guarded: GuardedRepository, clock: () => number): Promise<void> {
  await committed(guarded, clock)
  await untilDone<undefined>(guarded, async () => {
    const view = await viewServer(guarded)
    const { inForce, snapshot } = view
    const pending = snapshot.state.open.find((move) => !isFresh(move, clock()))
    if (inForce === null || pending === undefined) return { done: undefined }
    const context = {
      sealKey: guarded.sealKey,
      inForce,
      at: new Date(clock()).toISOString(),
      by: 'server',
    }
    let stale = false
    const closed = await closePending(guarded, view, pending, context, async (outcome) => {
      const appended = await guarded.ledger.append(snapshot.head, [outcome])
      stale = appended.kind === 'stale'
      return !stale
    })
    return closed || stale ? LEDGER_MOVED : { done: undefined }
  })
}
