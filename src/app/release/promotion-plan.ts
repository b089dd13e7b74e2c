/** What a promotion will ship and do, for the person who has to say yes. */

import type { Oid } from '../../core/oid.ts'
import type { RuleName } from '../../core/verdict.ts'
import {
  type Described,
  describeCommits,
  type EvidenceStanding,
  evidenceStanding,
} from '../../guard/candidates.ts'
import type { Foresight } from '../../guard/foresee.ts'
import { gatherHistory } from '../../guard/gather-history.ts'
import type { LandedMove } from '../../guard/landed-moves.ts'
import { recordedSmoke } from '../../guard/release-entry.ts'
import type { ReleaseSession, Unrecorded } from './release-session.ts'

const MAX_COUNTED = 10_000

export type PromotionPlan = {
  /** Short name of the release branch, and where it is guarded. */
  readonly branch: string
  readonly remote: string
  /** Null where this is the first release. */
  readonly from: Oid | null
  readonly to: Oid
  /** What is released with it, the newest first. */
  readonly commits: readonly Described[]
  readonly evidence: EvidenceStanding
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Rules that an override waives for this move. */
  readonly waived: readonly RuleName[]
  /** What people are told of what comes back with it. */
  readonly remarks: readonly string[]
  readonly note: string | undefined
  readonly plan: string | undefined
  /** The record of production's smoke test that the release before it failed; null where it did not. */
  readonly failedBefore: number | null
  /** How long production is waited for, to be tested; null where it does not say what it serves. */
  readonly waitMs: number | null
  readonly unrecorded: Unrecorded | null
  /** Where the entry will stand, and the moves that get one before it, the newest first. */
  readonly log: { readonly path: string; readonly branch: string; readonly missing: readonly LandedMove[] }
}

export async function planPromotion(
  session: ReleaseSession,
  commit: Oid,
  foresight: Foresight,
  words: { readonly note: string | undefined; readonly plan: string | undefined },
): Promise<PromotionPlan> {
  const { repository, policy, release, view, options, production } = session
  const now = Date.now()
  const range = release === null ? [commit] : [commit, `^${release}`]
  const history = await gatherHistory(view.snapshot, commit, view.inForce)
  const { servedCommit = null } = production ?? {}
  return {
    branch: policy.release,
    remote: options.remote,
    from: release,
    to: commit,
    commits: await describeCommits(repository, range, MAX_COUNTED),
    evidence: evidenceStanding(policy, commit, history, now),
    now,
    waived: foresight.waived.map(({ rule }) => rule),
    remarks: foresight.remarks,
    ...words,
    failedBefore: await failedBefore(session),
    waitMs: servedCommit === null ? null : options.waitMs,
    unrecorded: session.unrecorded(),
    log: {
      path: policy.releaseLog,
      branch: options.logBranch ?? policy.staging,
      missing: await session.unlogged(),
    },
  }
}

async function failedBefore(session: ReleaseSession): Promise<number | null> {
  const last = await session.lastMove()
  const smoke = last === null ? null : await recordedSmoke(session.view, last)
  return smoke?.result === 'FAILED' ? smoke.record : null
}
