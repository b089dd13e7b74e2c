/** Takes the guard out of a repository: looks first whether all of it can be done, then does it. */

import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { shellWord } from '../../src/core/printable.ts'
import { guardedBranches } from '../../src/core/refs.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { readGuardedNames } from '../guarded-list.ts'
import { type Host, hookPlace, SERVER_HOOKS } from '../hook-places.ts'
import { formerSealKeys, sealKeyFiles, sealKeyPath } from '../seal-key.ts'
import { SERVER_DIRECTORY, settingsPath } from '../settings.ts'
import { accountName, asAccount } from './accounts.ts'
import { uninstallHooks } from './hook-files.ts'
import { requireOwnWritable, settingsBefore } from './install.ts'
import { openNamed } from './open-named.ts'
import { ownValues, unpinSettings } from './pinned-settings.ts'
import { readPolicyInForce } from './policy-files.ts'

export type Removal = {
  readonly gitDirectory: string
  /** Hooks that were there before headgate and are back. */
  readonly restored: readonly string[]
  /** Settings that have their former values again. */
  readonly settings: readonly string[]
  /** What is still there of headgate's, by its path in the repository or its ref. */
  readonly stays: readonly string[]
}

/**
 * The ledger and the policies in it stay: they are the record. So do seal keys and reflogs, unless `purge` says otherwise;
 * a repository that headgate has left already can still be purged. Throws HeadgateError 'configuration' before anything is
 * changed where something cannot be.
 */
export async function uninstallServer(
  path: string,
  { gitPath, purge }: { readonly gitPath: string; readonly purge: boolean },
): Promise<Removal> {
  const repository = await openNamed(path, gitPath)
  try {
    const gitDirectory = repository.commonDirectory
    const folder = join(gitDirectory, SERVER_DIRECTORY)
    const isInstalled = existsSync(settingsPath(gitDirectory))
    if (!isInstalled && !(purge && existsSync(folder))) {
      throw new HeadgateError('configuration', `headgate is not installed in ${gitDirectory}`, {
        hint: 'headgate server install REPO.git --identity SOURCE installs it',
      })
    }
    requireOwnWritable(gitDirectory)
    const host = settingsBefore(gitDirectory)?.host ?? 'plain'
    const logs = await startedReflogs(repository)
    requireRemovable(gitDirectory, host, logs)
    const settings = isInstalled ? await unpinSettings(repository) : []
    const restored = isInstalled ? uninstallHooks(gitDirectory, host) : []
    // A log that says nothing was ours.
    for (const log of logs) if (purge || statSync(log).size === 0) removeLog(gitDirectory, log)
    const keys = new Set(sealKeyFiles(gitDirectory))
    const isKept = (file: string) => !purge && (keys.has(file) || file === join(folder, 'seal-key.pub'))
    // Last the settings: as long as they are there, an interrupted removal can be run again.
    for (const name of [...readdirSync(folder)].sort(
      (a, b) => Number(a === 'server.json') - Number(b === 'server.json'),
    ))
      if (!isKept(join(folder, name))) rmSync(join(folder, name), { force: true, recursive: true })
    if (readdirSync(folder).length === 0) rmdirSync(folder)
    return { gitDirectory, restored, settings, stays: await whatStays(repository, logs) }
  } finally {
    repository.close()
  }
}

async function whatStays(repository: GitRepository, logs: readonly string[]): Promise<string[]> {
  const { commonDirectory } = repository
  const refs = await repository.run(['for-each-ref', '--format=%(refname)', 'refs/headgate/'])
  const files = [sealKeyPath(commonDirectory), ...formerSealKeys(commonDirectory), ...logs].filter((file) =>
    existsSync(file),
  )
  return [
    ...refs.stdout
      .toString('utf8')
      .split('\n')
      .filter((ref) => ref !== ''),
    ...files.map((file) => file.slice(commonDirectory.length + 1)),
  ]
}

/** Of the guarded branches, where the repository keeps none by itself: an earlier version began them. */
async function startedReflogs(repository: GitRepository): Promise<string[]> {
  const { commonDirectory } = repository
  const always = (await ownValues(repository)).last('core.logAllRefUpdates')
  if (always !== null && !/^(?:false|no|off|0)$/i.test(always)) return []
  // The list goes with the guard, and the ledger stays: one of them knows the branches.
  const inForce = await readPolicyInForce(repository).catch(() => null)
  const branches = inForce === null ? [] : guardedBranches(parsePolicyFiles(inForce).policy)
  const refs = new Set([...readGuardedNames(commonDirectory), ...branches])
  return [...refs]
    .map((ref) => join(commonDirectory, 'logs', ref))
    .filter((log) => lstatSync(log, { throwIfNoEntry: false })?.isFile())
}

/** Folders that held nothing but this log go with it. */
function removeLog(gitDirectory: string, log: string): void {
  rmSync(log)
  const logs = join(gitDirectory, 'logs')
  try {
    for (let folder = dirname(log); folder.startsWith(logs); folder = dirname(folder)) rmdirSync(folder)
  } catch {
    // Something else is in it.
  }
}

function requireRemovable(gitDirectory: string, host: Host, logs: readonly string[]): void {
  const lock = join(gitDirectory, 'config.lock')
  if (existsSync(lock)) {
    throw new HeadgateError('unavailable', `${lock} is there: git is changing the settings, or has died`, {
      hint: `if no git is at work there, remove it, and run this again: rm ${shellWord(lock)}`,
    })
  }
  const places = SERVER_HOOKS.flatMap((hook) => hookPlace(host, hook) ?? [])
  const folders = new Set([
    gitDirectory,
    ...foldersIn(join(gitDirectory, SERVER_DIRECTORY)),
    ...places.map((place) => dirname(join(gitDirectory, place))).filter((folder) => existsSync(folder)),
    ...logs.map((log) => dirname(log)),
  ])
  for (const folder of folders) {
    try {
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (cause) {
      const { uid } = statSync(folder)
      throw new HeadgateError(
        'configuration',
        `nothing was changed: ${folder} belongs to ${accountName(uid)}, and this account cannot write there`,
        { hint: `${asAccount(uid, `chmod g+rwx ${shellWord(folder)}`)}, then run this again`, cause },
      )
    }
  }
}

function foldersIn(folder: string): string[] {
  const status = lstatSync(folder, { throwIfNoEntry: false })
  if (!status?.isDirectory()) return []
  let names: string[] = []
  try {
    names = readdirSync(folder)
  } catch {
    // What cannot be read cannot be removed either: the folder itself says so.
  }
  return [folder, ...names.flatMap((name) => foldersIn(join(folder, name)))]
}
