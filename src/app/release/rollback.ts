/**
 * The way back to a release that worked: exactly one move, with approvals for exactly that one. Nothing is switched off
 * for it: the server judges the push like any other.
 */

import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { plural } from '../../core/plural.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { type Described, describeCommits } from '../../guard/candidates.ts'
import type { RollbackOption } from '../../guard/rollback-targets.ts'
import type { Caller } from '../caller.ts'
import { requireLine } from '../requirements.ts'
import type { Operator } from './operator.ts'
import { type PushEvent, pushRelease } from './push-release.ts'
import {
  type ReleaseResult,
  ReleaseSession,
  type SessionEvent,
  type SessionOptions,
} from './release-session.ts'
import { type Drift, requireNoDrift } from './require-no-drift.ts'
import { approvalsToGet, signOwnApproval } from './rollback-approval.ts'
import { chooseTarget, judgeTarget } from './rollback-target.ts'
import { type TestEvent, testProduction } from './test-production.ts'

/** A rollback that somebody wants, and the words for its record. */
export type RollbackRequest = {
  /** The last known-good release unless named. */
  readonly commit: string | undefined
  readonly trigger: string
  readonly symptoms: string
  readonly reason: string | undefined
  /** Whether it is consented to already. */
  readonly yes: boolean
}

export type RollbackOptions = SessionOptions & RollbackRequest

export type RollbackQuestion =
  /** The branch has moved already; the rest is left to be done. */
  | { readonly kind: 'finish-rollback' }
  /** `signing`: the move is approved with the operator's own key first. */
  | { readonly kind: 'roll-back'; readonly branch: string; readonly to: Oid; readonly signing: boolean }

export type RollbackPlan = {
  /** Short name of the release branch, and where it is guarded. */
  readonly branch: string
  readonly remote: string
  readonly from: Oid
  readonly to: Oid
  /** What is taken back, the newest first. */
  readonly undone: readonly Described[]
  readonly trigger: string
  readonly symptoms: string
  /** Whether git knows who writes the entry in the release log. */
  readonly hasAuthor: boolean
}

export type RollbackEvent =
  | Drift
  | SessionEvent
  | PushEvent
  | TestEvent
  /** An earlier run has moved the branch. */
  | { readonly kind: 'rollback-resumed'; readonly branch: string; readonly to: Oid }
  | { readonly kind: 'rollback-planned'; readonly plan: RollbackPlan }
  | { readonly kind: 'approval-signed'; readonly principal: string }
  /** The server takes no push options, so that the record of the move lacks trigger and symptoms. */
  | { readonly kind: 'words-left-out' }
  | { readonly kind: 'rolled-back'; readonly branch: string; readonly from: Oid; readonly to: Oid }
  /** Production fails its smoke test at the earlier release as well. */
  | { readonly kind: 'rollback-in-vain'; readonly to: Oid }
  | { readonly kind: 'rollback-done'; readonly branch: string; readonly to: Oid; readonly verified: boolean }

/** What a rollback that is under way goes by. */
export type RollbackRun = {
  readonly session: ReleaseSession
  readonly operator: Operator<RollbackQuestion>
  readonly tell: (event: RollbackEvent) => void
}

export async function rollback(
  caller: Caller,
  options: RollbackOptions,
  operator: Operator<RollbackQuestion>,
  tell: (event: RollbackEvent) => void,
): Promise<ReleaseResult> {
  const request = {
    ...options,
    trigger: requireLine('trigger', options.trigger),
    symptoms: requireLine('symptoms', options.symptoms),
  }
  const session = await ReleaseSession.open(caller, options, tell)
  try {
    const run = { session, operator, tell }
    await session.lookWhenSettled()
    await requireNoDrift(session, tell)
    const moved = await findUnfinished(session, request)
    const failed = moved === null ? await goBack(run, request) : await goOn(run, moved, request)
    return await session.result(failed)
  } finally {
    session.close()
  }
}

/** The rollback that an earlier run was about, if something is left to do for it. A second one must not follow unasked. */
async function findUnfinished(session: ReleaseSession, { commit }: RollbackRequest): Promise<Oid | null> {
  const last = await session.lastMove()
  if (last === null || last.to !== session.release || last.kind === 'promotion') return null
  if (commit !== undefined) return (await session.client.resolveCommit(commit)) === last.to ? last.to : null
  if (last.kind !== 'rollback') return null
  return (await session.isLogged(last)) ? null : last.to
}

async function goOn(run: RollbackRun, to: Oid, request: RollbackRequest): Promise<boolean> {
  const { session, operator, tell } = run
  tell({ kind: 'rollback-resumed', branch: session.policy.release, to })
  if (!request.yes) await operator.consent({ kind: 'finish-rollback' })
  return finish(run, to, request)
}

/** Judges, gets approved, pushes, verifies and writes down. True where production fails its smoke test again. */
export async function goBack(
  run: RollbackRun,
  request: RollbackRequest,
  /** The oldest record that the release log gets an entry for; that of the rollback unless told. */
  since?: number,
): Promise<boolean> {
  const { session, tell } = run
  session.requireRequestKey()
  const target = await chooseTarget(session, request)
  const from = session.release ?? ''
  tell({ kind: 'rollback-planned', plan: await planRollback(session, target, request) })
  const approved = await getApproved(run, target, from, request)
  await push(run, approved, from, request)
  return finish(run, target.commit, request, since)
}

async function planRollback(
  session: ReleaseSession,
  { commit }: RollbackOption,
  { trigger, symptoms }: RollbackRequest,
): Promise<RollbackPlan> {
  const { repository, policy, release, options } = session
  return {
    branch: policy.release,
    remote: options.remote,
    from: release ?? '',
    to: commit,
    undone: await describeCommits(repository, [release ?? commit, `^${commit}`], 1000),
    trigger,
    symptoms,
    hasAuthor: await session.hasAuthor(),
  }
}

/** Asks for consent, and signs the approval that the operator may give. Throws 'refused' where others have to approve. */
async function getApproved(
  { session, operator, tell }: RollbackRun,
  target: RollbackOption,
  from: Oid,
  request: RollbackRequest,
): Promise<RollbackOption> {
  const getting = approvalsToGet(session, target)
  if (getting.kind === 'others')
    throw await needsApproval(session, target, request, getting.missing, getting.who)
  const signing = getting.kind === 'sign'
  const question = { kind: 'roll-back', branch: session.policy.release, to: target.commit, signing } as const
  if (!request.yes) await operator.consent(question)
  if (getting.kind === 'none') return target
  await signOwnApproval(session, { from, to: target.commit, key: getting.key, request }, tell)
  tell({ kind: 'approval-signed', principal: getting.principal })
  await session.look()
  if (session.release !== from) throw movedMeanwhile(session)
  const judgedAgain = await judgeTarget(session, target.commit, request)
  const rest = approvalsToGet(session, judgedAgain)
  if (rest.kind !== 'none') throw await needsApproval(session, judgedAgain, request, rest.missing, rest.who)
  return judgedAgain
}

async function push(
  { session, tell }: RollbackRun,
  { commit, foresight }: RollbackOption,
  from: Oid,
  { trigger, symptoms }: RollbackRequest,
): Promise<void> {
  if (session.release !== from) throw movedMeanwhile(session)
  const options = [`trigger=${trigger}`, `symptoms=${symptoms}`]
  let outcome = await pushRelease(session, commit, options, foresight.signed, tell)
  if (outcome.kind === 'refused' && outcome.error.code === 'configuration') {
    // Words for the record are not worth a minute of an outage, and an approval has them, too.
    tell({ kind: 'words-left-out' })
    outcome = await pushRelease(session, commit, [], foresight.signed, tell)
  }
  if (session.release === commit) {
    tell({ kind: 'rolled-back', branch: session.policy.release, from, to: commit })
    return
  }
  if (outcome.kind === 'refused' || outcome.kind === 'unknown') throw outcome.error
  throw movedMeanwhile(session)
}

function movedMeanwhile({ policy, release }: ReleaseSession): HeadgateError {
  const where = release === null ? 'gone' : `at ${shortOid(release)}`
  return new HeadgateError('refused', `${policy.release} moved meanwhile: it is ${where}`, {
    hint: 'look at what was released, then decide anew: headgate status',
  })
}

async function needsApproval(
  session: ReleaseSession,
  { commit }: RollbackOption,
  request: RollbackRequest,
  missing: number,
  who: readonly string[],
): Promise<HeadgateError> {
  const { client, policy, release } = session
  const [from, to] = [await client.abbreviate(release ?? commit), await client.abbreviate(commit)]
  const words = `--trigger ${shellWord(request.trigger)} --symptoms ${shellWord(request.symptoms)}`
  const names = who.map((name) => printable(name, 60)).join(', ')
  return new HeadgateError(
    'refused',
    [
      `going back needs ${plural(missing, 'approval')} more, by ${names}; nothing was moved`,
      'who approves runs:',
      `  headgate approve --from ${from} --to ${to} --reason ${shellWord(request.reason ?? request.trigger)} ${words} --key FILE`,
      'then run this again:',
      `  ${await session.rollbackCommand(commit, request)}`,
    ].join('\n'),
    { hint: `an approval lasts an hour unless told; rollback.approvals is ${policy.rollback.approvals}` },
  )
}

/** Tests production and writes down. True where production fails its smoke test. */
async function finish(
  { session, operator, tell }: RollbackRun,
  to: Oid,
  request: RollbackRequest,
  since?: number,
): Promise<boolean> {
  const goOn = await session.rollbackCommand(to, request)
  const tested = await testProduction(session, { commit: to, goOn }, operator.interruptible, tell)
  await session.look()
  const move = await session.lastMove()
  if (move !== null && move.to === to) await session.writeLog(since ?? move.seq)
  if (tested.kind === 'failed') {
    tell({ kind: 'rollback-in-vain', to })
    return true
  }
  const verified = tested.kind === 'passed'
  tell({ kind: 'rollback-done', branch: session.policy.release, to, verified })
  return false
}
