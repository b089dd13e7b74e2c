import { HeadgateError } from '../../core/errors.ts'
import { isShallow } from '../../git/locate.ts'
import type { GitRepository } from '../../git/repository.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import type { ClientRepository } from './client-repository.ts'
import { lookAt } from './remote-view.ts'
import { remoteWord, shownRemote } from './shown-remote.ts'

/**
 * What a command needs that only signs and sends: the state of the ledger, the policy, the guarded branches. Their commits
 * are in the clone afterwards, so that people can name them who have not fetched.
 */
export async function viewGuarded(client: ClientRepository, remote: string): Promise<RemoteView> {
  const repository = await client.open()
  try {
    return await lookAtGuarded(client, repository, remote)
  } finally {
    repository.close()
  }
}

/** What can be promoted and gone back to is found by ancestry, of which a shallow clone has only the end. */
export function requireHistory(repository: GitRepository, remote: string): void {
  if (!isShallow(repository.commonDirectory)) return
  throw new HeadgateError('configuration', 'this clone is shallow: it has only the end of the history', {
    hint: `git fetch --unshallow ${remoteWord(remote)}`,
  })
}

/** As `lookAt`, for commands that make no sense on a remote without headgate. */
export async function lookAtGuarded(
  client: ClientRepository,
  repository: GitRepository,
  remote: string,
): Promise<RemoteView> {
  const look = await lookAt(client, repository, remote)
  if (look.kind === 'guarded') return look.view
  throw new HeadgateError('configuration', `the remote "${shownRemote(remote)}" is not guarded by headgate`, {
    hint: 'name another with --remote, or ask the server admin: headgate server install, then headgate policy apply',
  })
}
