/** Which landed moves have their entry in the release log. */

import { parseReleaseLog } from '../../core/release-log.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { readLogFile } from './log-commit.ts'

/** Records that have entries, and whether these tell of production's smoke test. */
export type Logged = ReadonlyMap<number, boolean>

/** The records that have entries on the staging branch. */
export function loggedRecordsOf(
  client: ClientRepository,
  repository: GitRepository,
  view: RemoteView,
): Promise<Logged> {
  return loggedRecords(client, repository, view, Buffer.alloc(0))
}

/** Those, and the ones of another branch's log. */
export async function loggedRecords(
  client: ClientRepository,
  repository: GitRepository,
  view: RemoteView,
  other: Buffer,
): Promise<Logged> {
  const { policy } = view.inForce
  const staging = view.refs.get(refsOf(policy).staging)
  const file =
    staging === undefined ? null : await readLogFile(client, repository, staging, policy.releaseLog)
  const logs = [other, ...(file === null ? [] : [file.bytes])]
  const logged = new Map<number, boolean>()
  for (const bytes of logs) {
    const { entries, amendments } = parseReleaseLog(bytes)
    for (const { entry } of entries)
      logged.set(entry.record, entry.smoke !== null || logged.get(entry.record) === true)
    for (const { amendment } of amendments)
      if (logged.has(amendment.record)) logged.set(amendment.record, true)
  }
  return logged
}
