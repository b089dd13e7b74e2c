/** Where a release branch can go back to: what it was before, newest first, with what the server would say. */

import { type Approvals, collectApprovals } from '../core/approval.ts'
import type { Oid } from '../core/oid.ts'
import type { Objection } from '../core/verdict.ts'
import { gatherReleaseMove } from '../git/gather-facts.ts'
import type { GitRepository } from '../git/repository.ts'
import { type Foresight, foreseeRelease, refsOf } from './foresee.ts'
import { gatherHistory } from './gather-history.ts'
import type { RemoteView } from './guarded-view.ts'
import { type LandedMove, landedMoves } from './landed-moves.ts'

export type RollbackOption = {
  readonly commit: Oid
  readonly foresight: Foresight
  /** What speaks against it besides the approvals that are still to be given. */
  readonly obstacles: readonly Objection[]
  /** Approvals for exactly this way back, for any pusher. */
  readonly approvals: Approvals
}

/** Moves looked at: a known-good release that is further away than this is not the one that people have in mind. */
const MAX_MOVES = 50

/** Earlier releases that going to is a way back, newest first, at most `limit`. */
export async function* rollbackOptions(
  repository: GitRepository,
  view: RemoteView,
  { limit, now }: { limit: number; now: number },
): AsyncGenerator<RollbackOption & { readonly move: LandedMove }, void, undefined> {
  const { release } = refsOf(view.inForce.policy)
  const current = view.refs.get(release)
  if (current === undefined) return
  const seen = new Set([current])
  let moves = 0
  for await (const move of landedMoves(view.snapshot, release, current)) {
    moves += 1
    if (moves > MAX_MOVES || seen.size > limit) return
    if (seen.has(move.to)) continue
    const option = await judgeRollback(repository, view, move.to, now)
    if (option === null) continue
    seen.add(move.to)
    yield { ...option, move }
  }
}

/** The newest earlier release that only approvals, if anything, keep from being gone back to. */
export async function lastKnownGood(
  repository: GitRepository,
  view: RemoteView,
  now: number,
): Promise<RollbackOption | null> {
  for await (const option of rollbackOptions(repository, view, { limit: MAX_MOVES, now })) {
    if (option.obstacles.length === 0) return option
  }
  return null
}

/** What the server would say of going back to `commit` now; null if that would be no rollback. */
export async function judgeRollback(
  repository: GitRepository,
  view: RemoteView,
  commit: Oid,
  now: number,
): Promise<RollbackOption | null> {
  const { policy } = view.inForce
  const { release, staging } = refsOf(policy)
  const current = view.refs.get(release)
  if (current === undefined || current === commit) return null
  const update = { from: current, to: commit, ref: release }
  const foresight = await foreseeRelease(repository, view, update, { now, toleranceMs: 0 })
  const facts = await gatherReleaseMove(repository, {
    update,
    current,
    staging: view.refs.get(staging) ?? null,
    pusher: { identified: false, reason: 'the server will tell' },
    certificate: { offered: false },
    pusherKeys: [],
    pushOptions: [],
    bars: [],
    releaseLog: policy.releaseLog,
  })
  if (facts.fastForward) return null
  const history = await gatherHistory(view.snapshot, commit, view.inForce)
  return {
    commit,
    foresight,
    // A way back is no fast-forward until it is approved: that rule only repeats what the approval rule says.
    obstacles: foresight.report.objections.filter(
      ({ rule }) => rule !== 'approval' && rule !== 'fast-forward',
    ),
    approvals: collectApprovals(facts, policy, history, now),
  }
}
