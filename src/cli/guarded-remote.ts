import type { RemoteView } from '../audit/foresee.ts'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import type { GitRepository } from '../git/repository.ts'
import type { ClientRepository } from './client-repository.ts'
import { lookAt } from './remote-view.ts'

/** As `lookAt`, for commands that make no sense on a remote that nobody guards. */
export async function lookAtGuarded(
  client: ClientRepository,
  repository: GitRepository,
  remote: string,
): Promise<RemoteView> {
  const look = await lookAt(client, repository, remote)
  if (look.kind === 'guarded') return look.view
  throw new HeadgateError(
    'configuration',
    `the remote "${printable(remote, 200)}" is not guarded by headgate`,
    {
      hint: 'name another with --remote, or ask the server admin: headgate server install, then headgate policy apply',
    },
  )
}
