/** The answer to one look: records, the move, the emptied inbox and what was refused, as one push to the host. */
import { HeadgateError } from '../core/errors.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { LEDGER_BRANCH, LEDGER_REF } from '../core/refs.ts'
import type { Move } from '../core/state.ts'
import type { GuardedView } from '../guard/guarded-view.ts'
import { authorizationRecord, outcomeRecord, type StatementContext } from '../guard/server-statements.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import type { NewRecord } from '../ledger/ledger.ts'
import { answerChanges, outdatedAnswers } from './answers.ts'
import { PREPARED_LEDGER } from './cache.ts'
import type { Host, PushAnswer, RefChange } from './host.ts'
import { type Judged, nameOf, type Refusal } from './judge-inbox.ts'
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

export async function pushAnswer(relay: Relay, round: Round): Promise<'done' | 'again'> {
  const { host, cache, sealKey, tell } = relay
  const { view, judged, settled, listed, now } = round
  const context: StatementContext = {
    sealKey,
    inForce: view.inForce,
    at: new Date(now).toISOString(),
    by: 'relay',
  }
  const { move } = judged
  const records = recordsOf(context, round)
  const told = judged.refusals.slice(0, MAX_ANSWERS)
  const answers = await answerChanges(
    cache,
    { sealKey, repository: view.inForce.policy.repository, now },
    told.map(toldOf),
  )
  const done = [
    ...judged.submissions.map(({ waiting }) => waiting),
    ...judged.refusals.map(({ waiting }) => waiting),
    ...judged.known,
  ]
  const emptied = done.map(({ ref, oid }): RefChange => ({ ref, from: oid, to: zeroOidLike(oid) }))
  const changes = [...answers, ...outdatedAnswers(listed, now), ...strayLedger(round), ...emptied]
  if (records.length === 0 && changes.length === 0) return 'done'
  if (records.length === 0) {
    const pushed = await host.push(changes)
    const made = pushed.kind === 'not-atomic' ? await pushSingly(host, changes) : pushed
    return conclude(relay, round, made, null)
  }

  const ledger = await prepare(relay, { ...round, records })
  const moves: RefChange[] =
    move === null ? [] : [{ ref: move.facts.ref, from: move.facts.from, to: move.facts.to }]
  let pushed = await host.push([ledger.change, ...moves, ...changes])
  if (pushed.kind === 'not-atomic') pushed = await oneByOne(relay, round, context, { ledger, moves, changes })
  if (pushed.kind === 'moved') {
    tell({ kind: 'recorded', count: records.length, head: ledger.head })
    for (const dead of settled.dead) tell({ kind: 'not-landed', record: dead.seq })
  }
  return conclude(relay, round, pushed, ledger.authorization)
}

/** Anybody who may push can make a ref of the other name, for clones to take it for the ledger. */
function strayLedger({ listed, ledgerRef }: Round): RefChange[] {
  return [LEDGER_BRANCH, LEDGER_REF].flatMap((ref) => {
    const oid = listed.get(ref)
    return ref === ledgerRef || oid === undefined ? [] : [{ ref, from: oid, to: zeroOidLike(oid) }]
  })
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
 * interrupted, the next look finds out from the refs.
 */
async function oneByOne(
  relay: Relay,
  round: Round,
  context: StatementContext,
  parts: {
    readonly ledger: PreparedLedger
    readonly moves: readonly RefChange[]
    readonly changes: readonly RefChange[]
  },
): Promise<PushAnswer> {
  const { host, cache } = relay
  const single = { atomic: false }
  const { ledger, moves, changes } = parts
  const [move] = moves
  // Without a move it is the ledger alone that counts; the inbox is emptied after it.
  const permitted =
    move === undefined
      ? ledger
      : await prepare(relay, { ...round, records: recordsOf(context, round).slice(0, -1) })
  const recorded = await host.push([permitted.change], single)
  if (recorded.kind !== 'moved') return recorded
  let moved: PushAnswer = recorded
  if (move !== undefined) {
    moved = await host.push([move], single)
    const open = (await new GitLedger(cache, undefined, { ref: PREPARED_LEDGER }).snapshot()).state.open
    const made = open.find(({ ref }) => ref === move.ref)
    if (made !== undefined) {
      const snapshot = await new GitLedger(cache, undefined, { ref: PREPARED_LEDGER }).snapshot()
      const result = moved.kind === 'moved' ? 'landed' : 'not-landed'
      const observed = moved.kind === 'moved' ? move.to : move.from
      const last = await prepare(relay, {
        ledgerRef: round.ledgerRef,
        tip: permitted.change.to,
        view: { ...round.view, snapshot },
        records: [outcomeRecord(context, made, result, observed)],
      })
      const closed = await host.push([last.change], single)
      if (closed.kind !== 'moved') return closed
    }
  }
  const emptied = await pushSingly(host, changes)
  return emptied.kind === 'moved' ? moved : emptied
}

async function pushSingly(host: Host, changes: readonly RefChange[]): Promise<PushAnswer> {
  for (const change of changes) {
    const pushed = await host.push([change], { atomic: false })
    if (pushed.kind !== 'moved') return pushed
  }
  return { kind: 'moved' }
}

function conclude(
  { tell }: Relay,
  { judged, view }: Round,
  pushed: PushAnswer,
  record: number | null,
): 'done' | 'again' {
  if (pushed.kind === 'stale') return 'again'
  if (pushed.kind === 'refused') {
    tell({ kind: 'host-refused', words: pushed.words })
    const [first = 'without a word'] = pushed.words
    throw new HeadgateError('refused', `the host refused what the relay pushed: ${printable(first, 300)}`, {
      hint: `the host's rule must let the relay's key, and no other, move ${view.inForce.policy.release} and the ledger: headgate relay init says how`,
    })
  }
  const { move } = judged
  if (move !== null && record !== null) {
    const { from, to } = move.facts
    tell({ kind: 'moved', move: move.verdict.kind, from, to, by: move.request.principal, record })
  }
  for (const { waiting, rules, lines } of judged.refusals)
    tell({ kind: 'refused', name: nameOf(waiting), rules, lines })
  const unanswered = judged.refusals.length - MAX_ANSWERS
  if (unanswered > 0) tell({ kind: 'removed', count: unanswered })
  // What came meanwhile, and what had to wait for this.
  return 'again'
}

function toldOf({ waiting, rules, lines }: Refusal) {
  return { name: nameOf(waiting), rules, lines }
}
