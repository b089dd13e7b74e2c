/** Which commit a run of gates is about, and what has become of it meanwhile. */

import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import type { Policy } from '../../core/policy/policy.ts'
import { branchRef } from '../../core/refs.ts'
import type { ClientRepository } from '../clone/client-repository.ts'

/**
 * What production must serve: where the release branch is on the remote, and not what happens to be checked out, which
 * after a promotion is the commit with its entry in the release log. Null where nothing was released yet.
 */
export async function releasedCommit(
  client: ClientRepository,
  remote: string,
  { release }: Policy,
): Promise<Oid | null> {
  const hint = 'name the commit that production is to serve: --commit COMMIT'
  try {
    return await client.remoteBranch(remote, branchRef(release))
  } catch (cause) {
    if (!(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError(cause.code, cause.message, { hint, cause })
  }
}

/**
 * Whether a commit contains `commit`, as far as that can be told: the guarded branches are fetched where this clone does
 * not have it.
 */
export function containing(
  client: ClientRepository,
  commit: Oid,
  remote: string,
  { staging, release }: Policy,
): (served: Oid) => Promise<boolean> {
  const contains = async (served: Oid): Promise<boolean | null> => {
    const base = await client.git('merge-base', commit, served).catch(() => null)
    return base === null ? null : base.trim() === commit
  }
  return async (served) => {
    const known = await contains(served)
    if (known !== null) return known
    for (const branch of [staging, release])
      await client.fetchRefs(remote, [branchRef(branch)]).catch(() => undefined)
    return (await contains(served)) ?? false
  }
}
