/** Whether a promotion is made, judged by what was gathered and nothing else. */

import { HeadgateError } from '../../core/errors.ts'
import { explainRef, type RefReport } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import type { Policy } from '../../core/policy/policy.ts'
import { isDespite } from '../../core/rules/barred.ts'
import type { Foresight } from '../../guard/foresee.ts'
import { lackOfWayBack, type WayBack } from './auto-rollback.ts'

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

/** Why what could go is not promoted by itself, and what promotes it. */
export function comingBack(commit: Oid, { broughtBack, remarks, note: wantsNote }: Foresight): string[] {
  const named = broughtBack.map((back) => shortOid(back.commit)).join(',')
  return [
    ...(remarks.length > 0
      ? remarks
      : [`${shortOid(commit)} was rolled back from, and proved anew since then`]),
    'if it mends what was wrong, promote it by name:',
    `  headgate promote ${shortOid(commit)} --despite-bar ${named}${wantsNote ? " --note 'TEXT'" : ''}`,
  ]
}
