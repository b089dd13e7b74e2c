/** Whether a promotion is made: gathered from the remote and from the clone, then judged without another look. */

import { HeadgateError } from '../../core/errors.ts'
import { explainRef, type RefReport } from '../../core/explain.ts'
import { type Oid, shortOid, zeroOidLike } from '../../core/oid.ts'
import type { Policy } from '../../core/policy/policy.ts'
import { isDespite } from '../../core/rules/barred.ts'
import { type Foresight, foreseeRelease } from '../../guard/foresee.ts'
import { gatherWayBack, lackOfWayBack, type WayBack } from './auto-rollback.ts'
import { comingBack } from './promotion-choice.ts'
import type { ReleaseSession } from './release-session.ts'

/** A promotion before it is made. */
export type Promotion = {
  readonly commit: Oid
  /** Where the release branch is; null where it is not there. */
  readonly release: Oid | null
  readonly policy: Pick<Policy, 'release' | 'enforcement'>
  readonly pushOptions: readonly string[]
  readonly prospect:
    | { readonly kind: 'released-already' }
    | {
        readonly kind: 'foreseen'
        readonly foresight: Foresight
        /** Whether git knows who writes the entry in the release log. */
        readonly hasAuthor: boolean
        /** Null where nothing is to be rolled back by itself. */
        readonly wayBack: WayBack | null
      }
}

export type Judgement = {
  /** What objects and is told, since the policy refuses nothing; null where nothing does. */
  readonly ignored: RefReport | null
} & (
  | { readonly kind: 'refused'; readonly error: HeadgateError }
  | { readonly kind: 'allowed'; readonly foresight: Foresight }
)

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

/** The first thing that speaks against it is the one that is said. */
export function judgePromotion({ commit, release, policy, pushOptions, prospect }: Promotion): Judgement {
  if (prospect.kind === 'released-already') {
    const error = new HeadgateError(
      'usage',
      `${policy.release} has ${shortOid(commit)} already: it is at ${shortOid(release ?? commit)}`,
      { hint: `to go back to it: headgate rollback ${shortOid(commit)} --trigger TEXT --symptoms TEXT` },
    )
    return { kind: 'refused', error, ignored: null }
  }
  const { foresight, hasAuthor, wayBack } = prospect
  const { answer, report, broughtBack } = foresight
  if (answer === 'unclear') {
    const error = new HeadgateError('unavailable', foresight.reason, { hint: 'try again in a moment' })
    return { kind: 'refused', error, ignored: null }
  }
  const ignored = answer === 'no' ? report : null
  if (ignored !== null && policy.enforcement === 'enforce') {
    const error = new HeadgateError(
      'refused',
      [`${shortOid(commit)} cannot be promoted now`, ...explainRef(ignored)].join('\n'),
      { hint: 'headgate status shows what can; nothing was pushed' },
    )
    return { kind: 'refused', error, ignored: null }
  }
  const contained = broughtBack.filter(({ how }) => how === 'contained')
  if (answer === 'yes' && !contained.every((back) => isDespite(pushOptions, back.commit))) {
    const error = new HeadgateError('refused', comingBack(commit, foresight).join('\n'), {
      hint: 'nothing was pushed',
    })
    return { kind: 'refused', error, ignored }
  }
  if (!hasAuthor) {
    const error = new HeadgateError(
      'configuration',
      'git does not know who you are, and the log entry is a commit',
      { hint: 'git config user.name NAME && git config user.email ADDRESS; nothing was pushed' },
    )
    return { kind: 'refused', error, ignored }
  }
  const lack = wayBack === null ? null : lackOfWayBack(wayBack)
  if (lack !== null) return { kind: 'refused', error: lack, ignored }
  return { kind: 'allowed', foresight, ignored }
}
