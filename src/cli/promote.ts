/**
 * A promotion from the question what to promote to its entry in the release log: judge, show, ask, push, wait for
 * production, test it, record that, write it down. Every step but the push can be done by anybody later.
 */

import { isUnfinished } from '../app/release/unfinished.ts'
import { requireLine } from '../app/requirements.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { explainRef } from '../core/explain.ts'
import { type Oid, shortOid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { saysSomething } from '../core/push-option.ts'
import { DESPITE_BAR, isDespite } from '../core/rules/barred.ts'
import { searchPromotable } from '../guard/candidates.ts'
import { type Foresight, foreseeRelease } from '../guard/foresee.ts'
import type { LandedMove } from '../guard/landed-moves.ts'
import { recordedSmoke } from '../guard/release-entry.ts'
import { lastKnownGood } from '../guard/rollback-targets.ts'
import { ask, canAsk, confirm, requireConsent } from './ask.ts'
import { requireAutoRollback } from './auto-rollback.ts'
import { colour, note } from './output.ts'
import { promotionPlan } from './promotion-plan.ts'
import { pushRelease } from './push-release.ts'
import { ReleaseSession, type SessionOptions } from './release-session.ts'
import { requireNoDrift } from './require-no-drift.ts'
import { goBack } from './rollback.ts'
import { approvalsToGet, mayGoAlone } from './rollback-approval.ts'

export type PromoteOptions = SessionOptions & {
  readonly commit: string | undefined
  readonly note: string | undefined
  readonly plan: string | undefined
  readonly yes: boolean
  readonly autoRollback: boolean
  /** Barred commits that may come back. */
  readonly despiteBar?: string | undefined
}

export async function promote(options: PromoteOptions): Promise<void> {
  const pushOptions = [
    ...noteOption(options.note),
    ...(options.plan === undefined ? [] : [`plan=${requireLine('plan', options.plan)}`]),
    ...despiteOptions(options),
  ]
  const session = await ReleaseSession.open(options)
  try {
    await session.lookWhenSettled()
    await requireNoDrift(session)
    const unfinished = await findUnfinished(session, options)
    if (unfinished !== null) {
      const { kind, to, by } = unfinished
      note(
        `${session.policy.release} is at ${shortOid(to)} already (${kind} by ${printable(by, 60)}): going on from there`,
      )
      const smoke = await recordedSmoke(session.view, unfinished)
      if (smoke === null || smoke.result === 'FAILED') session.requireSmokeKey()
      await requireConsent('Wait for production, test it, and write it down?', options.yes)
      if (pushOptions.length > 0) note('remark: --note and --plan belong to the push, which has been made')
      await finish(session, to, options)
    } else {
      const commit = await choose(session, options)
      session.requireSmokeKey()
      await move(session, commit, pushOptions, options)
      await finish(session, commit, options)
    }
    await session.report()
  } finally {
    session.close()
  }
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

async function choose(session: ReleaseSession, { commit, despiteBar }: PromoteOptions): Promise<Oid> {
  const { repository, view, policy } = session
  if (commit !== undefined) return session.client.resolveCommit(commit)
  const despite = despiteOptions({ despiteBar })
  const { promotable, closest } = await searchPromotable(repository, view, Date.now(), despite)
  if (promotable !== null) return promotable.oid
  const reasons =
    closest?.foresight == null
      ? []
      : [
          `the newest that staging has proved is ${shortOid(closest.oid)}, and`,
          ...(closest.foresight.answer === 'yes'
            ? comingBack(closest.oid, closest.foresight)
            : explainRef(closest.foresight.report)),
        ]
  throw new HeadgateError(
    'refused',
    [`no commit of ${policy.staging} can be promoted now`, ...reasons].join('\n'),
    { hint: 'headgate status lists them and what they lack; headgate check COMMIT says it rule by rule' },
  )
}

function noteOption(text: string | undefined): string[] {
  return text === undefined ? [] : [`note=${requireLine('note', text)}`]
}

/** The note that the policy wants and nobody gave; undefined in evaluate mode, which goes without. */
async function askForNote({ policy }: ReleaseSession, yes: boolean): Promise<string | undefined> {
  const wanted = 'the policy wants a note with each promotion (promotion.notes: required)'
  if (policy.enforcement === 'evaluate') {
    note(`remark: ${wanted}: --note TEXT`)
    return undefined
  }
  const text = yes || !canAsk() ? '' : await ask('What goes out, and why? In a line:')
  if (saysSomething(text)) return text
  throw new HeadgateError('usage', wanted, { hint: "say it with --note 'TEXT'; nothing was pushed" })
}

function despiteOptions({ despiteBar }: Pick<PromoteOptions, 'despiteBar'>): string[] {
  return (despiteBar?.split(',') ?? []).map((commit) => {
    if (!/^[0-9a-f]{7,64}$/.test(commit))
      throw new HeadgateError('usage', '--despite-bar wants a commit id of at least 7 digits', {
        hint: 'headgate status and headgate check name the commits that are barred',
      })
    return `${DESPITE_BAR}${commit}`
  })
}

/** Why what could go is not promoted by itself, and what promotes it. */
function comingBack(commit: Oid, { broughtBack, remarks, note: wantsNote }: Foresight): string[] {
  const named = broughtBack.map((back) => shortOid(back.commit)).join(',')
  return [
    ...(remarks.length > 0
      ? remarks
      : [`${shortOid(commit)} was rolled back from, and proved anew since then`]),
    'if it mends what was wrong, promote it by name:',
    `  headgate promote ${shortOid(commit)} --despite-bar ${named}${wantsNote ? " --note 'TEXT'" : ''}`,
  ]
}

/** Judges, shows, asks and pushes. Returns when the release branch is at the commit. */
async function move(
  session: ReleaseSession,
  commit: Oid,
  pushOptions: readonly string[],
  options: PromoteOptions,
): Promise<void> {
  const { repository, policy, releaseRef } = session
  const from = session.release ?? zeroOidLike(commit)
  if (session.release !== null && (await repository.isAncestor(commit, session.release))) {
    throw new HeadgateError(
      'usage',
      `${policy.release} has ${shortOid(commit)} already: it is at ${shortOid(session.release)}`,
      { hint: `to go back to it: headgate rollback ${shortOid(commit)} --trigger TEXT --symptoms TEXT` },
    )
  }
  const update = { from, to: commit, ref: releaseRef }
  const foresight = await foreseeRelease(repository, session.view, update, {
    now: Date.now(),
    toleranceMs: 0,
    pushOptions,
  })
  if (foresight.answer === 'unclear') {
    throw new HeadgateError('unavailable', foresight.reason, { hint: 'try again in a moment' })
  }
  if (foresight.answer === 'no') {
    const reasons = explainRef(foresight.report)
    if (policy.enforcement === 'enforce') {
      throw new HeadgateError(
        'refused',
        [`${shortOid(commit)} cannot be promoted now`, ...reasons].join('\n'),
        {
          hint: 'headgate status shows what can; nothing was pushed',
        },
      )
    }
    note('remark: enforcement: evaluate refuses nothing, but these rules object:')
    for (const line of reasons) note(line)
  }
  const contained = foresight.broughtBack.filter(({ how }) => how === 'contained')
  if (foresight.answer === 'yes' && !contained.every((back) => isDespite(pushOptions, back.commit))) {
    throw new HeadgateError('refused', comingBack(commit, foresight).join('\n'), {
      hint: 'nothing was pushed',
    })
  }
  if (!(await session.hasAuthor())) {
    throw new HeadgateError('configuration', 'git does not know who you are, and the log entry is a commit', {
      hint: 'git config user.name NAME && git config user.email ADDRESS; nothing was pushed',
    })
  }
  if (options.autoRollback) await requireAutoRollback(session, commit)
  const asked = foresight.note ? await askForNote(session, options.yes) : undefined
  const words = { note: asked ?? options.note, plan: options.plan }
  for (const line of await promotionPlan(session, commit, foresight, words)) note(line)
  await requireConsent(`Move ${policy.release} to ${shortOid(commit)}?`, options.yes)

  const all = [...noteOption(asked), ...pushOptions]
  const outcome = await pushRelease(session, commit, all, foresight.signed)
  // Whatever git said: where the branch is tells whether it was moved, and by whom does not matter.
  if (session.release === commit) {
    if (outcome.kind !== 'moved')
      note(`${policy.release} is at ${shortOid(commit)}: somebody else was as fast`)
    session.say(`${colour('green', 'promoted')}: ${policy.release} is at ${shortOid(commit)}`)
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

async function finish(session: ReleaseSession, commit: Oid, options: PromoteOptions): Promise<void> {
  const goOn = await session.command('promote', commit, [
    ...(options.yes ? ['--yes'] : []),
    ...(options.record ? [] : ['--no-record']),
  ])
  const tested = await session.testProduction(commit, goOn)
  await session.look()
  const move = await session.lastMove()
  if (move === null || move.to !== commit) return movedOn(session, commit, move)
  if (tested.kind === 'failed') {
    process.exitCode = EXIT_CODES.refused
    sayFailed(session, commit)
    let back: boolean
    try {
      back = await goBackIfWanted(session, move, tested.symptoms, options)
    } catch (error) {
      // Also where it could not go back, what happened is written down.
      const remark = (also: Error) => note(`remark: ${also.message}`)
      if (session.release === commit) await session.writeLog(move.seq).catch(remark)
      throw error
    }
    if (!back) await session.writeLog(move.seq)
    return
  }
  await session.writeLog(move.seq)
  const how = tested.kind === 'passed' ? 'production serves it and passed its smoke test' : 'not tested'
  session.say(`${colour('green', 'done')}: ${shortOid(commit)} is released; ${how}`)
}

/** Somebody moved the branch while production was waited for or tested: their move gets both entries. */
async function movedOn(session: ReleaseSession, commit: Oid, last: LandedMove | null): Promise<void> {
  const { release, policy, repository } = session
  const who = last === null || last.to !== release ? '' : ` (${last.kind} by ${printable(last.by, 60)})`
  const where = release === null ? 'gone' : `at ${shortOid(release)}${who}`
  if (release !== null && (await repository.isAncestor(commit, release))) {
    session.say(
      `${colour('green', 'done')}: ${shortOid(commit)} was released; ${policy.release} is ${where} by now`,
    )
    return
  }
  throw new HeadgateError('refused', `${shortOid(commit)} was taken back: ${policy.release} is ${where}`, {
    hint: 'look at what was released, then decide anew: headgate status',
  })
}

function sayFailed({ policy }: ReleaseSession, commit: Oid): void {
  const stars = '*'.repeat(71)
  for (const line of [
    stars,
    `PRODUCTION SMOKE FAILED for ${shortOid(commit)}, which ${policy.release} is at now`,
    stars,
  ])
    note(colour('red', line, process.stderr))
}

/** Rolls back where that was asked for or is wanted now, else says how. True if it was rolled back. */
async function goBackIfWanted(
  session: ReleaseSession,
  { seq }: LandedMove,
  symptoms: string,
  options: PromoteOptions,
): Promise<boolean> {
  const target = await lastKnownGood(session.repository, session.view, Date.now())
  if (target === null) {
    session.say('there is no known-good release to go back to: promote a fix')
    return false
  }
  const words = { trigger: 'the production smoke failed', symptoms }
  const mayAlone = mayGoAlone(approvalsToGet(session, target))
  const asked =
    mayAlone && !options.autoRollback && !options.yes && canAsk()
      ? await confirm(`Roll back to ${shortOid(target.commit)} now?`)
      : options.autoRollback
  if (asked) {
    const wish = { ...words, commit: target.commit, reason: words.trigger, yes: true }
    await goBack(session, wish, seq)
    return true
  }
  session.say('the way back to the last known-good release:')
  session.say(`  ${await session.rollbackCommand(target.commit, words)}`)
  return false
}
