import { refsOf } from '../audit/foresee.ts'
import { HeadgateError } from '../core/errors.ts'
import { readRemoteList, rememberRemote, writeRemoteList } from '../git/guarded-remotes.ts'
import type { ClientRepository } from './client-repository.ts'
import { lookAt } from './remote-view.ts'
import { thisProgram } from './this-program.ts'

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
      const url = (await client.git('remote', 'get-url', '--push', name)).split('\n')[0] ?? ''
      try {
        const look = await lookAt(client, repository, name)
        const branches = look.kind === 'guarded' ? refsOf(look.view.inForce.policy) : null
        rememberRemote(common, program, { name, url }, branches)
        if (look.kind === 'open') learned.push({ name, outcome: { kind: 'open' } })
        else {
          const { staging, release } = look.view.inForce.policy
          learned.push({ name, outcome: { kind: 'guarded', staging, release } })
        }
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
        learned.push({ name, outcome: { kind: 'unknown', reason: error.message } })
      }
    }
  } finally {
    repository.close()
  }
  return learned
}
