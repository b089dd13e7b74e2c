/** Puts the client hooks where this clone's git will find them, beside whoever looks after hooks here. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientRepository } from '../client-repository.ts'
import { type ClonePlaces, findPlaces, huskyFolder, isHuskyActive, isShared } from './clone-places.ts'
import { putHook } from './hook-folder.ts'
import { CLIENT_HOOKS } from './hook-script.ts'
import { addToHusky, removeFromHusky } from './husky.ts'
import { addToLefthook, lefthookFile, removeFromLefthook, syncLefthook } from './lefthook.ts'
import { ownFolder, removeOwnFolder, sharedFolder, useOwnFolder } from './own-folder.ts'
import {
  addToPreCommit,
  putBesidePreCommit,
  removeFromPreCommit,
  takeFromHooks,
  usesPreCommit,
} from './pre-commit.ts'
import { removeSharedHooks, writeSharedHooks } from './shared-hooks.ts'

/** Who starts the hooks in a clone. */
export type Runner =
  | { readonly kind: 'husky'; readonly folder: string; readonly active: boolean }
  | { readonly kind: 'lefthook'; readonly file: string }
  | { readonly kind: 'pre-commit' }
  | { readonly kind: 'git' }
  /** git, in a folder of this clone in place of one that all repositories share. */
  | { readonly kind: 'own-folder'; readonly shared: string }

export async function findRunner(client: ClientRepository, places: ClonePlaces): Promise<Runner> {
  const husky = huskyFolder(places)
  if (husky !== null) return { kind: 'husky', folder: husky, active: isHuskyActive(places, husky) }
  const lefthook = lefthookFile(places.top)
  if (lefthook !== null) return { kind: 'lefthook', file: lefthook }
  if (isShared(places) || places.hooks === ownFolder(places)) {
    const shared = await sharedFolder(client)
    if (shared !== null) return { kind: 'own-folder', shared }
  }
  return usesPreCommit(places.top) ? { kind: 'pre-commit' } : { kind: 'git' }
}

export type Installed = {
  readonly runner: Runner
  /** What was written, for people; empty where everything was there already. */
  readonly changed: readonly string[]
  /** What somebody still has to do. */
  readonly remarks: readonly string[]
}

export async function installClientHooks(client: ClientRepository): Promise<Installed> {
  const places = await findPlaces(client)
  const { top, hooks } = places
  const runner = await findRunner(client, places)
  switch (runner.kind) {
    case 'husky': {
      const changed = [...writeSharedHooks(top), ...addToHusky(top, runner.folder)]
      const remarks = [COMMIT_IT]
      if (!runner.active)
        remarks.push('husky is not set up in this working tree, so no hook runs here yet: npx husky')
      return { runner, changed, remarks }
    }
    case 'lefthook': {
      const changed = [...writeSharedHooks(top), ...addToLefthook(top, runner.file)]
      const synced = syncLefthook(top)
      return { runner, changed, remarks: synced ? [COMMIT_IT] : [COMMIT_IT, 'then run: lefthook install'] }
    }
    case 'pre-commit': {
      const changed = [...writeSharedHooks(top), ...addToPreCommit(top)]
      changed.push(...putBesidePreCommit(hooks).map((name) => join(hooks, name)))
      return { runner, changed, remarks: [COMMIT_IT] }
    }
    case 'own-folder':
      return {
        runner,
        changed: useOwnFolder(places, runner.shared),
        remarks: [`the hooks in ${runner.shared}, which all repositories share, run after headgate's`],
      }
    case 'git': {
      const changed = CLIENT_HOOKS.filter((name) => putHook(join(hooks, name), name)).map((name) =>
        join(hooks, name),
      )
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
    ...removeOwnFolder(places),
  ]
  if (lefthook.length > 0) syncLefthook(top)
  return changed
}
