/** A promotion after the push: production is tested, what came of it is written down, and a failure is rolled back. */

import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { LandedMove } from '../../guard/landed-moves.ts'
import { lastKnownGood } from '../../guard/rollback-targets.ts'
import type { Interruptible } from './operator.ts'
import type { ReleaseSession } from './release-session.ts'
import { goBack, type RollbackEvent } from './rollback.ts'
import { approvalsToGet, mayGoAlone } from './rollback-approval.ts'
import { testProduction } from './test-production.ts'

export type FinishEvent =
  | RollbackEvent
  | { readonly kind: 'released'; readonly commit: Oid; readonly tested: boolean }
  /** Somebody has moved the branch on while production was waited for or tested. */
  | { readonly kind: 'released-and-moved-on'; readonly commit: Oid; readonly now: BranchNow }
  | { readonly kind: 'production-failed'; readonly branch: string; readonly commit: Oid }
  /** The entry in the release log could not be written. */
  | { readonly kind: 'log-failed'; readonly message: string }
  | { readonly kind: 'no-way-back' }
  /** The command that goes back to the last known-good release. */
  | { readonly kind: 'way-back'; readonly command: string }

/** Where the release branch is by now, and whose move put it there, as far as that is known. */
export type BranchNow = {
  readonly branch: string
  readonly release: Oid | null
  readonly last: Pick<LandedMove, 'kind' | 'by'> | null
}

type Run = {
  readonly session: ReleaseSession
  readonly options: { readonly yes: boolean; readonly record: boolean; readonly autoRollback: boolean }
  readonly operator: {
    readonly goBack: (to: Oid) => Promise<boolean>
    readonly interruptible: Interruptible
  }
  readonly tell: (event: FinishEvent) => void
}

/** True where production failed its smoke test. */
export async function finishPromotion(run: Run, commit: Oid): Promise<boolean> {
  const { session, options, operator, tell } = run
  const goOn = await session.command('promote', commit, [
    ...(options.yes ? ['--yes'] : []),
    ...(options.record ? [] : ['--no-record']),
  ])
  const tested = await testProduction(session, { commit, goOn }, operator.interruptible, tell)
  await session.look()
  const move = await session.lastMove()
  if (move === null || move.to !== commit) {
    await requireStillReleased(run, commit, move)
    return false
  }
  if (tested.kind === 'failed') {
    tell({ kind: 'production-failed', branch: session.policy.release, commit })
    await writeFailureDown(run, move, tested.symptoms)
    return true
  }
  await session.writeLog(move.seq)
  tell({ kind: 'released', commit, tested: tested.kind === 'passed' })
  return false
}

/** Somebody moved the branch while production was waited for or tested: their move gets both entries. */
async function requireStillReleased(
  { session, tell }: Run,
  commit: Oid,
  lastMove: LandedMove | null,
): Promise<void> {
  const { release, policy, repository } = session
  const last = lastMove === null || lastMove.to !== release ? null : { kind: lastMove.kind, by: lastMove.by }
  const now = { branch: policy.release, release, last }
  if (release !== null && (await repository.isAncestor(commit, release))) {
    tell({ kind: 'released-and-moved-on', commit, now })
    return
  }
  throw new HeadgateError('refused', `${shortOid(commit)} was taken back: ${branchNowWords(now)}`, {
    hint: 'look at what was released, then decide anew: headgate status',
  })
}

export function branchNowWords({ branch, release, last }: BranchNow): string {
  const who = last === null ? '' : ` (${last.kind} by ${printable(last.by, 60)})`
  return `${branch} is ${release === null ? 'gone' : `at ${shortOid(release)}${who}`}`
}

/** Goes back where that is wanted, and writes down what happened, also where going back fails. */
async function writeFailureDown(run: Run, move: LandedMove, symptoms: string): Promise<void> {
  const { session, tell } = run
  let isBack: boolean
  try {
    isBack = await goBackIfWanted(run, move, symptoms)
  } catch (error) {
    const failed = ({ message }: Error) => tell({ kind: 'log-failed', message })
    if (session.release === move.to) await session.writeLog(move.seq).catch(failed)
    throw error
  }
  if (!isBack) await session.writeLog(move.seq)
}

/** Rolls back where that was asked for or is wanted now, else tells how. True if it was rolled back. */
async function goBackIfWanted(
  { session, options, operator, tell }: Run,
  { seq }: LandedMove,
  symptoms: string,
): Promise<boolean> {
  const target = await lastKnownGood(session.repository, session.view, Date.now())
  if (target === null) {
    tell({ kind: 'no-way-back' })
    return false
  }
  const words = { trigger: 'the production smoke failed', symptoms }
  const mayAlone = mayGoAlone(approvalsToGet(session, target))
  const isWanted =
    mayAlone && !options.autoRollback && !options.yes
      ? await operator.goBack(target.commit)
      : options.autoRollback
  if (isWanted) {
    const request = { ...words, commit: target.commit, reason: words.trigger, yes: true }
    const { interruptible } = operator
    // It has been asked for, so that no question is left.
    await goBack({ session, operator: { consent: async () => {}, interruptible }, tell }, request, seq)
    return true
  }
  tell({ kind: 'way-back', command: await session.rollbackCommand(target.commit, words) })
  return false
}
