/**
 * pre-receive: judges all updates of a push before anything moves, and records what it allows. Its yes is durable
 * before the hook answers, and it is no move yet: git moves the ref afterwards, or doesn't.
 *
 * Each look has four steps: gather (gather-push.ts), judge (judge-push.ts), record, explain.
 */

import { decisionLines } from '../../src/core/decision-lines.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { explainRefusal, shortRef } from '../../src/core/explain.ts'
import { isZeroOid } from '../../src/core/oid.ts'
import { printable } from '../../src/core/printable.ts'
import { releaseRef } from '../../src/core/refs.ts'
import type { Move } from '../../src/core/state.ts'
import { refusedLine } from '../../src/core/verdict-line.ts'
import { debug } from '../../src/git/debug.ts'
import type { TermsInForce } from '../../src/guard/policy-in-force.ts'
import { authorizationRecord, type StatementContext } from '../../src/guard/server-statements.ts'
import type { NewRecord } from '../../src/ledger/ledger.ts'
import type { GuardedRepository } from '../guarded-repository.ts'
import { isAskedBeforeMoves } from '../hook-places.ts'
import { forgetMove, writeAuthorized } from '../move-file.ts'
import { closePending, isFresh, landedOutcomes } from '../settle.ts'
import { type Attempt, LEDGER_MOVED, NEEDS_TURN, untilDone } from '../until-done.ts'
import { type GatheredPush, gatherPush, type Look, type Push, UNREAD } from './gather-push.ts'
import { certificateFor, goodCertificate, identifyPusher, type JudgedCertificate } from './identity.ts'
import { type Judgement, judgePush } from './judge-push.ts'
import { announce, type JudgedMove, unblamed } from './push-report.ts'
import type { TargetedUpdate } from './push-targets.ts'
import { ReadOnce } from './read-once.ts'
import { isLocked, lockedElsewhere, PENDING_POLL_MS, requireCreatable } from './ref-in-the-way.ts'
import type { HookAnswer } from './request.ts'

export async function preReceive(
  guarded: GuardedRepository,
  push: Push,
  clock: () => number,
): Promise<HookAnswer> {
  const read = new ReadOnce()
  let looks = 0
  return untilDone(guarded, (hasTurn) =>
    lookOnce(guarded, push, { now: clock(), hasTurn, read, looks: ++looks }),
  )
}

async function lookOnce(guarded: GuardedRepository, push: Push, look: Look): Promise<Attempt<HookAnswer>> {
  const gathered = await gatherPush(guarded, push, look)
  if (gathered === UNREAD) return { again: 'the staging branch keeps moving' }
  const judgement = judgePush(gathered)
  if (judgement.kind !== 'pending') debug(() => judgementLines(judgement))
  switch (judgement.kind) {
    case 'pending':
      return waitOrClose(guarded, push, gathered, judgement.move, look)
    case 'refused': {
      const { reports } = judgement
      const objections = reports.flatMap((report) => report.objections)
      const text = explainRefusal(reports, unblamed(push.updates, reports))
      return { done: { accepted: false, text: `${text}\n${refusedLine(objections)}` } }
    }
    case 'allowed': {
      const recorded = await record(guarded, push, gathered, judgement, look)
      if (!('count' in recorded)) return recorded
      const { inbox, view } = gathered
      const lastSeq = view.snapshot.head.seq + recorded.count
      const text = view.inForce === null ? '' : announce(inbox, judgement.move, judgement.tolerated, lastSeq)
      return { done: { accepted: true, text } }
    }
  }
}

function judgementLines(judgement: Exclude<Judgement, { kind: 'pending' }>): string[] {
  const { reports } = judgement
  const [move, tolerated] = judgement.kind === 'allowed' ? [judgement.move, judgement.tolerated] : [null, []]
  return [...reports, ...tolerated].flatMap((report) =>
    decisionLines(report, report === move?.report ? move.verdict : undefined),
  )
}

/** Makes what was allowed durable: how many records were appended, or why another look is needed. */
async function record(
  guarded: GuardedRepository,
  push: Push,
  gathered: GatheredPush,
  { move }: Judgement & { kind: 'allowed' },
  { hasTurn }: Look,
): Promise<{ readonly count: number } | Attempt<never>> {
  const { view, inbox } = gathered
  const { inForce, snapshot } = view
  if (inForce === null) return { count: 0 }
  const { commonDirectory } = guarded.repository
  // git could not make the move, and its authorization would only be in the way of the next.
  if (move !== null && isLocked(guarded, move.facts.ref)) return lockedElsewhere(move.facts.ref)
  if (move !== null && isZeroOid(move.facts.from)) await requireCreatable(guarded, move.facts.ref)

  const context = statementContext(guarded, push, gathered, inForce)
  const records: NewRecord[] = [
    ...landedOutcomes(view, context),
    ...inbox.submissions.map(({ envelope }) => ({ at: context.at, by: context.by, envelope })),
    ...(move === null ? [] : [authorizationOf(guarded, context, move)]),
  ]
  if (records.length === 0) {
    if (snapshot.state.open.length === 0) forgetMove(commonDirectory)
    return { count: 0 }
  }
  if (!hasTurn) return NEEDS_TURN
  if (!(await push.isAwaited()))
    throw new HeadgateError('unavailable', 'the hook stopped waiting for this answer')
  // The commit point: when this returns, the evidence and the permission are on disk, and only then may git move.
  const appended = await guarded.ledger.append(snapshot.head, records)
  if (appended.kind === 'stale') return LEDGER_MOVED
  if (move !== null && appended.tip !== null) writeAuthorized(commonDirectory, move.facts, appended.tip)
  return { count: records.length }
}

function authorizationOf(
  { repository, settings }: GuardedRepository,
  context: StatementContext,
  { facts, verdict }: JudgedMove,
): NewRecord {
  const isAsked = isAskedBeforeMoves(repository.commonDirectory, settings.host)
  return authorizationRecord(context, facts, verdict, isAsked)
}

function statementContext(
  { sealKey }: GuardedRepository,
  push: Push,
  { certificate, source, now }: GatheredPush,
  inForce: TermsInForce,
): StatementContext {
  const own = push.updates.find((update) => update.target === releaseRef(inForce.policy))
  const pusher = identifyPusher(source, push.identity, ownCertificate(certificate, own), inForce.signers, now)
  const by = pusher.identified ? printable(pusher.principal, 200) : 'unidentified'
  return { sealKey, inForce, at: new Date(now).toISOString(), by }
}

/** For a push that does not touch the release branch any update of the certificate tells who signed it. */
function ownCertificate(judged: JudgedCertificate, update: TargetedUpdate | undefined) {
  if (update !== undefined) return certificateFor(judged, update)
  if (!judged.offered || !judged.good) return judged
  return goodCertificate(judged)
}

/** Waits for a push of the same ref that was allowed before; one that must have died is closed. */
async function waitOrClose(
  guarded: GuardedRepository,
  push: Push,
  gathered: GatheredPush,
  pending: Move,
  { now, hasTurn, looks }: Look,
): Promise<Attempt<never>> {
  const { view } = gathered
  const branch = shortRef(pending.ref)
  const who = printable(pending.by, 80)
  if (isFresh(pending, now, looks)) {
    return {
      again: `another push of ${branch}, by ${who}, is under way; fetch first, then look again`,
      pauseMs: PENDING_POLL_MS,
    }
  }
  if (view.inForce === null) throw new TypeError('an authorization is open, and no policy is in force')
  if (!hasTurn) return NEEDS_TURN
  const context = statementContext(guarded, push, gathered, view.inForce)
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
