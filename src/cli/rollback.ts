/**
 * The way back to a release that worked: exactly one move, with approvals for exactly that one. Nothing is switched off
 * for it: the server judges the push like any other.
 */

import { shownRemote } from '../app/clone/shown-remote.ts'
import { requireLine } from '../app/requirements.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { explainRef } from '../core/explain.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import { printable, shellWord } from '../core/printable.ts'
import { describeCommits } from '../guard/candidates.ts'
import { judgeRollback, lastKnownGood, type RollbackOption } from '../guard/rollback-targets.ts'
import { requireConsent } from './ask.ts'
import { colour, note, plural } from './output.ts'
import { pushRelease } from './push-release.ts'
import { ReleaseSession, type SessionOptions } from './release-session.ts'
import { requireNoDrift } from './require-no-drift.ts'
import { approvalsToGet, signOwnApproval } from './rollback-approval.ts'

export type RollbackWish = {
  readonly commit: string | undefined
  readonly trigger: string
  readonly symptoms: string
  readonly reason: string | undefined
  readonly yes: boolean
}

export type RollbackOptions = SessionOptions & RollbackWish

export async function rollback(options: RollbackOptions): Promise<void> {
  const wish = {
    ...options,
    trigger: requireLine('trigger', options.trigger),
    symptoms: requireLine('symptoms', options.symptoms),
  }
  const session = await ReleaseSession.open(options)
  try {
    await session.lookWhenSettled()
    await requireNoDrift(session)
    const unfinished = await findUnfinished(session, wish)
    if (unfinished === null) await goBack(session, wish)
    else {
      note(
        `${session.policy.release} is at ${shortOid(unfinished)} already, rolled back: going on from there`,
      )
      await requireConsent('Verify production, and write it down?', wish.yes)
      await finish(session, unfinished, wish)
    }
    await session.report()
  } finally {
    session.close()
  }
}

/** Judges, gets approved, asks, pushes, verifies and writes down. */
export async function goBack(
  session: ReleaseSession,
  wish: RollbackWish,
  /** The oldest record that the release log gets an entry for; that of the rollback unless told. */
  since?: number,
): Promise<void> {
  const target = await chooseTarget(session, wish)
  const current = session.release ?? ''
  for (const line of await rollbackPlan(session, target, wish)) note(line)
  const getting = approvalsToGet(session, target)
  if (getting.kind === 'others')
    throw await needsApproval(session, target, wish, getting.missing, getting.who)
  const what = getting.kind === 'sign' ? 'Approve it with your key and move' : 'Move'
  await requireConsent(`${what} ${session.policy.release} back to ${shortOid(target.commit)}?`, wish.yes)
  let ready = target
  if (getting.kind === 'sign') {
    await signOwnApproval(session, { from: current, to: target.commit, key: getting.key, wish })
    note(`approved by ${printable(getting.principal, 60)}`)
    await session.look()
    if (session.release !== current) throw movedMeanwhile(session)
    ready = await judgeTarget(session, target.commit, wish)
    const rest = approvalsToGet(session, ready)
    if (rest.kind !== 'none') throw await needsApproval(session, ready, wish, rest.missing, rest.who)
  }
  await push(session, ready, current, wish)
  await finish(session, target.commit, wish, since)
}

async function push(
  session: ReleaseSession,
  { commit, foresight }: RollbackOption,
  current: Oid,
  { trigger, symptoms }: RollbackWish,
): Promise<void> {
  const { policy } = session
  if (session.release !== current) throw movedMeanwhile(session)
  const options = [`trigger=${trigger}`, `symptoms=${symptoms}`]
  let outcome = await pushRelease(session, commit, options, foresight.signed)
  if (outcome.kind === 'refused' && outcome.error.code === 'configuration') {
    // Words for the record are not worth a minute of an outage, and an approval has them, too.
    note(
      'remark: the server takes no push options, so that trigger and symptoms are not in the record of the move',
    )
    outcome = await pushRelease(session, commit, [], foresight.signed)
  }
  if (session.release === commit) {
    session.say(`${colour('yellow', 'rolled back')}: ${policy.release} is at ${shortOid(commit)}`)
    note(`${shortOid(current)} is barred until staging proves it anew`)
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

/** The rollback that an earlier run was about, if something is left to do for it. A second one must not follow unasked. */
async function findUnfinished(session: ReleaseSession, { commit }: RollbackWish): Promise<Oid | null> {
  const last = await session.lastMove()
  if (last === null || last.to !== session.release || last.kind === 'promotion') return null
  if (commit !== undefined) return (await session.client.resolveCommit(commit)) === last.to ? last.to : null
  if (last.kind !== 'rollback') return null
  return (await session.isLogged(last)) ? null : last.to
}

const OVERRIDE = 'an operator can override: headgate override --help'

async function chooseTarget(session: ReleaseSession, wish: RollbackWish): Promise<RollbackOption> {
  const { commit } = wish
  const { policy, repository, view } = session
  if (session.release === null) {
    throw new HeadgateError('usage', `there is no ${policy.release} to roll back`, {
      hint: 'headgate status',
    })
  }
  if (commit !== undefined) return judgeTarget(session, await session.client.resolveCommit(commit), wish)
  const found = await lastKnownGood(repository, view, Date.now())
  if (found !== null) return found
  throw new HeadgateError('refused', `there is no known-good release before ${shortOid(session.release)}`, {
    hint: `the policy says rollback.target: ${policy.rollback.target}; ${OVERRIDE}`,
  })
}

async function judgeTarget(
  session: ReleaseSession,
  commit: Oid,
  wish: RollbackWish,
): Promise<RollbackOption> {
  const { policy, repository } = session
  if (commit === session.release) {
    throw new HeadgateError('usage', `${policy.release} is at ${shortOid(commit)} already`, {
      hint: 'headgate status shows what it can go back to',
    })
  }
  const now = Date.now()
  const option = await judgeRollback(repository, session.view, commit, now)
  if (option === null) {
    throw new HeadgateError(
      'usage',
      `${shortOid(commit)} is no way back: it contains what ${policy.release} has`,
      {
        hint: `to go forward: ${await session.command('promote', commit)}`,
      },
    )
  }
  if (option.foresight.answer === 'unclear') {
    throw new HeadgateError('unavailable', option.foresight.reason, { hint: 'try again in a moment' })
  }
  if (option.obstacles.length === 0 || policy.enforcement === 'evaluate') return option
  const other = await lastKnownGood(repository, session.view, now)
  const reasons = explainRef({ ...option.foresight.report, objections: option.obstacles })
  throw new HeadgateError('refused', [`${shortOid(commit)} cannot be gone back to`, ...reasons].join('\n'), {
    hint:
      other === null
        ? `no earlier release can be gone back to (rollback.target: ${policy.rollback.target}); ${OVERRIDE}`
        : `the last known-good release: ${await session.rollbackCommand(other.commit, wish)}`,
  })
}

async function rollbackPlan(
  session: ReleaseSession,
  { commit }: RollbackOption,
  { trigger, symptoms }: RollbackWish,
): Promise<string[]> {
  const { repository, policy, release, options } = session
  const undone = await describeCommits(repository, [release ?? commit, `^${commit}`], 1000)
  return [
    colour(
      'bold',
      `${policy.release} on ${shownRemote(options.remote, 100)}: back from ${shortOid(release ?? '')} to ${shortOid(commit)}`,
      process.stderr,
    ),
    `takes back ${plural(undone.length, 'commit')}:`,
    ...undone
      .slice(0, 10)
      .map(({ oid, author, subject }) =>
        `  ${shortOid(oid)}  ${printable(author, 12).padEnd(12)}  ${printable(subject, 54)}`.trimEnd(),
      ),
    ...(undone.length > 10 ? [`  and ${undone.length - 10} more`] : []),
    `trigger: ${printable(trigger, 500)}`,
    `symptoms: ${printable(symptoms, 500)}`,
    // A commit's author is not worth an outage.
    ...((await session.hasAuthor())
      ? []
      : [
          'remark: git does not know who you are, so that the log entry will be missing: git config user.name',
        ]),
  ]
}

async function needsApproval(
  session: ReleaseSession,
  { commit }: RollbackOption,
  wish: RollbackWish,
  missing: number,
  who: readonly string[],
): Promise<HeadgateError> {
  const { client, policy, release } = session
  const [from, to] = [await client.abbreviate(release ?? commit), await client.abbreviate(commit)]
  const words = `--trigger ${shellWord(wish.trigger)} --symptoms ${shellWord(wish.symptoms)}`
  const names = who.map((name) => printable(name, 60)).join(', ')
  return new HeadgateError(
    'refused',
    [
      `going back needs ${plural(missing, 'approval')} more, by ${names}; nothing was moved`,
      'who approves runs:',
      `  headgate approve --from ${from} --to ${to} --reason ${shellWord(wish.reason ?? wish.trigger)} ${words} --key FILE`,
      'then run this again:',
      `  ${await session.rollbackCommand(commit, wish)}`,
    ].join('\n'),
    { hint: `an approval lasts an hour unless told; rollback.approvals is ${policy.rollback.approvals}` },
  )
}

async function finish(
  session: ReleaseSession,
  commit: Oid,
  wish: RollbackWish,
  since?: number,
): Promise<void> {
  const tested = await session.testProduction(commit, await session.rollbackCommand(commit, wish))
  await session.look()
  const move = await session.lastMove()
  if (move !== null && move.to === commit) await session.writeLog(since ?? move.seq)
  if (tested.kind === 'failed') {
    process.exitCode = EXIT_CODES.refused
    note(
      colour(
        'red',
        `PRODUCTION SMOKE FAILED again, at ${shortOid(commit)}: the rollback did not help`,
        process.stderr,
      ),
    )
    return
  }
  const how = tested.kind === 'passed' ? 'production serves it and passed its smoke test' : 'not verified'
  session.say(`${colour('green', 'done')}: ${session.policy.release} is back at ${shortOid(commit)}; ${how}`)
}
