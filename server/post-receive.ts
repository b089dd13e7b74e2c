/** post-receive: tells the pusher what has landed. The move is done; nothing here can undo it. */
import { shortRef } from '../src/core/explain.ts'
import { isZeroOid, shortOid } from '../src/core/oid.ts'
import type { RefUpdate } from '../src/git/hook-input.ts'
import { releaseRef } from './guarded-branches.ts'
import { type GuardedRepository, viewServer } from './guarded-repository.ts'
import type { HookAnswer } from './pre-receive.ts'
import { committed } from './reference-transaction.ts'

export async function postReceive(
  guarded: GuardedRepository,
  updates: readonly (RefUpdate & { readonly target: string })[],
  clock: () => number,
): Promise<HookAnswer> {
  // Where a host runs no reference-transaction hook, this is the first to see that a move landed.
  await committed(guarded, clock)
  const { inForce, snapshot } = await viewServer(guarded)
  if (inForce === null) return { accepted: true, text: '' }
  const ref = releaseRef(inForce.policy)
  const update = updates.find(({ target, from, to }) => target === ref && from !== to)
  const landed = snapshot.state.landed[ref]
  if (update === undefined || landed === undefined || landed.to !== update.to)
    return { accepted: true, text: '' }
  const at = isZeroOid(landed.to) ? 'gone' : `now ${shortOid(landed.to)}`
  const count = snapshot.state.counts[landed.kind] ?? 0
  return {
    accepted: true,
    text: `headgate: ${shortRef(ref)} is ${at}: ${landed.kind} ${count} landed, ledger record ${landed.seq}`,
  }
}
