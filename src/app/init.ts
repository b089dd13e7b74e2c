/** Client hooks in a clone, and what they must know of its remotes. */

import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { withoutSecrets } from '../core/without-secrets.ts'
import { readRemoteList, remoteListPath } from '../git/guarded-remotes.ts'
import { isTreeFile, writeTreeFile } from '../git/tree-file.ts'
import type { Caller } from './caller.ts'
import { findPlaces } from './client-hooks/clone-places.ts'
import { type Installed, installClientHooks, removeClientHooks } from './client-hooks/install.ts'
import { removeIfEmpty } from './client-hooks/shared-hooks.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { type Learned, learnRemotes } from './clone/learn-remotes.ts'
import { policySchemaText, SCHEMA_FILE, startingPolicy } from './starting-policy.ts'

/** What was done, step by step: a remote may take a while to answer, or a later step fail. */
export type InitEvent =
  /** A file of the starting policy, by its name in `.headgate`; not written where there is one already. */
  | { readonly kind: 'policy-file'; readonly name: string; readonly written: boolean }
  | ({ readonly kind: 'hooks' } & Installed)
  | { readonly kind: 'remotes'; readonly remotes: readonly Learned[] }
type Tell = (event: InitEvent) => void

/** Safe to run again: what is there already stays. `policy`: whether a starting policy is written, too. */
export async function init(caller: Caller, options: { readonly policy: boolean }, tell: Tell): Promise<void> {
  const client = new ClientRepository(caller)
  if (options.policy) await writeStartingPolicy(client, tell)
  tell({ kind: 'hooks', ...(await installClientHooks(client)) })
  tell({ kind: 'remotes', remotes: await learnRemotes(client) })
}

/** Takes the hooks out again, and what they knew. Returns what was changed. */
export async function removeHooks(caller: Caller): Promise<string[]> {
  const client = new ClientRepository(caller)
  const changed = await removeClientHooks(client)
  const { common } = await findPlaces(client)
  if (readRemoteList(common) !== null) rmSync(remoteListPath(common))
  removeIfEmpty(join(common, 'headgate'))
  return changed
}

async function writeStartingPolicy(client: ClientRepository, tell: Tell): Promise<void> {
  const { top } = await findPlaces(client)
  const { policy, allowedSigners } = startingPolicy({ repository: await repositoryName(client, top) })
  for (const [name, text] of [
    ['policy.yaml', policy],
    ['allowed_signers', allowedSigners],
    // Editors find it by the first line of the policy, in every clone and without a network.
    [SCHEMA_FILE, policySchemaText()],
  ] as const) {
    const written = !isTreeFile(top, `.headgate/${name}`)
    if (written) writeTreeFile(top, `.headgate/${name}`, text)
    tell({ kind: 'policy-file', name, written })
  }
}

/** Host and path of the remote `origin`, by habit the name of a repository; else the folder's. */
async function repositoryName(client: ClientRepository, top: string): Promise<string> {
  const url = withoutSecrets(
    (await client.git('config', '--default', '', '--get', 'remote.origin.url')).trim(),
  )
  const [, host = '', path = ''] =
    /^(?:[a-z+]+:\/\/)?(?:[^@/]*@)?([A-Za-z0-9.-]+)(?::\d+)?[:/]\/*(.+?)(?:\.git)?\/*$/.exec(url) ?? []
  const name = `${host}/${path}`.replace(/[^A-Za-z0-9._/~+-]/g, '-')
  return /^[A-Za-z0-9].*\/./.test(name) && !url.startsWith('/')
    ? name.slice(0, 255)
    : `git.example.com/${basename(top).replace(/[^A-Za-z0-9._~+-]/g, '-')}`
}
