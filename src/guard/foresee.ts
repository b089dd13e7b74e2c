/**
 * What the server will say of a change before it is pushed: the same `decide` on the same facts, as far as a clone can
 * know them. It cannot know who the server will take the pusher for, and its clock may differ a little.
 */

import { decide, decideStaging } from '../core/decide.ts'
import { decisionLines } from '../core/decision-lines.ts'
import { CLOCK_SKEW_MS } from '../core/evidence.ts'
import { nameMove, type RefReport } from '../core/explain.ts'
import {
  type BroughtBack,
  type Certificate,
  FORESEEN_SOURCE,
  type Pusher,
  type ReleaseMove,
} from '../core/facts.ts'
import type { History } from '../core/history.ts'
import type { Terms } from '../core/policy/policy.ts'
import { printable } from '../core/printable.ts'
import { pushOption } from '../core/push-option.ts'
import { releaseRef, stagingRef } from '../core/refs.ts'
import { barRemarks } from '../core/rules/barred.ts'
import { wantsNote } from '../core/rules/note.ts'
import type { MoveVerdict, Objection } from '../core/verdict.ts'
import { debug } from '../git/debug.ts'
import { gatherReleaseMove, gatherStagingMove } from '../git/gather-facts.ts'
import type { RefUpdate } from '../git/hook-input.ts'
import type { GitRepository } from '../git/repository.ts'
import { keysOfPusher } from '../signing/key-holder.ts'
import { gatherHistory } from './gather-history.ts'
import { type RemoteView, stateOf } from './guarded-view.ts'
import type { TermsInForce } from './policy-in-force.ts'
import { withReasons } from './why-rolled-back.ts'

export type Foresight = {
  readonly report: RefReport
  /** `no`: the server refuses this from any pusher. `unclear`: it depends on what a clone cannot know. */
  readonly answer: 'yes' | 'no' | 'unclear'
  /** Why it is unclear; else empty. */
  readonly reason: string
  /** From whom the server takes it. Empty for `no`, and for a branch that anybody may push. */
  readonly pushers: readonly string[]
  /** Whether the push has to be signed, `git push --signed`. */
  readonly signed: boolean
  /** Whether the push has to have a note, which the known options lack. */
  readonly note: boolean
  /** What an override waives for this move. */
  readonly waived: readonly Objection[]
  /** Commits that were rolled back from, and come back with it; and what people are told of them. */
  readonly broughtBack: readonly BroughtBack[]
  readonly remarks: readonly string[]
}

export type ForesightOptions = {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** A `no` must hold this much earlier and later, too: clocks differ. */
  readonly toleranceMs: number
  /** Only this person will push; else any of the operators may. */
  readonly pusher?: string | undefined
  readonly pushOptions?: readonly string[] | undefined
}

/** A push whose authorization is younger may still be under way; the server gives it 5 s, and clocks differ. */
const UNDER_WAY_MS = CLOCK_SKEW_MS

export function refsOf(policy: Terms): { staging: string; release: string } {
  return { staging: stagingRef(policy), release: releaseRef(policy) }
}

export async function foreseeRelease(
  repository: GitRepository,
  view: RemoteView,
  update: RefUpdate,
  options: ForesightOptions,
): Promise<Foresight> {
  const { policy } = view.inForce
  const { pushOptions: given = [] } = options
  const state = stateOf(view, options.now)
  const gathered = await gatherReleaseMove(repository, {
    update,
    current: view.refs.get(update.ref) ?? null,
    staging: view.refs.get(refsOf(policy).staging) ?? null,
    pusher: { identified: false, reason: 'the server will tell' },
    certificate: { offered: false },
    pusherKeys: [],
    // A note that is not written yet is foreseen like a signature that is not made yet.
    pushOptions: [...given, 'note=still to be written'],
    bars: state.bars.map(({ commit }) => commit),
    releaseLog: policy.releaseLog,
  })
  const broughtBack = await withReasons(view.snapshot, state, gathered.broughtBack)
  const facts = { ...gathered, broughtBack }
  const recorded = await gatherHistory(view.snapshot, facts.to, view.inForce)
  const history = { ...recorded, state }
  // The server's clock is past the time of its last record: a clock that says otherwise is behind.
  const now = Math.max(options.now, ...history.about.map(({ at }) => at))
  const best = bestPush(facts, view.inForce, history, now, options.pusher)
  const { kind } = best.verdict
  const foresight: Foresight = {
    report: {
      ref: update.ref,
      from: facts.from,
      to: facts.to,
      what: nameMove(kind),
      objections: best.verdict.objections,
    },
    answer: best.verdict.verdict === 'allowed' ? 'yes' : 'no',
    reason: '',
    pushers: best.pushers,
    signed: best.signed,
    note: wantsNote(policy, kind) && pushOption(given, 'note') === null,
    waived: best.verdict.waived,
    broughtBack,
    remarks: barRemarks(facts, state, now),
  }
  debug(() => decisionLines(foresight.report, best.verdict))
  const pending = history.state.open.find(
    ({ ref, at }) => ref === update.ref && Math.abs(now - Date.parse(at)) < UNDER_WAY_MS,
  )
  if (pending !== undefined) {
    const reason = `a push of ${policy.release} by ${printable(pending.by, 80)} may be under way`
    return { ...foresight, answer: 'unclear', reason }
  }
  if (foresight.answer === 'no' && options.toleranceMs > 0) {
    const times = [now - options.toleranceMs, now + options.toleranceMs]
    const passes = times.some(
      (time) => bestPush(facts, view.inForce, history, time, options.pusher).verdict.verdict === 'allowed',
    )
    if (passes) return { ...foresight, answer: 'unclear', reason: 'it depends on the minute' }
  }
  return foresight
}

export async function foreseeStaging(
  repository: GitRepository,
  view: RemoteView,
  update: RefUpdate,
): Promise<Foresight> {
  const current = view.refs.get(update.ref) ?? null
  const facts = await gatherStagingMove(repository, update, current, view.inForce.policy.releaseLog)
  const objections = decideStaging(facts)
  const report = { ref: update.ref, from: facts.from, to: facts.to, what: '', objections }
  debug(() => decisionLines(report))
  return {
    report,
    answer: objections.length === 0 ? 'yes' : 'no',
    reason: '',
    pushers: [],
    signed: false,
    note: false,
    waived: [],
    broughtBack: [],
    remarks: [],
  }
}

type BestPush = {
  readonly verdict: MoveVerdict
  readonly pushers: readonly string[]
  readonly signed: boolean
}

/** Tries all who may push it, with and without a signature: the verdict on the push that gets furthest. */
function bestPush(
  facts: ReleaseMove,
  { policy, signers }: Pick<TermsInForce, 'policy' | 'signers'>,
  history: History,
  now: number,
  pusher: string | undefined,
): BestPush {
  const people = pusher === undefined ? policy.promotion.operators : [pusher]
  const tries = people.flatMap((name) =>
    [false, true].map((signed) => {
      const who: Pusher = { identified: true, principal: name, source: FORESEEN_SOURCE }
      const certificate: Certificate = signed
        ? { offered: true, good: true, principal: name, fingerprint: '', text: 'still to be made' }
        : { offered: false }
      const pusherKeys = keysOfPusher(signers, who, { offered: false })
      const tried = { ...facts, pusher: who, certificate, pusherKeys }
      const verdict = decide(tried, policy, history, now)
      return { name, signed, verdict }
    }),
  )
  const allowed = tries.filter(({ verdict }) => verdict.verdict === 'allowed')
  const [first] =
    allowed.length > 0
      ? allowed
      : tries.toSorted((a, b) => a.verdict.objections.length - b.verdict.objections.length)
  return {
    // A policy without operators is refused when it is parsed, so that at least one was tried.
    verdict: first!.verdict,
    pushers: [...new Set(allowed.map(({ name }) => name))],
    signed: allowed.length > 0 && allowed.every(({ signed }) => signed),
  }
}
