/** The second step of pre-receive: what is gathered about a push becomes a verdict. Nothing is read or written here. */
import { decide, decideStaging } from '../../src/core/decide.ts'
import { nameMove, type RefReport, shortRef } from '../../src/core/explain.ts'
import { isZeroOid } from '../../src/core/oid.ts'
import type { Terms } from '../../src/core/policy/policy.ts'
import { printable, shellWord } from '../../src/core/printable.ts'
import { releaseRef, stagingRef } from '../../src/core/refs.ts'
import { barRemarks } from '../../src/core/rules/barred.ts'
import { namesake } from '../../src/core/rules/namesake.ts'
import { type FormerBranch, formerBranches, type Move } from '../../src/core/state.ts'
import type { Objection } from '../../src/core/verdict.ts'
import type { ServerView } from '../../src/guard/guarded-view.ts'
import type { GatheredPush, GatheredRelease } from './gather-push.ts'
import { type JudgedMove, reportOf, reservedReports } from './push-report.ts'
import type { TargetedUpdate } from './push-targets.ts'

export type Judgement =
  | { readonly kind: 'refused'; readonly reports: readonly RefReport[] }
  /** Nobody can say before it is known what becomes of that move. */
  | { readonly kind: 'pending'; readonly move: Move }
  | {
      readonly kind: 'allowed'
      /** What has to be authorized, where it is a move of the release branch. */
      readonly move: JudgedMove | null
      readonly reports: readonly RefReport[]
      /** What would be refused if the policy did not only evaluate. */
      readonly tolerated: readonly RefReport[]
    }

export function judgePush(gathered: GatheredPush): Judgement {
  const { view, inbox, updates, release, now } = gathered
  if (release?.kind === 'pending') return { kind: 'pending', move: release.move }
  const own = [...inbox.reports, ...reservedReports(updates)]
  const policy = view.inForce?.policy ?? null
  const move = policy === null || release === null ? null : judgeRelease(release, policy, now)
  const branches = [
    ...(policy === null ? [] : judgeBranches(gathered, policy)),
    ...(move === null ? [] : [move.report]),
  ]
  const enforced = policy?.enforcement === 'enforce'
  const tolerated = enforced ? [] : branches
  const reports = enforced ? [...own, ...branches] : own
  if (reports.some(({ objections }) => objections.length > 0))
    return { kind: 'refused', reports: [...reports, ...tolerated] }
  // git refuses a change from where the branch is not: while headgate only evaluates there is nothing to authorize.
  const isPossible = move !== null && move.facts.claimedFrom === move.facts.from
  return { kind: 'allowed', move: isPossible ? move : null, reports, tolerated }
}

function judgeRelease(
  { update, facts, history }: GatheredRelease & { kind: 'move' },
  policy: Terms,
  now: number,
): JudgedMove {
  const verdict = decide(facts, policy, history, now)
  const { pusher } = facts
  const who = pusher.identified ? ` by ${printable(pusher.principal, 80)}` : ''
  const report = reportOf(
    { ...update, from: facts.from },
    `${nameMove(verdict.kind)}${who}`,
    verdict.objections,
  )
  return { facts, verdict, report, remarks: barRemarks(facts, history.state, now) }
}

/** The staging branch, branches that earlier policies named, and the names of all of them. */
function judgeBranches({ staging, namesakes, updates, view }: GatheredPush, policy: Terms): RefReport[] {
  return [
    ...staging.map(({ update, facts }) => reportOf(update, '', decideStaging(facts))),
    ...judgeFormer(updates, view),
    ...namesakes.map(({ update, branch, objectType }) =>
      reportOf(update, '', [namesake(update.target, branch, { to: update.to, objectType })]),
    ),
    ...duplicates(updates, view, policy),
  ]
}

function judgeFormer(updates: readonly TargetedUpdate[], view: ServerView): RefReport[] {
  const refs = formerRefs(view, 'release')
  return updates
    .filter((update) => refs.includes(update.target) && !isNoChange(update, view))
    .map((update) => reportOf(update, '', [formerRelease(update.target)]))
}

/** Why nobody moves a former release branch. */
export function formerRelease(ref: string): Objection {
  return {
    rule: 'former-branch',
    found: [`an earlier policy named ${shortRef(ref)} as the release branch, and it stays where it is`],
    fix: [
      'an operator lets go of it:',
      `  headgate retire ${shellWord(shortRef(ref))} --reason TEXT --key FILE`,
    ],
  }
}

/** git takes an update to the same value, and the deletion of a ref that does not exist, and changes nothing. */
export function isNoChange({ from, to, target }: TargetedUpdate, { refs }: ServerView): boolean {
  if (isZeroOid(to)) return !refs.has(target)
  return from === to && refs.get(target) === to
}

/** Branches that earlier policies named and this one does not. */
export function formerRefs({ snapshot }: ServerView, role?: FormerBranch['role']): string[] {
  return formerBranches(snapshot.state)
    .filter((former) => role === undefined || former.role === role)
    .map(({ ref }) => ref)
}

/** A guarded branch can be named twice in one push, by itself or by an alias; no order of the two would be right. */
function duplicates(updates: readonly TargetedUpdate[], view: ServerView, policy: Terms): RefReport[] {
  const twice = (ref: string, rule: Objection['rule']): RefReport[] => {
    const [first, second] = updates.filter((update) => update.target === ref)
    if (first === undefined || second === undefined) return []
    const names = [first, second].map((update) => printable(update.ref, 120)).join(' and ')
    const found = [
      `this push changes ${shortRef(ref)} twice (as ${names}), and only one change at a time can be judged`,
    ]
    return [reportOf(second, '', [{ rule, found, fix: ['push one change of it'] }])]
  }
  return [
    ...twice(releaseRef(policy), 'fast-forward'),
    ...[stagingRef(policy), ...formerRefs(view, 'staging')].flatMap((ref) => twice(ref, 'staging-history')),
  ]
}
