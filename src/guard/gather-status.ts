/** Where everything stands, as far as the ledger and the branches of a guarded remote tell. */

import type { LoggedRun } from '../core/logged-run.ts'
import type { Oid } from '../core/oid.ts'
import { formatDuration } from '../core/policy/duration.ts'
import { frozenAt, type LedgerState } from '../core/state.ts'
import type { GitRepository } from '../git/repository.ts'
import {
  type Candidate,
  candidates,
  countCandidates,
  type Described,
  describeCommits,
  isOffered,
  searchPromotable,
} from './candidates.ts'
import { refsOf } from './foresee.ts'
import { type RemoteView, stateOf } from './guarded-view.ts'
import { type LandedMove, landedMoves } from './landed-moves.ts'
import { recordedSmoke } from './release-entry.ts'
import { type RollbackOption, rollbackOptions } from './rollback-targets.ts'

export type Status = {
  readonly record: number
  readonly staging: Described | null
  readonly release: Described | null
  /** The last landed move of the release branch; null if none ever landed. */
  readonly lastMove: LandedMove | null
  /** The newest recorded smoke test of production since that move; null where the branch is not where it put it. */
  readonly smoke: LoggedRun | null
  /** Where the ledger says that the release branch is, if it is elsewhere; zeros where it should not exist. */
  readonly drift: { readonly expected: Oid | null; readonly found: Oid | null } | null
  readonly candidates: readonly Candidate[]
  readonly candidateCount: number
  /** The newest one that the server would take now, listed or not. */
  readonly promotable: Candidate | null
  readonly freeze: LedgerState['freeze']
  readonly bars: LedgerState['bars']
  /** Moves that were authorized and have no outcome yet. */
  readonly pending: LedgerState['open']
  /** Earlier releases, newest first. */
  readonly wayBack: readonly RollbackOption[]
}

/** Earlier releases that are looked at, for approvals and for a known-good one. */
const LOOKED_BACK = 5

/** `limit` candidates are listed. `now` in ms since the epoch. */
export async function gatherStatus(
  repository: GitRepository,
  view: RemoteView,
  { limit, now }: { limit: number; now: number },
): Promise<Status> {
  const { policy } = view.inForce
  const { head } = view.snapshot
  const state = stateOf(view, now)
  const refs = refsOf(policy)
  const [staging, release] = [view.refs.get(refs.staging) ?? null, view.refs.get(refs.release) ?? null]
  const moves = landedMoves(view.snapshot, refs.release, release)
  const lastMove = (await moves.next()).value ?? null
  const expected = lastMove?.to ?? null

  const listed: Candidate[] = []
  for await (const candidate of candidates(repository, view, { limit, now })) listed.push(candidate)
  const wayBack: RollbackOption[] = []
  for await (const option of rollbackOptions(repository, view, { limit: LOOKED_BACK, now }))
    wayBack.push(option)
  const candidateCount = await countCandidates(repository, view)
  const promotable =
    listed.find(({ foresight }) => foresight?.answer === 'yes' && isOffered(foresight)) ??
    (candidateCount > listed.length ? (await searchPromotable(repository, view, now)).promotable : null)
  const smoke = lastMove === null || expected !== release ? null : await recordedSmoke(view, lastMove)
  return {
    record: head.seq,
    staging: await describe(repository, staging),
    release: await describe(repository, release),
    lastMove,
    smoke,
    drift: expected === release ? null : { expected, found: release },
    candidates: listed,
    candidateCount,
    promotable,
    freeze: frozenAt(state, now),
    bars: await standingBars(repository, state, release, lastMove, smoke),
    pending: state.open,
    wayBack,
  }
}

/** Without bars that a later release, proved and not failed in production, has gone past: that release has what mends them. */
async function standingBars(
  repository: GitRepository,
  { bars }: LedgerState,
  release: Oid | null,
  lastMove: LandedMove | null,
  smoke: LoggedRun | null,
): Promise<LedgerState['bars']> {
  const isProved = lastMove?.kind === 'promotion' && lastMove.to === release && smoke?.result !== 'FAILED'
  if (release === null || !isProved) return bars
  const kept: LedgerState['bars'] = []
  for (const bar of bars) {
    const here = await repository.objects().info(bar.commit)
    if (here === null || !(bar.commit === release || (await repository.isAncestor(bar.commit, release))))
      kept.push(bar)
  }
  return kept
}

/** How long ago, in its largest unit: `5 min`, `3 h`, `12 days`. */
export function age(at: number, now: number): string {
  return formatDuration(Math.max(0, now - at))
    .split(' ')
    .slice(0, 2)
    .join(' ')
}

async function describe(repository: GitRepository, oid: Oid | null): Promise<Described | null> {
  if (oid === null) return null
  return (await describeCommits(repository, [oid], 1))[0] ?? null
}
