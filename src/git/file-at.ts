/** What stands at a path in a commit, read from trees that leave no doubt. */
import type { Oid } from '../core/oid.ts'
import { missingObject } from './missing-object.ts'
import type { GitRepository } from './repository.ts'
import { TREE_MODE, type TreeEntry } from './tree.ts'

/** The entry of a name in a tree, which a commit can stand for; null where it has none. */
export type EntryReader = (tree: Oid, name: string) => Promise<TreeEntry | null>

export function entryReader(repository: GitRepository): EntryReader {
  return async (tree, name) => {
    const entries = await repository.objects().tree(tree)
    if (entries === null) throw missingObject(repository.commonDirectory, `the tree ${tree}`)
    return entries.find((candidate) => candidate.name === name) ?? null
  }
}

/**
 * Mode and id of the file at `path`, whose names are separated by `/`; null where there is none. Throws HeadgateError
 * 'data' where a tree on the way can be read in two ways, 'unavailable' where one is missing.
 */
export async function fileAt(
  entryOf: EntryReader,
  commit: Oid,
  path: string,
): Promise<{ readonly mode: string; readonly blob: Oid } | null> {
  const names = path.split('/')
  let tree = commit
  for (const [index, name] of names.entries()) {
    const entry = await entryOf(tree, name)
    if (entry === null) return null
    if (index === names.length - 1) return { mode: plainMode(entry.mode), blob: entry.oid }
    // A link or a submodule in place of the folder has no file of ours in it.
    if (entry.mode !== TREE_MODE) return null
    tree = entry.oid
  }
  return null
}

/** git takes every file's mode for one of two: old gits wrote others. */
function plainMode(mode: string): string {
  if (!mode.startsWith('100')) return mode
  return Number.parseInt(mode, 8) & 0o100 ? '100755' : '100644'
}
