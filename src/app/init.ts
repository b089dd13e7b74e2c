/** `headgate init`: client hooks in a clone, and what they must know of its remotes. */

import { rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { note, print } from '../cli/output.ts'
import { thisCaller } from '../cli/this-caller.ts'
import { printable } from '../core/printable.ts'
import { withoutSecrets } from '../core/without-secrets.ts'
import { readRemoteList, remoteListPath } from '../git/guarded-remotes.ts'
import { isTreeFile, writeTreeFile } from '../git/tree-file.ts'
import { findPlaces } from './client-hooks/clone-places.ts'
import { installClientHooks, removeClientHooks } from './client-hooks/install.ts'
import { removeIfEmpty } from './client-hooks/shared-hooks.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { learnRemotes } from './clone/learn-remotes.ts'
import { policySchemaText, SCHEMA_FILE, startingPolicy } from './starting-policy.ts'

export async function init(options: { readonly remove: boolean; readonly policy: boolean }): Promise<void> {
  const client = new ClientRepository(thisCaller())
  if (options.remove) {
    await remove(client)
    return
  }
  if (options.policy) await writeStartingPolicy(client)
  const { runner, changed, remarks } = await installClientHooks(client)
  const by = {
    husky: 'husky',
    lefthook: 'lefthook',
    'pre-commit': 'pre-commit',
    git: 'git',
    'own-folder': 'git',
  }
  print(
    changed.length === 0
      ? `the client hooks are there already, started by ${by[runner.kind]}`
      : `the client hooks are there now, started by ${by[runner.kind]}:`,
  )
  for (const path of changed) print(`  ${printable(path, 1024)}`)
  for (const remark of changed.length === 0 ? [] : remarks) note(`remark: ${printable(remark, 1024)}`)
  for (const { name, outcome } of await learnRemotes(client)) {
    const shown = printable(name, 100)
    if (outcome.kind === 'guarded') print(`${shown} is guarded: ${outcome.staging} and ${outcome.release}`)
    else if (outcome.kind === 'open') print(`${shown} is not guarded`)
    else {
      note(`remark: ${shown} could not be looked at (${printable(outcome.reason, 200)})`)
      note(
        '  the hooks look when a branch is pushed that .headgate/policy.yaml names; without one, main or release',
      )
    }
  }
}

async function remove(client: ClientRepository): Promise<void> {
  const changed = await removeClientHooks(client)
  const { common } = await findPlaces(client)
  if (readRemoteList(common) !== null) rmSync(remoteListPath(common))
  removeIfEmpty(join(common, 'headgate'))
  print(changed.length === 0 ? 'there are no client hooks of headgate here' : 'the client hooks are gone:')
  for (const path of changed) print(`  ${printable(path, 1024)}`)
}

async function writeStartingPolicy(client: ClientRepository): Promise<void> {
  const { top } = await findPlaces(client)
  const { policy, allowedSigners } = startingPolicy({ repository: await repositoryName(client, top) })
  for (const [name, text] of [
    ['policy.yaml', policy],
    ['allowed_signers', allowedSigners],
    // Editors find it by the first line of the policy, in every clone and without a network.
    [SCHEMA_FILE, policySchemaText()],
  ] as const) {
    if (isTreeFile(top, `.headgate/${name}`)) {
      note(`remark: .headgate/${name} is there already and stays as it is`)
      continue
    }
    writeTreeFile(top, `.headgate/${name}`, text)
    const next =
      name === SCHEMA_FILE ? 'editors check the policy by it' : 'edit it, then: headgate policy check'
    print(`wrote .headgate/${name}; ${next}`)
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
