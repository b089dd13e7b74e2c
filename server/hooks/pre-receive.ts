/**
 * pre-receive: judges all updates of a push before anything moves, and records what it allows. Its yes is durable
 * before the hook answers, and it is no move yet: git moves the ref afterwards, or doesn't.
 */

import { decide } from '../../src/core/decide.ts'
import { decisionLines, pusherLine } from '../../src/core/decision-lines.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { explainRefusal, nameMove, type RefReport, shortRef } from '../../src/core/explain.ts'
import type { History, HistoryRecord } from '../../src/core/history.ts'
import { isZeroOid, type Oid } from '../../src/core/oid.ts'
import { printable } from '../../src/core/printable.ts'
import { INBOX, releaseRef, stagingRef } from '../../src/core/refs.ts'
import { barRemarks } from '../../src/core/rules/barred.ts'
import { isSameVoice } from '../../src/core/single-use.ts'
import { advanceState } from '../../src/core/state.ts'
import type { Objection } from '../../src/core/verdict.ts'
import { debug } from '../../src/git/debug.ts'
import { gatherReleaseMove } from '../../src/git/gather-facts.ts'
import { gatherHistory } from '../../src/guard/gather-history.ts'
import { stateOf } from '../../src/guard/guarded-view.ts'
import type { TermsInForce } from '../../src/guard/policy-in-force.ts'
import { withReasons } from '../../src/guard/why-rolled-back.ts'
import type { NewRecord } from '../../src/ledger/ledger.ts'
import { keysOfPusher } from '../../src/signing/pusher-keys.ts'
import { type GuardedRepository, type ServerView, viewServer } from '../guarded-repository.ts'
import { isAskedBeforeMoves } from '../hook-places.ts'
import { anticipate, judgeSubmission, type Submission } from '../inbox.ts'
import { forgetMove, writeAuthorized } from '../move-file.ts'
import { authorizationRecord, type StatementContext } from '../records.ts'
import { parseIdentitySource } from '../settings.ts'
import { closePending, isFresh, landedMoves, landedOutcomes, pendingMove } from '../settle.ts'
import { type Attempt, LEDGER_MOVED, NEEDS_TURN, untilDone } from '../until-done.ts'
import {
  certificateFor,
  goodCertificate,
  type IdentityInput,
  identifyPusher,
  type JudgedCertificate,
  judgeCertificate,
} from './identity.ts'
import { isNoChange, judgeBranches, UNREAD } from './judge-branches.ts'
import {
  announce,
  type JudgedInbox,
  type JudgedMove,
  reportOf,
  reservedReports,
  unblamed,
} from './push-report.ts'
import type { TargetedUpdate } from './push-targets.ts'
import { ReadOnce } from './read-once.ts'
import { isLocked, lockedElsewhere, PENDING_POLL_MS, requireCreatable } from './ref-in-the-way.ts'
import type { HookAnswer } from './request.ts'

export type Push = {
  readonly updates: readonly TargetedUpdate[]
  readonly identity: IdentityInput
  readonly pushOptions: readonly string[]
  /** Whether somebody still waits for the answer: nothing is permitted to those who left. */
  readonly isAwaited: () => Promise<boolean>
}

export async function preReceive(
  guarded: GuardedRepository,
  push: Push,
  clock: () => number,
): Promise<HookAnswer> {
  const read = new ReadOnce()
  let looks = 0
  return untilDone(guarded, (hasTurn) =>
    judgeOnce(guarded, push, { now: clock(), hasTurn, read, looks: ++looks }),
  )
}

/** One look at everything on behalf of one push. */
type Look = {
  readonly now: number
  /** Others wait: the append may be made, and nothing large may be read. */
  readonly hasTurn: boolean
  readonly read: ReadOnce
  /** How many there were, this one among them. */
  readonly looks: number
}

async function judgeOnce(guarded: GuardedRepository, push: Push, look: Look): Promise<Attempt<HookAnswer>> {
  const { now, hasTurn } = look
  const view = await viewServer(guarded)
  const { inForce } = view
  const source = parseIdentitySource(guarded.settings.identity)
  const judged = await judgeCertificate(guarded.repository, push.identity, inForce?.signers ?? [], now)
  const court: Court = { guarded, push, view, judged, source, ...look }

  const inbox = await judgeInbox(court)
  const reports = [...inbox.reports, ...reservedReports(push.updates)]
  debug(() => reports.flatMap((report) => decisionLines(report)))
  const tolerated: RefReport[] = []
  let move: JudgedMove | null = null
  if (inForce !== null) {
    const enforced = inForce.policy.enforcement === 'enforce'
    const input = { ...court, repository: guarded.repository, updates: push.updates, policy: inForce.policy }
    const judgedBranches = await judgeBranches(input)
    if (judgedBranches === UNREAD) return { again: `${inForce.policy.staging} keeps moving` }
    debug(() => judgedBranches.flatMap((report) => decisionLines(report)))
    const branches = [...judgedBranches]
    const release = push.updates.filter((update) => update.target === releaseRef(inForce.policy))
    const [update] = release
    if (update !== undefined && !isNoChange(update, view) && release.length === 1) {
      const pending = pendingMove(view, update.target)
      if (pending !== undefined) return waitOrClose(court, inForce, pending)
      const judgedMove = await judgeRelease(court, inForce, update, inbox.submissions)
      branches.push(judgedMove.report)
      // git refuses a change from where the branch is not: while headgate only evaluates there is nothing to authorize.
      if (judgedMove.facts.claimedFrom === judgedMove.facts.from) move = judgedMove
    }
    for (const report of branches) (enforced ? reports : tolerated).push(report)
  }

  if (reports.some((report) => report.objections.length > 0)) {
    return {
      done: {
        accepted: false,
        text: explainRefusal([...reports, ...tolerated], unblamed(push.updates, [...reports, ...tolerated])),
      },
    }
  }
  if (inForce === null) return { done: { accepted: true, text: '' } }
  // git could not make the move, and its authorization would only be in the way of the next.
  if (move !== null && isLocked(guarded, move.facts.ref)) return lockedElsewhere(move.facts.ref)
  if (move !== null && isZeroOid(move.facts.from)) await requireCreatable(guarded, move.facts.ref)

  const context = statementContext(court, inForce)
  const records: NewRecord[] = [
    ...landedOutcomes(view, context),
    ...inbox.submissions.map(({ envelope }) => ({ at: context.at, by: context.by, envelope })),
    ...(move === null
      ? []
      : [
          authorizationRecord(
            context,
            move.facts,
            move.verdict,
            isAskedBeforeMoves(guarded.repository.commonDirectory, guarded.settings.host),
          ),
        ]),
  ]
  if (records.length > 0) {
    if (!hasTurn) return NEEDS_TURN
    if (!(await push.isAwaited()))
      throw new HeadgateError('unavailable', 'the hook stopped waiting for this answer')
    // The commit point: when this returns, the evidence and the permission are on disk, and only then may git move.
    const appended = await guarded.ledger.append(view.snapshot.head, records)
    if (appended.kind === 'stale') return LEDGER_MOVED
    if (move !== null && appended.tip !== null) {
      writeAuthorized(guarded.repository.commonDirectory, move.facts, appended.tip)
    }
  } else if (view.snapshot.state.open.length === 0) forgetMove(guarded.repository.commonDirectory)
  return {
    done: {
      accepted: true,
      text: announce(inbox, move, tolerated, view.snapshot.head.seq + records.length),
    },
  }
}

type Court = Look & {
  readonly guarded: GuardedRepository
  readonly push: Push
  readonly view: ServerView
  readonly judged: JudgedCertificate
  readonly source: ReturnType<typeof parseIdentitySource>
}

function statementContext(court: Court, inForce: TermsInForce): StatementContext {
  const { guarded, push, judged, source, now } = court
  const own = push.updates.find((update) => update.target === releaseRef(inForce.policy))
  const pusher = identifyPusher(source, push.identity, ownCertificate(judged, own), inForce.signers, now)
  const by = pusher.identified ? printable(pusher.principal, 200) : 'unidentified'
  return { sealKey: guarded.sealKey, inForce, at: new Date(now).toISOString(), by }
}

/** For a push that does not touch the release branch any update of the certificate tells who signed it. */
function ownCertificate(judged: JudgedCertificate, update: TargetedUpdate | undefined) {
  if (update !== undefined) return certificateFor(judged, update)
  if (!judged.offered || !judged.good) return judged
  return goodCertificate(judged)
}

/** Each becomes a record, and the ledger takes a thousand in one append. */
const MAX_SUBMISSIONS = 500

async function judgeInbox({ guarded, push, view, now }: Court): Promise<JudgedInbox> {
  const reports: RefReport[] = []
  const submissions: Submission[] = []
  const known: number[] = []
  const updates = push.updates.filter(({ target }) => target.startsWith(INBOX))
  const [first] = updates
  if (first !== undefined && updates.length > MAX_SUBMISSIONS) {
    const found = [`this push brings ${updates.length} submissions, and ${MAX_SUBMISSIONS} is the limit`]
    const objection: Objection = { rule: 'inbox', found, fix: ['push them in several parts'] }
    return { reports: [reportOf(first, 'a submission', [objection])], submissions, known }
  }
  for (const update of updates) {
    const verdict = await judgeSubmission(guarded.repository, view, update, now)
    if (verdict.kind === 'known') known.push(verdict.seq)
    if (verdict.kind === 'accepted') {
      const { statement } = verdict.submission
      const twice = submissions.some(
        (other) =>
          other.statement.payloadDigest === statement.payloadDigest && isSameVoice(other, verdict.submission),
      )
      if (!twice) submissions.push(verdict.submission)
    }
    const objections = verdict.kind === 'refused' ? [verdict.objection] : []
    reports.push(reportOf(update, 'a submission', objections))
  }
  return { reports, submissions, known }
}

async function judgeRelease(
  { guarded, push, view, now, judged, source, read }: Court,
  inForce: TermsInForce,
  update: TargetedUpdate,
  submissions: readonly Submission[],
): Promise<JudgedMove> {
  const ref = update.target
  const certificate = certificateFor(judged, update)
  const pusher = identifyPusher(source, push.identity, certificate, inForce.signers, now)
  const about = {
    update: { ...update, ref },
    current: view.refs.get(ref) ?? null,
    staging: view.refs.get(stagingRef(inForce.policy)) ?? null,
    pusher,
    certificate,
    pusherKeys: keysOfPusher(inForce.signers, pusher, certificate),
    pushOptions: push.pushOptions,
    releaseLog: inForce.policy.releaseLog,
  }
  const history = await historyWith(view, update.to, submissions, now)
  const question = { ...about, bars: history.state.bars.map(({ commit }) => commit) }
  const gathered = await read.get(question, () => gatherReleaseMove(guarded.repository, question))
  const broughtBack = await withReasons(view.snapshot, history.state, gathered.broughtBack)
  const facts = { ...gathered, broughtBack }
  const verdict = decide(facts, inForce.policy, history, now)
  const who = pusher.identified ? ` by ${printable(pusher.principal, 80)}` : ''
  const report = reportOf(
    { ...update, from: facts.from },
    `${nameMove(verdict.kind)}${who}`,
    verdict.objections,
  )
  debug(() => [pusherLine(pusher), ...decisionLines(report, verdict)])
  const remarks = barRemarks(facts, history.state, now)
  return { facts, verdict, report, remarks }
}

/** The ledger's history with the submissions of this very push, as if they were recorded already. */
async function historyWith(
  view: ServerView,
  to: Oid,
  submissions: readonly Submission[],
  now: number,
): Promise<History> {
  const recorded = await gatherHistory(view.snapshot, to, view.inForce)
  const about: HistoryRecord[] = [...recorded.about]
  const at = new Date(now).toISOString()
  // The records that this push adds begin with the outcomes of what has landed.
  let state = stateOf(view, now)
  let seq = view.snapshot.head.seq + landedMoves(view).length
  for (const submission of submissions) {
    const record = anticipate(submission, ++seq, now, submission.principal)
    state = advanceState(state, { seq, at, by: submission.principal, statement: submission.statement })
    if (submission.statement.commit === to) about.push(record)
  }
  return { state, about }
}

/** A push of the same ref was allowed before and has not moved it: it is under way, or died. */
async function waitOrClose(
  court: Court,
  inForce: TermsInForce,
  pending: NonNullable<ReturnType<typeof pendingMove>>,
): Promise<Attempt<never>> {
  const { guarded, view, now, hasTurn, looks } = court
  const branch = shortRef(pending.ref)
  const who = printable(pending.by, 80)
  if (isFresh(pending, now, looks)) {
    return {
      again: `another push of ${branch}, by ${who}, is under way; fetch first, then look again`,
      pauseMs: PENDING_POLL_MS,
    }
  }
  if (!hasTurn) return NEEDS_TURN
  const context = statementContext(court, inForce)
  try {
    const closed = await closePending(guarded, view, pending, context)
    return closed === 'stale'
      ? LEDGER_MOVED
      : { again: `the ledger was settled after an earlier push of ${branch} that did not land` }
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
    if (isLocked(guarded, pending.ref)) return lockedElsewhere(pending.ref)
    return { again: error.message, pauseMs: PENDING_POLL_MS }
  }
}
