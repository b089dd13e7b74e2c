/** What a rollback goes back to: the release that is named, or the last known-good one, and whether the server takes it. */

import { HeadgateError } from '../../core/errors.ts'
import { explainRef } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { judgeRollback, lastKnownGood, type RollbackOption } from '../../guard/rollback-targets.ts'
import type { ReleaseSession } from './release-session.ts'
import type { RollbackRequest } from './rollback.ts'

const OVERRIDE = 'an operator can override: headgate override --help'

/** Throws HeadgateError where there is nothing to go back to, or something besides approvals is in the way. */
export async function chooseTarget(
  session: ReleaseSession,
  request: RollbackRequest,
): Promise<RollbackOption> {
  const { commit } = request
  const { policy, repository, view } = session
  if (session.release === null) {
    throw new HeadgateError('usage', `there is no ${policy.release} to roll back`, {
      hint: 'headgate status',
    })
  }
  if (commit !== undefined) return judgeTarget(session, await session.client.resolveCommit(commit), request)
  const found = await lastKnownGood(repository, view, Date.now())
  if (found !== null) return found
  throw new HeadgateError('refused', `there is no known-good release before ${shortOid(session.release)}`, {
    hint: `the policy says rollback.target: ${policy.rollback.target}; ${OVERRIDE}`,
  })
}

export async function judgeTarget(
  session: ReleaseSession,
  commit: Oid,
  request: RollbackRequest,
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
        : `the last known-good release: ${await session.rollbackCommand(other.commit, request)}`,
  })
}
