import { HeadgateError } from '../../core/errors.ts'
import { readRemoteList, rememberRemote, writeRemoteList } from '../../git/guarded-remotes.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import { thisProgram } from '../this-program.ts'
import type { ClientRepository } from './client-repository.ts'
import { lookAt, pushTarget, pushUrls } from './remote-view.ts'

export type Learned = {
  readonly name: string
  readonly outcome:
    | { readonly kind: 'guarded'; readonly staging: string; readonly release: string }
    | { readonly kind: 'open' }
    | { readonly kind: 'unknown'; readonly reason: string }
}

/** Asks each remote for its ledger, and writes down which branches the hooks have to look at, and what they start. */
export async function learnRemotes(client: ClientRepository): Promise<Learned[]> {
  const program = thisProgram()
  const repository = await client.open()
  const common = repository.commonDirectory
  const learned: Learned[] = []
  try {
    writeRemoteList(common, { guarded: [], open: [], ...readRemoteList(common), ...program })
    const names = (await client.git('remote')).split('\n').filter((name) => name !== '')
    for (const name of names) {
      for (const url of await pushUrls(client, name))
        learned.push({ name, outcome: await learn(client, repository, { name, url }) })
    }
  } finally {
    repository.close()
  }
  return learned
}

async function learn(
  client: ClientRepository,
  repository: GitRepository,
  remote: { readonly name: string; readonly url: string },
): Promise<Learned['outcome']> {
  try {
    const look = await lookAt(client, repository, await pushTarget(client, remote.name, remote.url))
    const policy = look.kind === 'guarded' ? look.view.inForce.policy : null
    const branches = policy === null ? null : refsOf(policy)
    rememberRemote(repository.commonDirectory, thisProgram(), remote, branches)
    return policy === null
      ? { kind: 'open' }
      : { kind: 'guarded', staging: policy.staging, release: policy.release }
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return { kind: 'unknown', reason: error.message }
  }
}
