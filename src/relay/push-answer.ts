/** The answer to one look: records and move as one push to the host, then what was refused, and the emptied inbox. */
import { HeadgateError } from '../core/errors.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { ANSWERS, INBOX, LEDGER_BRANCH, LEDGER_REF } from '../core/refs.ts'
import type { Move } from '../core/state.ts'
import type { GuardedView } from '../guard/guarded-view.ts'
import { authorizationRecord, outcomeRecord, type StatementContext } from '../guard/server-statements.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import type { NewRecord } from '../ledger/ledger.ts'
import { answerChanges, outdatedAnswers } from './answers.ts'
import { PREPARED_LEDGER } from './cache.ts'
import type { PushAnswer, RefChange } from './host.ts'
import { type Judged, nameOf, type Refusal, type RelayedMove } from './judge-inbox.ts'
import type { Relay } from './relay.ts'
import type { Settled } from './relay-once.ts'

/** Of what nobody asked for, no more is answered in a round: the others are taken away. */
const MAX_ANSWERS = 50

export type Round = {
  readonly view: GuardedView
  readonly judged: Judged
  readonly settled: Settled
  readonly listed: ReadonlyMap<string, Oid>
  readonly ledgerRef: string
  readonly tip: Oid
  readonly now: number
}

/**
 * The records and the move are one push: nothing that somebody else may write has a say in it. What is to be tidied up comes
 * after it, ref by ref. 'done' where nothing was left to do, or nothing could be done.
 */
export async function pushAnswer(relay: Relay, round: Round): Promise<'done' | 'again'> {
  const { host, sealKey, tell } = relay
  const { view, judged, settled, now } = round
  const context: StatementContext = {
    sealKey,
    inForce: view.inForce,
    at: new Date(now).toISOString(),
    by: 'relay',
  }
  const { move } = judged
  const records = recordsOf(context, round)
  if (records.length > 0) {
    const ledger = await prepare(relay, { ...round, records })
    const moves = move === null ? [] : [changeOf(move)]
    let pushed = await host.push([ledger.change, ...moves])
    if (pushed.kind === 'not-atomic') pushed = await oneByOne(relay, round, context, ledger)
    if (pushed.kind === 'stale' || pushed.kind === 'not-atomic') return 'again'
    if (pushed.kind === 'refused') throw hostRefused(relay, view, pushed.words)
    tell({ kind: 'recorded', count: records.length, head: ledger.head })
    for (const dead of settled.dead) tell({ kind: 'not-landed', record: dead.seq })
    if (move !== null && ledger.authorization !== null) {
      const { from, to } = move.facts
      const by = move.request.principal
      tell({ kind: 'moved', move: move.verdict.kind, from, to, by, record: ledger.authorization })
    }
  }
  const tidied = await tidyUp(relay, round)
  return records.length > 0 || tidied ? 'again' : 'done'
}

/** Answers what was refused, empties the inbox, takes away what is outdated or in the way. Whether anything went. */
async function tidyUp(
  { host, cache, sealKey, tell }: Relay,
  { view, judged, listed, ledgerRef, now }: Round,
): Promise<boolean> {
  const told = judged.refusals.slice(0, MAX_ANSWERS)
  const { repository } = view.inForce.policy
  const answers = await answerChanges(cache, { sealKey, repository, now, listed }, told.map(toldOf))
  const taken = [
    ...judged.submissions.map(({ waiting }) => waiting),
    ...judged.known,
    ...judged.refusals.map(({ waiting }) => waiting),
  ]
  const emptied = taken.map(({ ref, oid }): RefChange => ({ ref, from: oid, to: zeroOidLike(oid) }))
  const inTheWay = [...outdatedAnswers(listed, now), ...strayRefs(listed, ledgerRef)]
  // Who waits looks for an answer when the statement is gone: the answer comes first, and room for it before that.
  let gone = answers.length > 0 && inTheWay.length > 0 ? await host.pushEach(inTheWay) : 0
  if (answers.length > 0) await host.pushEach(answers)
  gone += await host.pushEach(answers.length > 0 ? emptied : [...inTheWay, ...emptied])
  if (gone === 0) return false
  for (const { waiting, rules, lines } of judged.refusals)
    tell({ kind: 'refused', name: nameOf(waiting), rules, lines })
  const unanswered = judged.refusals.length - MAX_ANSWERS
  if (unanswered > 0) tell({ kind: 'removed', count: unanswered })
  return true
}

function changeOf({ facts: { ref, from, to } }: RelayedMove): RefChange {
  return { ref, from, to }
}

/**
 * What anybody who may push can make: a ref of the ledger's other name, for clones to take it for the ledger, and refs where
 * the folders of the inbox and of the answers are to be.
 */
function strayRefs(listed: ReadonlyMap<string, Oid>, ledgerRef: string): RefChange[] {
  const stray = [LEDGER_BRANCH, LEDGER_REF].filter((ref) => ref !== ledgerRef)
  return [...stray, 'refs/headgate', withoutSlash(INBOX), withoutSlash(ANSWERS)].flatMap((ref) => {
    const oid = listed.get(ref)
    return oid === undefined ? [] : [{ ref, from: oid, to: zeroOidLike(oid) }]
  })
}

function withoutSlash(prefix: string): string {
  return prefix.replace(/\/$/, '')
}

/** What the ledger gets, in this order: what became of earlier moves, what was submitted, the move and that it landed. */
function recordsOf(context: StatementContext, { view, judged, settled }: Round): NewRecord[] {
  const { at } = context
  const { move, submissions } = judged
  const before = [
    ...settled.landed.map((open) => outcomeRecord(context, open, 'landed', open.to)),
    ...settled.dead.map((open) =>
      outcomeRecord(context, open, 'not-landed', view.refs.get(open.ref) ?? zeroOidLike(open.to)),
    ),
    ...submissions.map(({ submission }) => ({
      at,
      by: printable(submission.principal, 200),
      envelope: submission.envelope,
    })),
  ]
  if (move === null) return before
  const mover = { ...context, by: printable(move.request.principal, 200) }
  const { facts, verdict } = move
  const seq = view.snapshot.head.seq + before.length + 1
  const { ref, from, to, fastForward } = facts
  const made: Move = { seq, kind: verdict.kind, ref, from, to, fastForward, at, by: mover.by }
  // The branch moves with these records or they do not come to be: that it landed is known when they are read.
  return [
    ...before,
    authorizationRecord(mover, facts, verdict, null),
    outcomeRecord(context, made, 'landed', to),
  ]
}

type PreparedLedger = {
  readonly change: RefChange
  readonly head: number
  /** The record that permits the move, where there is one. */
  readonly authorization: number | null
}

/** The host's ledger with more records, in the cache. */
async function prepare(
  { cache, sealKey }: Relay,
  {
    tip,
    view,
    ledgerRef,
    records,
  }: Pick<Round, 'tip' | 'view' | 'ledgerRef'> & { readonly records: readonly NewRecord[] },
): Promise<PreparedLedger> {
  await cache.write(['update-ref', PREPARED_LEDGER, tip])
  const ledger = new GitLedger(cache, sealKey.seal, { ref: PREPARED_LEDGER })
  const appended = await ledger.append(view.snapshot.head, records)
  if (appended.kind === 'stale' || appended.tip === null) {
    throw new HeadgateError('unavailable', 'another relay uses the same cache', {
      hint: 'give each a folder of its own',
    })
  }
  const authorized = appended.records.findLast(({ statement }) => statement.kind === 'authorization')
  return {
    change: { ref: ledgerRef, from: tip, to: appended.tip },
    head: appended.head.seq,
    authorization: authorized?.seq ?? null,
  }
}

/**
 * For a host that takes no two changes as one: the permission first, then the move, then what became of it. Where that is
 * interrupted, a later look finds out from the refs.
 */
async function oneByOne(
  relay: Relay,
  round: Round,
  context: StatementContext,
  ledger: PreparedLedger,
): Promise<PushAnswer> {
  const { host, cache } = relay
  const single = { atomic: false }
  const { move } = round.judged
  if (move === null) return host.push([ledger.change], single)
  const permitted = await prepare(relay, { ...round, records: recordsOf(context, round).slice(0, -1) })
  const recorded = await host.push([permitted.change], single)
  if (recorded.kind !== 'moved') return recorded
  const moved = await host.push([changeOf(move)], single)
  // Where the branch stands otherwise now, the next look says what became of the move.
  if (moved.kind === 'stale') return moved
  const snapshot = await new GitLedger(cache, undefined, { ref: PREPARED_LEDGER }).snapshot()
  const made = snapshot.state.open.find(({ ref }) => ref === move.facts.ref)
  if (made === undefined) return moved
  const hasMoved = moved.kind === 'moved'
  const result = hasMoved ? 'landed' : 'not-landed'
  const last = await prepare(relay, {
    ledgerRef: round.ledgerRef,
    tip: permitted.change.to,
    view: { ...round.view, snapshot },
    records: [outcomeRecord(context, made, result, hasMoved ? move.facts.to : move.facts.from)],
  })
  const closed = await host.push([last.change], single)
  return closed.kind === 'moved' ? moved : closed
}

function hostRefused({ tell }: Relay, { inForce }: GuardedView, words: readonly string[]): HeadgateError {
  tell({ kind: 'host-refused', words })
  const [first = 'without a word'] = words
  return new HeadgateError('refused', `the host refused what the relay pushed: ${printable(first, 300)}`, {
    hint: `the host's rule must let the relay's key, and no other, move ${inForce.policy.release} and the ledger: headgate relay init says how`,
  })
}

function toldOf({ waiting, rules, lines }: Refusal) {
  return { name: nameOf(waiting), rules, lines }
}
