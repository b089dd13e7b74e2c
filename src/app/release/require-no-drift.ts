import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { remoteOption } from '../clone/shown-remote.ts'
import type { ReleaseSession } from './release-session.ts'

/** Somebody moved the release branch behind the guard. */
export type Drift = {
  readonly kind: 'drifted'
  /** Short name of the release branch. */
  readonly branch: string
  /** Where it is, and where its last landed move put it; null: not there. */
  readonly release: Oid | null
  readonly expected: Oid | null
  readonly remote: string
}

/**
 * No rule lets a move pass while the branch is not where its last landed move put it, and no override waives that: it is
 * said before anything else. Throws 'refused', but for a policy that refuses nothing.
 */
export async function requireNoDrift(session: ReleaseSession, tell: (event: Drift) => void): Promise<void> {
  const { policy, release } = session
  const expected = (await session.lastMove())?.to ?? null
  if (expected === release) return
  const { remote } = session.options
  const drift: Drift = { kind: 'drifted', branch: policy.release, release, expected, remote }
  if (policy.enforcement === 'evaluate') {
    tell(drift)
    return
  }
  const { what, fix } = driftWords(drift)
  throw new HeadgateError('refused', `${what}\nnothing was moved: no move is taken until that is accepted`, {
    hint: `find out who and why, then an operator accepts what is there: ${fix}`,
  })
}

/** What was found, and the command that accepts it. */
export function driftWords({ branch, release, expected, remote }: Drift): { what: string; fix: string } {
  const [is, should] = [release, expected].map((oid) => (oid === null ? 'not there' : shortOid(oid)))
  return {
    what: `DRIFT: ${branch} is ${is}, and the ledger says ${should}: someone moved it behind the guard`,
    fix: `headgate drift --reason TEXT --key FILE${remoteOption(remote)}`,
  }
}
