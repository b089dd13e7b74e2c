/** Where everything stands, and what can be done next. */

import type { Oid } from '../core/oid.ts'
import type { Policy } from '../core/policy/policy.ts'
import type { GitRepository } from '../git/repository.ts'
import { refsOf } from '../guard/foresee.ts'
import { gatherStatus, type Status } from '../guard/gather-status.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import type { LandedMove } from '../guard/landed-moves.ts'
import type { Caller } from './caller.ts'
import { namedHosts } from './clone/allowed.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { lookAtGuarded, requireHistory } from './clone/guarded-remote.ts'
import { loggedRecordsOf } from './release/logged-records.ts'
import { isUnfinished } from './release/unfinished.ts'
import { lookAtAll, type Serving } from './served-commits.ts'

export type StatusOptions = {
  readonly remote: string
  /** Candidates that are listed. */
  readonly limit: number
  /** Whether staging and production are asked what they serve. */
  readonly environments: boolean
}

export type StatusReport = {
  readonly status: Status
  readonly policy: Policy
  readonly remote: string
  /** Null where they were not asked. */
  readonly serving: { readonly staging: Serving; readonly production: Serving | null } | null
  /** Ids as short as they can be pasted, of those that commands name. */
  readonly abbreviated: ReadonlyMap<Oid, string>
  /** The last move, if it has still to be tested and written down. */
  readonly unfinished: LandedMove | null
  /** When it was looked, in milliseconds since the epoch. */
  readonly now: number
}

/**
 * Throws HeadgateError 'configuration' for a remote that nobody guards and in a shallow clone, 'unavailable' for a remote
 * that cannot be reached. An environment that does not answer is a part of the report.
 */
export async function status(caller: Caller, options: StatusOptions): Promise<StatusReport> {
  const client = new ClientRepository(caller)
  const repository = await client.open()
  try {
    requireHistory(repository, options.remote)
    const view = await lookAtGuarded(client, repository, options.remote)
    const { policy } = view.inForce
    const now = Date.now()
    const [serving, gathered] = await Promise.all([
      options.environments ? lookAtAll(policy, await namedHosts(client)) : null,
      gatherStatus(repository, view, { limit: options.limit, now }),
    ])
    return {
      status: gathered,
      policy,
      remote: options.remote,
      serving,
      abbreviated: await abbreviateNamed(client, gathered),
      unfinished: await findUnfinished(client, repository, view, gathered, now),
      now,
    }
  } finally {
    repository.close()
  }
}

async function abbreviateNamed(
  client: ClientRepository,
  { lastMove, promotable, candidates, wayBack }: Status,
): Promise<ReadonlyMap<Oid, string>> {
  const named = [lastMove?.to, promotable?.oid, candidates[0]?.oid, ...wayBack.map((option) => option.commit)]
  const abbreviated = new Map<Oid, string>()
  for (const oid of named) if (oid !== undefined) abbreviated.set(oid, await client.abbreviate(oid))
  return abbreviated
}

/** The last move, if `promote` or `rollback` would go on with it. */
async function findUnfinished(
  client: ClientRepository,
  repository: GitRepository,
  view: RemoteView,
  { lastMove, drift }: Status,
  now: number,
): Promise<LandedMove | null> {
  if (lastMove === null || drift !== null || view.refs.get(refsOf(view.inForce.policy).staging) === undefined)
    return null
  const logged = await loggedRecordsOf(client, repository, view)
  return isUnfinished(lastMove, logged, now) ? lastMove : null
}
