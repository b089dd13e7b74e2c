import { remoteOption } from '../app/clone/shown-remote.ts'
import { HeadgateError } from '../core/errors.ts'
import { shortOid } from '../core/oid.ts'
import { note } from './output.ts'
import type { ReleaseSession } from './release-session.ts'

/**
 * No rule lets a move pass while the branch is not where its last landed move put it, and no override waives that: it is
 * said before anything else. Throws 'refused', but for a policy that refuses nothing.
 */
export async function requireNoDrift(session: ReleaseSession): Promise<void> {
  const { policy, release } = session
  const expected = (await session.lastMove())?.to ?? null
  if (expected === release) return
  const [is, should] = [release, expected].map((oid) => (oid === null ? 'not there' : shortOid(oid)))
  const what = `DRIFT: ${policy.release} is ${is}, and the ledger says ${should}: someone moved it behind the guard`
  const fix = `headgate drift --reason TEXT --key FILE${remoteOption(session.options.remote)}`
  if (policy.enforcement === 'evaluate') return note(`remark: ${what}; ${fix}`)
  throw new HeadgateError('refused', `${what}\nnothing was moved: no move is taken until that is accepted`, {
    hint: `find out who and why, then an operator accepts what is there: ${fix}`,
  })
}
