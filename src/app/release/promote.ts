/**
 * A promotion from the question what to promote to its entry in the release log: gather, judge, ask, push, wait for
 * production, test it, record that, write it down. Every step but the push can be done by anybody later.
 */

import { HeadgateError } from '../../core/errors.ts'
import type { RefReport } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { saysSomething } from '../../core/push-option.ts'
import type { Foresight } from '../../guard/foresee.ts'
import type { LandedMove } from '../../guard/landed-moves.ts'
import { recordedSmoke } from '../../guard/release-entry.ts'
import type { Caller } from '../caller.ts'
import { requireLine } from '../requirements.ts'
import { type FinishEvent, finishPromotion } from './finish-promotion.ts'
import { gatherPromotion } from './gather-promotion.ts'
import { judgePromotion } from './judge-promotion.ts'
import type { Operator } from './operator.ts'
import { chooseCommit, despiteOptions } from './promotion-choice.ts'
import { type PromotionPlan, planPromotion } from './promotion-plan.ts'
import { pushRelease } from './push-release.ts'
import { type ReleaseResult, ReleaseSession, type SessionOptions } from './release-session.ts'
import { requireNoDrift } from './require-no-drift.ts'
import { isUnfinished } from './unfinished.ts'

export type PromoteOptions = SessionOptions & {
  /** The newest that can be promoted unless named. */
  readonly commit: string | undefined
  readonly note: string | undefined
  readonly plan: string | undefined
  /** Whether it is consented to already. */
  readonly yes: boolean
  readonly autoRollback: boolean
  /** Barred commits that may come back. */
  readonly despiteBar?: string | undefined
}

export type PromoteQuestion =
  /** The branch has moved already; the rest is left to be done. */
  | { readonly kind: 'finish-promotion' }
  | { readonly kind: 'promote'; readonly branch: string; readonly commit: Oid }

/** Nobody is asked where consent is given already. */
export type PromotingOperator = Operator<PromoteQuestion> & {
  /** The note that the policy wants; empty where nobody gives one. */
  readonly note: () => Promise<string>
  /** Whether to roll back to this commit now. */
  readonly goBack: (to: Oid) => Promise<boolean>
}

export type PromoteEvent =
  | FinishEvent
  /** An earlier run of somebody has moved the branch. */
  | { readonly kind: 'promotion-resumed'; readonly branch: string; readonly move: LandedMove }
  /** Note and plan belong to the push, which has been made. */
  | { readonly kind: 'words-too-late' }
  /** The policy refuses nothing, and these rules object. */
  | { readonly kind: 'objections-ignored'; readonly report: RefReport }
  /** The policy refuses nothing, and wants a note. */
  | { readonly kind: 'note-missing' }
  | { readonly kind: 'promotion-planned'; readonly plan: PromotionPlan }
  /** `byOther`: somebody else has made this very move meanwhile. */
  | {
      readonly kind: 'promoted'
      readonly branch: string
      readonly commit: Oid
      readonly byOther: boolean
    }

/** What a promotion that is under way goes by. */
type Run = {
  readonly session: ReleaseSession
  readonly options: PromoteOptions
  /** What the push will say, besides a note that is still asked for. */
  readonly pushOptions: readonly string[]
  readonly operator: PromotingOperator
  readonly tell: (event: PromoteEvent) => void
}

export async function promote(
  caller: Caller,
  options: PromoteOptions,
  operator: PromotingOperator,
  tell: (event: PromoteEvent) => void,
): Promise<ReleaseResult> {
  const pushOptions = pushOptionsOf(options)
  const session = await ReleaseSession.open(caller, options, tell)
  try {
    const run = { session, options, pushOptions, operator, tell }
    await session.lookWhenSettled()
    await requireNoDrift(session, tell)
    const moved = await findUnfinished(session, options)
    const commit = moved === null ? await promoteAnew(run) : await goOn(run, moved)
    return await session.result(await finishPromotion(run, commit))
  } finally {
    session.close()
  }
}

function pushOptionsOf({ note, plan, despiteBar }: PromoteOptions): string[] {
  return [
    ...noteOption(note),
    ...(plan === undefined ? [] : [`plan=${requireLine('plan', plan)}`]),
    ...despiteOptions(despiteBar),
  ]
}

function noteOption(text: string | undefined): string[] {
  return text === undefined ? [] : [`note=${requireLine('note', text)}`]
}

/** The move that an earlier run was about, if there is something left to do for it. */
async function findUnfinished(session: ReleaseSession, options: PromoteOptions): Promise<LandedMove | null> {
  const last = await session.lastMove()
  if (last === null || last.to !== session.release) return null
  if (options.commit !== undefined) {
    const named = await session.client.resolveCommit(options.commit)
    return named === last.to ? last : null
  }
  if (last.kind !== 'promotion' && last.kind !== 'override') return null
  return isUnfinished(last, await session.logged(), Date.now()) ? last : null
}

async function goOn(run: Run, move: LandedMove): Promise<Oid> {
  const { session, options, pushOptions, operator, tell } = run
  tell({ kind: 'promotion-resumed', branch: session.policy.release, move })
  const smoke = await recordedSmoke(session.view, move)
  if (smoke === null || smoke.result === 'FAILED') session.requireSmokeKey()
  if (!options.yes) await operator.consent({ kind: 'finish-promotion' })
  if (pushOptions.length > 0) tell({ kind: 'words-too-late' })
  return move.to
}

/** Gathers, judges, asks and pushes. Returns when the release branch is at the commit, or has moved on from it. */
async function promoteAnew(run: Run): Promise<Oid> {
  const { session, options, pushOptions, tell } = run
  const commit = await chooseCommit(session, options.commit, despiteOptions(options.despiteBar))
  session.requireRequestKey()
  session.requireSmokeKey()
  const { autoRollback } = options
  const judgement = judgePromotion(await gatherPromotion(session, commit, { pushOptions, autoRollback }))
  if (judgement.ignored !== null) tell({ kind: 'objections-ignored', report: judgement.ignored })
  if (judgement.kind === 'refused') throw judgement.error
  const { foresight } = judgement
  const note = await askWhetherToMove(run, commit, foresight)
  await push(run, commit, foresight, [...noteOption(note), ...pushOptions])
  return commit
}

/** Shows what will be done, and asks for consent. Returns the note that was asked for; undefined where none was. */
async function askWhetherToMove(run: Run, commit: Oid, foresight: Foresight): Promise<string | undefined> {
  const { session, options, operator, tell } = run
  const asked = foresight.note ? await askForNote(run) : undefined
  const words = { note: asked ?? options.note, plan: options.plan }
  tell({ kind: 'promotion-planned', plan: await planPromotion(session, commit, foresight, words) })
  if (!options.yes) await operator.consent({ kind: 'promote', branch: session.policy.release, commit })
  return asked
}

/** What the policy wants with each promotion, where it wants it. */
export const NOTE_WANTED = 'the policy wants a note with each promotion (promotion.notes: required)'

/** The note that the policy wants and nobody gave; undefined in evaluate mode, which goes without. */
async function askForNote({ session, options, operator, tell }: Run): Promise<string | undefined> {
  if (session.policy.enforcement === 'evaluate') {
    tell({ kind: 'note-missing' })
    return undefined
  }
  const text = options.yes ? '' : await operator.note()
  if (saysSomething(text)) return text
  throw new HeadgateError('usage', NOTE_WANTED, { hint: "say it with --note 'TEXT'; nothing was pushed" })
}

async function push(
  { session, tell }: Run,
  commit: Oid,
  { signed }: Foresight,
  pushOptions: readonly string[],
): Promise<void> {
  const { policy } = session
  const outcome = await pushRelease(session, commit, pushOptions, signed, tell)
  // Whatever git said: where the branch is tells whether it was moved, and by whom does not matter.
  if (session.release === commit) {
    tell({ kind: 'promoted', branch: policy.release, commit, byOther: outcome.kind !== 'moved' })
    return
  }
  if (outcome.kind === 'refused' || outcome.kind === 'unknown') throw outcome.error
  // It has moved on already: what follows finds out where to.
  if (outcome.kind === 'moved') return
  const last = await session.lastMove()
  const who = last === null || last.to !== session.release ? '' : `, by ${printable(last.by, 60)}`
  const where = session.release === null ? 'gone' : `at ${shortOid(session.release)}`
  throw new HeadgateError('refused', `${policy.release} moved meanwhile: it is ${where}${who}`, {
    hint: 'look at what was released, then decide anew: headgate status',
  })
}
