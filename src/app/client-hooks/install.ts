/** Puts the client hooks where this clone's git will find them, beside the hook runner that this project has. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import {
  areHooksOff,
  type ClonePlaces,
  findPlaces,
  huskyFolder,
  isHuskyActive,
  isShared,
  unsetHooksPath,
} from './clone-places.ts'
import { addToHusky, removeFromHusky } from './husky.ts'
import { addToLefthook, lefthookFile, removeFromLefthook, syncLefthook } from './lefthook.ts'
import { hasSharedHooks, ownFolder, removeOwnFolder, useOwnFolder } from './own-folder.ts'
import {
  addToPreCommit,
  putBesidePreCommit,
  removeFromPreCommit,
  takeFromHooks,
  usesPreCommit,
} from './pre-commit.ts'
import { removeSharedHooks, sharedScripts, writeSharedHooks } from './shared-hooks.ts'

/** Who starts the hooks in a clone. */
export type Runner =
  | { readonly kind: 'husky'; readonly folder: string; readonly active: boolean }
  | { readonly kind: 'lefthook'; readonly file: string }
  | { readonly kind: 'pre-commit' }
  | { readonly kind: 'git' }
  /** git, in a folder of this clone in place of one that all repositories share. */
  | { readonly kind: 'own-folder'; readonly shared: string }

export function findRunner(places: ClonePlaces): Runner {
  const husky = huskyFolder(places)
  if (husky !== null) return { kind: 'husky', folder: husky, active: isHuskyActive(places, husky) }
  // Before lefthook and pre-commit, which refuse to install hooks where others are for all repositories.
  if (places.shared !== null && (isShared(places) || places.hooks === ownFolder(places)))
    return { kind: 'own-folder', shared: places.shared }
  const lefthook = lefthookFile(places.top)
  if (lefthook !== null) return { kind: 'lefthook', file: lefthook }
  return usesPreCommit(places.top) ? { kind: 'pre-commit' } : { kind: 'git' }
}

export type Installed = {
  readonly runner: Runner
  /** What was written, for people; empty where everything was there already. */
  readonly changed: readonly string[]
  /** What the developer still has to do. */
  readonly remarks: readonly string[]
}

export async function installClientHooks(client: ClientRepository): Promise<Installed> {
  const places = await findPlaces(client)
  const { top, hooks } = places
  const runner = findRunner(places)
  if (
    places.hooksPath !== null &&
    runner.kind !== 'own-folder' &&
    runner.kind !== 'husky' &&
    areHooksOff(places)
  ) {
    const { value, scope } = places.hooksPath
    throw new HeadgateError(
      'configuration',
      `core.hooksPath is "${printable(value, 300)}" (${scope} configuration): git starts no hooks here`,
      { hint: `${unsetHooksPath(places.hooksPath)}, then run headgate init again` },
    )
  }
  switch (runner.kind) {
    case 'husky': {
      const changed = [
        ...writeSharedHooks(top, sharedScripts(runner.kind)),
        ...addToHusky(top, runner.folder),
      ]
      const remarks = [COMMIT_IT]
      if (!runner.active)
        remarks.push('husky is not set up in this working tree, so no hook runs here yet: npx husky')
      return { runner, changed, remarks }
    }
    case 'lefthook': {
      const changed = [
        ...writeSharedHooks(top, sharedScripts(runner.kind)),
        ...addToLefthook(top, runner.file),
      ]
      const synced = syncLefthook(top)
      if (!synced) return { runner, changed, remarks: [COMMIT_IT, 'then run: lefthook install'] }
      // lefthook moves hooks that it finds away, those of an earlier headgate init among them.
      takeFromHooks(hooks)
      return { runner, changed, remarks: [COMMIT_IT] }
    }
    case 'pre-commit': {
      const changed = [...writeSharedHooks(top, sharedScripts(runner.kind)), ...addToPreCommit(top)]
      changed.push(...putBesidePreCommit(hooks).map((name) => join(hooks, name)))
      return { runner, changed, remarks: [COMMIT_IT] }
    }
    case 'own-folder':
      return {
        runner,
        changed: await useOwnFolder(client.caller, places, runner.shared),
        remarks: hasSharedHooks(runner.shared)
          ? [`the hooks in ${runner.shared}, which all repositories share, run after headgate's`]
          : [],
      }
    case 'git': {
      const changed = putBesidePreCommit(hooks).map((name) => join(hooks, name))
      return { runner, changed, remarks: [] }
    }
  }
}

const COMMIT_IT = 'commit these files, so that everybody has the hooks'

/** Takes everything of ours out again, wherever it is. Returns what was changed. */
export async function removeClientHooks(client: ClientRepository): Promise<string[]> {
  const places = await findPlaces(client)
  const { top, hooks } = places
  const husky = huskyFolder(places) ?? join(top, '.husky')
  const lefthook = removeFromLefthook(top)
  const folders = new Set(
    [hooks, join(places.common, 'hooks')].filter((folder) => folder !== ownFolder(places)),
  )
  const changed = [
    ...(existsSync(husky) ? removeFromHusky(top, husky) : []),
    ...lefthook,
    ...removeFromPreCommit(top),
    ...[...folders].flatMap((folder) => takeFromHooks(folder).map((name) => join(folder, name))),
    ...removeSharedHooks(top),
    ...(await removeOwnFolder(client.caller, places)),
  ]
  if (lefthook.length > 0) syncLefthook(top)
  return changed
}
