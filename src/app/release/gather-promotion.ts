/** What a promotion is judged by, from the remote and from the clone. */

import { type Oid, zeroOidLike } from '../../core/oid.ts'
import { foreseeRelease } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import { judgeRollback } from '../../guard/rollback-targets.ts'
import type { WayBack } from './auto-rollback.ts'
import type { Promotion } from './judge-promotion.ts'
import type { ReleaseSession } from './release-session.ts'
import { approvalsToGet, mayGoAlone } from './rollback-approval.ts'

export async function gatherPromotion(
  session: ReleaseSession,
  commit: Oid,
  { pushOptions, autoRollback }: { readonly pushOptions: readonly string[]; readonly autoRollback: boolean },
): Promise<Promotion> {
  const { repository, policy, release, releaseRef, view } = session
  const promotion = { commit, release, policy, pushOptions }
  if (release !== null && (await repository.isAncestor(commit, release)))
    return { ...promotion, prospect: { kind: 'released-already' } }
  const update = { from: release ?? zeroOidLike(commit), to: commit, ref: releaseRef }
  const foreseen = { now: Date.now(), toleranceMs: 0, pushOptions }
  const foresight = await foreseeRelease(repository, view, update, foreseen)
  const hasAuthor = await session.hasAuthor()
  const wayBack = autoRollback ? await gatherWayBack(session, commit) : null
  return { ...promotion, prospect: { kind: 'foreseen', foresight, hasAuthor, wayBack } }
}

/** The way back from `commit` to what is released now, as if the promotion had landed. */
async function gatherWayBack(session: ReleaseSession, commit: Oid): Promise<WayBack> {
  const { repository, view, releaseRef, release, client } = session
  if (release === null) return { kind: 'none' }
  // Only the ledger does not know of the promotion yet.
  const landed: RemoteView = { ...view, refs: new Map([...view.refs, [releaseRef, commit]]) }
  const option = await judgeRollback(repository, landed, release, Date.now())
  if (option === null) return { kind: 'open' }
  const obstacles = option.obstacles.filter(({ rule }) => rule !== 'drift')
  if (obstacles.length > 0)
    return { kind: 'closed', release, report: { ...option.foresight.report, objections: obstacles } }
  const getting = approvalsToGet(session, option)
  if (getting.kind === 'none' || mayGoAlone(getting)) return { kind: 'open' }
  const [from, to] = [await client.abbreviate(commit), await client.abbreviate(release)]
  return { kind: 'unapproved', from, to, missing: getting.missing, who: getting.who }
}
