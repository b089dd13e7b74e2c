/**
 * Where `core.hooksPath` of the account or the machine names one folder for all repositories: this clone gets a folder of
 * its own, with our hooks and one line for each of the shared ones, and nothing is written to the shared folder.
 */
import { accessSync, constants, existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { userGit } from '../../git/user-git.ts'
import type { Caller } from '../caller.ts'
import type { ClonePlaces } from './clone-places.ts'
import { writeScript } from './hook-folder.ts'
import { CLIENT_HOOKS, type ClientHook, hookScript } from './hook-script.ts'
import { removeIfEmpty } from './shared-hooks.ts'

export function ownFolder({ common }: ClonePlaces): string {
  return join(common, 'headgate', 'hooks')
}

/** Makes the folder for the hooks in `shared` and lets git look there. Returns what was written. */
export async function useOwnFolder(caller: Caller, places: ClonePlaces, shared: string): Promise<string[]> {
  const folder = ownFolder(places)
  const changed: string[] = []
  const wanted = new Map<string, string>()
  for (const name of sharedHooks(shared)) {
    const forward = `exec '${shared.replaceAll("'", `'\\''`)}/${name}' "$@"\n`
    if (isClientHook(name)) wanted.set(`${name}.shared`, `#!/bin/sh\n${forward}`)
    else
      wanted.set(
        name,
        `#!/bin/sh\n# headgate: the hook of the folder that all repositories share\n${forward}`,
      )
  }
  for (const name of CLIENT_HOOKS)
    wanted.set(name, hookScript(name, wanted.has(`${name}.shared`) ? `${name}.shared` : ''))
  for (const name of existsSync(folder) ? readdirSync(folder) : [])
    if (!wanted.has(name)) rmSync(join(folder, name))
  for (const [name, text] of wanted) if (writeScript(folder, name, text)) changed.push(join(folder, name))
  await setHooksPath(caller, places, folder)
  return changed
}

/** Hooks of the shared folder that the own one does not start: they came later. */
export function unknownSharedHooks(places: ClonePlaces, shared: string): string[] {
  const folder = ownFolder(places)
  return sharedHooks(shared).filter(
    (name) => !existsSync(join(folder, isClientHook(name) ? `${name}.shared` : name)),
  )
}

export async function removeOwnFolder(caller: Caller, places: ClonePlaces): Promise<string[]> {
  const folder = ownFolder(places)
  const changed: string[] = []
  if (places.hooksPath?.value === folder) {
    await setHooksPath(caller, places, null)
    changed.push('core.hooksPath of this clone')
  }
  if (existsSync(folder)) {
    rmSync(folder, { recursive: true })
    changed.push(folder)
  }
  removeIfEmpty(join(places.common, 'headgate'))
  return changed
}

async function setHooksPath(
  { environment }: Caller,
  { top }: ClonePlaces,
  folder: string | null,
): Promise<void> {
  const args = folder === null ? ['--unset-all', 'core.hooksPath'] : ['core.hooksPath', folder]
  const { code, stderr } = await userGit(['config', '--local', ...args], { environment, folder: top })
  if (code === 0) return
  throw new HeadgateError('unavailable', `git config: ${printable(stderr, 300)}`, {
    hint: 'the configuration of this clone must be writable: .git/config',
  })
}

export function hasSharedHooks(folder: string): boolean {
  return sharedHooks(folder).length > 0
}

function sharedHooks(folder: string): string[] {
  // The folder is often /dev/null, to have no hooks at all; a developer who runs headgate init wants headgate's.
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(folder).filter((name) => {
    if (!/^[a-z][a-z0-9-]+$/.test(name)) return false
    try {
      accessSync(join(folder, name), constants.X_OK)
      return statSync(join(folder, name)).isFile()
    } catch {
      return false
    }
  })
}

function isClientHook(name: string): name is ClientHook {
  return (CLIENT_HOOKS as readonly string[]).includes(name)
}
