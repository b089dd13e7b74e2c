/** post-receive: records what has landed, and tells the pusher. The move is done; nothing here can undo it. */

import { shortRef } from '../../src/core/explain.ts'
import { isZeroOid, shortOid } from '../../src/core/oid.ts'
import { releaseRef } from '../../src/core/refs.ts'
import type { LedgerState } from '../../src/core/state.ts'
import type { GuardedRepository } from '../guarded-repository.ts'
import type { AuthorizedMove } from '../move-file.ts'
import { recordLanded } from '../record-landed.ts'
import type { TargetedUpdate } from './push-targets.ts'
import type { HookAnswer } from './request.ts'

export async function postReceive(
  guarded: GuardedRepository,
  updates: readonly TargetedUpdate[],
  clock: () => number,
): Promise<HookAnswer> {
  const landed = await recordLanded(guarded, clock)
  if (landed === null) return { accepted: true, text: '' }
  const ref = releaseRef(landed.inForce.policy)
  const update = updates.find(({ target, from, to }) => target === ref && from !== to)
  return {
    accepted: true,
    text: update === undefined ? '' : (landedText(landed.state, { ...update, ref }) ?? ''),
  }
}

/** What became of a move, in one line; null if the last one that the ledger knows as landed is another one. */
export function landedText(state: LedgerState, { ref, to }: AuthorizedMove): string | null {
  const landed = state.landed[ref]
  if (landed === undefined || landed.to !== to) return null
  const at = isZeroOid(landed.to) ? 'gone' : `now ${shortOid(landed.to)}`
  const count = state.counts[landed.kind] ?? 0
  return `headgate: ${shortRef(ref)} is ${at}, ${landed.kind} ${count}, ledger record ${landed.seq}`
}
