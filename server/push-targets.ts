/** Which ref each update of a push would really change: through namespaces and symbolic refs. */
import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { RefUpdate } from '../src/git/hook-input.ts'
import { isRefName } from '../src/git/ref-files.ts'
import type { GitRepository } from '../src/git/repository.ts'
import { readGuardedNames } from './guarded-list.ts'
import { isReserved } from './push-report.ts'

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
  const result: TargetedUpdate[] = []
  for (const update of updates) {
    const name = withoutLinks(repository.commonDirectory, prefix + update.ref)
    // A guarded name stays what it is, also where somebody made it a symbolic ref: see viewServer.
    const settled = guarded.has(name) || isReserved(name)
    for (const target of settled ? [name] : await resolveAlias(repository, name, places))
      result.push({ ...update, target })
  }
  return result
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
 * What a symbolic ref stands for, also where that does not exist yet; of one that worktrees have each for itself, what it
 * stands for in any of them. Most refs are none.
 */
async function resolveAlias(
  repository: GitRepository,
  ref: string,
  places: readonly string[],
): Promise<readonly string[]> {
  if (!places.some((place) => mayBeSymbolic(place, ref))) return [ref]
  const targets = new Set<string>()
  for (const place of places) {
    const args = [`--git-dir=${place}`, 'symbolic-ref', '-q', ref]
    const { stdout, exitCode } = await repository.run(args, { allowExit: [0, 1, 128] })
    targets.add(exitCode === 0 ? stdout.toString('utf8').trimEnd() : ref)
  }
  return [...targets]
}

function mayBeSymbolic(directory: string, ref: string): boolean {
  if (!ref.startsWith('refs/') || ref.includes('\0')) return false
  // With reftable there are no ref files to look at, so git is asked.
  if (lstatSync(join(directory, 'reftable'), { throwIfNoEntry: false }) !== undefined) return true
  try {
    const file = join(directory, ref)
    const status = lstatSync(file, { throwIfNoEntry: false })
    if (status === undefined || status.isDirectory()) return false
    return status.isSymbolicLink() || (status.isFile() && readFileSync(file, 'latin1').startsWith('ref:'))
  } catch {
    // A name that the file system won't have (too long, a file where a folder should be) is no symbolic ref either.
    return false
  }
}
