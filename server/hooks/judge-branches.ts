/** What a push does to the staging branch, to branches that earlier policies named, and to the names of all of them. */

import { decideStaging } from '../../src/core/decide.ts'
import { type RefReport, shortRef } from '../../src/core/explain.ts'
import { isZeroOid } from '../../src/core/oid.ts'
import type { Terms } from '../../src/core/policy/policy.ts'
import { printable, shellWord } from '../../src/core/printable.ts'
import { guardedBranches, releaseRef, stagingRef } from '../../src/core/refs.ts'
import { namesake, namesakesOf } from '../../src/core/rules/namesake.ts'
import { type FormerBranch, formerBranches } from '../../src/core/state.ts'
import type { Objection } from '../../src/core/verdict.ts'
import { gatherStagingMove, typeOf } from '../../src/git/gather-facts.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import type { ServerView } from '../guarded-repository.ts'
import { reportOf } from './push-report.ts'
import type { TargetedUpdate } from './push-targets.ts'
import type { ReadOnce } from './read-once.ts'

type Case = {
  readonly repository: GitRepository
  readonly updates: readonly TargetedUpdate[]
  readonly view: ServerView
  readonly policy: Terms
  /** Others wait: nothing large may be read. */
  readonly hasTurn: boolean
  readonly read: ReadOnce
}

/** What it rests on is not read yet, and can be large: others wait for the turn. */
export const UNREAD = 'unread'

/** All of it but the release branch. */
export async function judgeBranches(input: Case): Promise<RefReport[] | typeof UNREAD> {
  const staging = await judgeStaging(input)
  if (staging === UNREAD) return UNREAD
  return [...staging, ...judgeFormer(input), ...(await judgeNamesakes(input)), ...duplicates(input)]
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

async function judgeStaging(input: Case): Promise<RefReport[] | typeof UNREAD> {
  const { repository, updates, view, policy, hasTurn, read } = input
  const refs = [stagingRef(policy), ...formerRefs(view, 'staging')]
  const reports: RefReport[] = []
  for (const update of updates) {
    const ref = update.target
    if (!refs.includes(ref) || isNoChange(update, view)) continue
    const current = view.refs.get(ref) ?? null
    const about = { update: { ...update, ref }, current, log: policy.releaseLog }
    if (hasTurn && !read.has(about)) return UNREAD
    const facts = await read.get(about, () =>
      gatherStagingMove(repository, about.update, current, policy.releaseLog),
    )
    reports.push(reportOf(update, '', decideStaging(facts)))
  }
  return reports
}

function judgeFormer({ updates, view }: Case): RefReport[] {
  const refs = formerRefs(view, 'release')
  return updates
    .filter((update) => refs.includes(update.target) && !isNoChange(update, view))
    .map((update) => reportOf(update, '', [formerRelease(update.target)]))
}

/** What is there already may be deleted, and is in nobody's way but its own: the branches are judged by their full names. */
async function judgeNamesakes({ repository, updates, view, policy }: Case): Promise<RefReport[]> {
  const branches = [...guardedBranches(policy), ...formerRefs(view)]
  const reports: RefReport[] = []
  for (const update of updates) {
    const { target, from, to } = update
    const branch = branches.find((ref) => namesakesOf(ref).includes(target))
    if (branch === undefined || isZeroOid(to) || from === to) continue
    const objectType = await typeOf(repository, to)
    reports.push(reportOf(update, '', [namesake(target, branch, { to, objectType })]))
  }
  return reports
}

/** Branches that earlier policies named and this one does not. */
function formerRefs({ snapshot }: ServerView, role?: FormerBranch['role']): string[] {
  return formerBranches(snapshot.state)
    .filter((former) => role === undefined || former.role === role)
    .map(({ ref }) => ref)
}

/** A guarded branch can be named twice in one push, by itself or by an alias; no order of the two would be right. */
function duplicates({ updates, view, policy }: Case): RefReport[] {
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
