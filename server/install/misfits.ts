/**
 * Files and folders of a guarded repository that somebody cannot read or write who must, by their modes: whatever another
 * account finds when it pushes is found here by whoever looks.
 */
import { lstatSync, readdirSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { fileModeIn } from '../../src/git/own-files.ts'
import { type Sharing, sharedMode } from '../../src/git/sharing.ts'
import { sealKeyFiles } from '../seal-key.ts'
import { SERVER_DIRECTORY } from '../settings.ts'

export type Misfit = {
  /**
   * `mode`: it lacks what `core.sharedRepository` says. `group`: it is the wrong group's. `owner`: it is of an account that
   * is not the repository's, which nobody else is let in by.
   */
  readonly kind: 'mode' | 'group' | 'owner'
  readonly path: string
  readonly uid: number
  readonly mode: number
  /** The mode that it must have; the same where that is not what is wrong. */
  readonly wanted: number
}

/** A repository of many loose objects is looked through in part: what went wrong once did not go wrong once only. */
const MAX_ENTRIES = 50_000

/** What is in these is replaced, or added to, by every push; what is in the hooks' folders is only run. */
const FOLDERS = [SERVER_DIRECTORY, 'refs', 'logs', 'reftable', 'objects', 'hooks', 'custom_hooks']
const FILES = ['HEAD', 'config', 'packed-refs', 'shallow']

export function findMisfits(gitDirectory: string, sharing: Sharing): Misfit[] {
  const root = lstatSync(gitDirectory)
  const keys = new Set(sealKeyFiles(gitDirectory))
  const found: Misfit[] = []
  let left = MAX_ENTRIES
  const look = (path: string, status: Stats, isWritten: boolean) => {
    left--
    const needs = neededMode(status, sharing, isWritten)
    const mode = status.mode & 0o7777
    const wanted = keys.has(path) ? secretMode(root, sharing) : mode | needs
    const about = { path, uid: status.uid, mode }
    if (sharing === null) {
      if (isForeign(status, root, status.isDirectory() ? 0o7 : isWritten ? 0o6 : 0o4))
        found.push({ ...about, kind: 'owner', wanted: mode })
    } else {
      if ((wanted & ~mode) !== 0) found.push({ ...about, kind: 'mode', wanted: mode | wanted })
      if (status.gid !== root.gid && ((wanted >> 3) & 0o7 & ~mode) !== 0)
        found.push({ ...about, kind: 'group', wanted: mode })
    }
  }
  const walk = (path: string, isWritten: boolean) => {
    const status = lstatSync(path, { throwIfNoEntry: false })
    if (status === undefined || left <= 0) return
    if (status.isFile()) look(path, status, isWritten && path.startsWith(join(gitDirectory, 'logs')))
    if (!status.isDirectory()) return
    look(path, status, isWritten)
    for (const name of namesIn(path)) if (!isPassing(name)) walk(join(path, name), isWritten)
  }
  look(gitDirectory, root, true)
  for (const name of FILES) walk(join(gitDirectory, name), false)
  for (const name of FOLDERS) walk(join(gitDirectory, name), !name.endsWith('hooks'))
  return found
}

function neededMode(status: Stats, sharing: Sharing, isWritten: boolean): number {
  const shared = sharedMode(status.mode & 0o7777, status.isDirectory(), sharing)
  if (isWritten) return shared
  return shared & (status.isDirectory() ? 0o2555 : 0o555)
}

function secretMode(root: Stats, sharing: Sharing): number {
  return fileModeIn(sharedMode(root.mode & 0o7777, true, sharing), { secret: true })
}

/** Whether the repository's own account is kept out of something that another one has made. */
function isForeign(status: Stats, root: Stats, needs: number): boolean {
  if (status.uid === root.uid || root.uid === 0) return false
  const granted = status.gid === root.gid ? status.mode >> 3 : status.mode
  return (needs & ~granted) !== 0
}

/** Quarantines, temporary files and locks: git gives them the right mode when they become something. */
function isPassing(name: string): boolean {
  return /^(?:tmp_|incoming-)|\.lock$|~$/.test(name)
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    // An account that cannot look into it has the folder itself as a misfit, or is no account of this repository.
    return []
  }
}
