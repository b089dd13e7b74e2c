/** Which ref each update of a push would really change: through namespaces and symbolic refs. */

import { lstatSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { isReserved } from '../../src/core/refs.ts'
import type { RefUpdate } from '../../src/git/hook-input.ts'
import { isRefName, type Ref, type RunGit, readRefs } from '../../src/git/refs.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { readGuardedNames } from '../guarded-list.ts'

export type TargetedUpdate = RefUpdate & { readonly target: string }

/** One for each ref that an update would change: nearly always one. */
export async function withTargets(
  repository: GitRepository,
  updates: readonly RefUpdate[],
  namespace: string,
): Promise<TargetedUpdate[]> {
  const prefix = namespace
    .split('/')
    .filter((part) => part !== '')
    .map((part) => `refs/namespaces/${part}/`)
    .join('')
  const guarded = readGuardedNames(repository.commonDirectory)
  const places = [repository.commonDirectory, ...worktrees(repository.commonDirectory)]
  const named = updates.map((update) => withoutLinks(repository.commonDirectory, prefix + update.ref))
  // A guarded name stays what it is, also where somebody made it a symbolic ref: see viewServer.
  const open = [...new Set(named)].filter((name) => !guarded.has(name) && !isReserved(name))
  const aliases = await resolveAliases(repository, open, places)
  return updates.flatMap((update, index) => {
    const name = named[index]!
    return [...(aliases.get(name) ?? [name])].map((target) => ({ ...update, target }))
  })
}

/** The name of the file that git would write, where a folder on the way to it is a symbolic link. */
function withoutLinks(commonDirectory: string, ref: string): string {
  if (!isRefName(ref)) return ref
  try {
    const folder = relative(commonDirectory, realpathSync(join(commonDirectory, dirname(ref))))
    return folder.startsWith('refs') ? `${folder}/${basename(ref)}` : ref
  } catch {
    // A folder that is not there yet.
    return ref
  }
}

/**
 * The git directories of linked worktrees. A push to one of them finds HEAD and refs/worktree/ there, and a hook is not
 * told where a push goes to.
 */
function worktrees(commonDirectory: string): string[] {
  const folder = join(commonDirectory, 'worktrees')
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}

/**
 * What symbolic refs stand for, also where that does not exist yet; of one that worktrees have each for itself, what it
 * stands for in any of them. Names that git could not have are left out.
 */
async function resolveAliases(
  repository: GitRepository,
  names: readonly string[],
  places: readonly string[],
): Promise<Map<string, Set<string>>> {
  const targets = new Map<string, Set<string>>()
  const possible = names.filter(isRefName)
  if (possible.length === 0) return targets
  for (const place of places) {
    const run: RunGit = (args, options) => repository.run([`--git-dir=${place}`, ...args], options)
    const mayDangle = (name: string) => places.some((one) => mayBeThere(one, name))
    const found = await readRefs(run, possible, repository.oidLength, mayDangle).catch((error) => {
      // What is left of a worktree that is gone: nobody pushes to it.
      if (place === repository.commonDirectory || !/: fatal: not a git repository/.test(error.message))
        throw error
      return new Map<string, Ref>()
    })
    for (const name of possible) {
      const target = found.get(name)?.symref ?? name
      targets.set(name, (targets.get(name) ?? new Set()).add(target))
    }
  }
  return targets
}

/** A symbolic ref that leads nowhere has a file; with reftable git alone can tell. A push names thousands that are new. */
function mayBeThere(place: string, name: string): boolean {
  try {
    return ['reftable', name].some(
      (one) => lstatSync(join(place, one), { throwIfNoEntry: false }) !== undefined,
    )
  } catch {
    // No name of a file: too long, or below one.
    return false
  }
}
