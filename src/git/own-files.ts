/**
 * Files and folders that headgate itself keeps in a git folder, beside git's own: each is written here and nowhere else.
 *
 * Their modes never come from the pusher's umask: a file may be read by whom its folder lets in, and a
 * folder has the mode of the one that it is in. The installation gives the topmost ones the mode that
 * `core.sharedRepository` says (`sharing.ts`).
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

export type FileKind = {
  readonly executable?: boolean
  /** For the owner, and for reading by a group that may write in the folder; for nobody else whatever the folder says. */
  readonly secret?: boolean
  /** False for what a crash may lose or tear: the reader finds that out, and does without. */
  readonly lasting?: boolean
}

/**
 * Replaces a file at once: a reader sees what was there or all of `content`, also after a crash. Returns false if it was
 * this file already, mode and all. Throws what the system says, and leaves nothing behind.
 */
export function replaceFile(path: string, content: string | Buffer, kind: FileKind = {}): boolean {
  const folder = dirname(path)
  const mode = fileModeIn(statSync(folder).mode, kind)
  removeLeftovers(folder, basename(path))
  if (isAlready(path, content, mode)) return false
  // Hosts that run what is in a folder of hooks, and git that copies a template, pass such names by.
  const fresh = join(folder, `.${basename(path)}.${randomBytes(FRESH_BYTES).toString('hex')}~`)
  try {
    const file = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      writeFileSync(file, content)
      fchmodSync(file, mode)
      if (kind.lasting !== false) fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(fresh, path)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw error
  }
  if (kind.lasting !== false) syncFolder(folder)
  return true
}

const FRESH_BYTES = 6
/** A process that writes a file is done long before that, or died. */
const LEFTOVER_MS = 3_600_000

/** Removes what processes that were killed while they replaced this file have left, be it a key. */
function removeLeftovers(folder: string, name: string): void {
  const length = name.length + 2 + 2 * FRESH_BYTES + 1
  try {
    for (const entry of readdirSync(folder)) {
      if (entry.length !== length || !entry.startsWith(`.${name}.`) || !entry.endsWith('~')) continue
      const path = join(folder, entry)
      if (Date.now() - lstatSync(path).mtimeMs > LEFTOVER_MS) rmSync(path)
    }
  } catch {
    // Somebody else's, or gone meanwhile: it is in nobody's way.
  }
}

/** Makes a folder where there is none, and those above it, each with the mode of the one that it is in. */
export function makeFolder(path: string): void {
  const above = dirname(path)
  if (above === path || isFolder(path)) return
  makeFolder(above)
  try {
    mkdirSync(path)
  } catch (error) {
    // Somebody else has just made it.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && isFolder(path)) return
    throw error
  }
  // Without the bits that make a program of it, or keep others from replacing a file.
  chmodSync(path, statSync(above).mode & 0o2777)
}

/** What `replaceFile` gives a file in a folder of this mode. */
export function fileModeIn(folderMode: number, { executable, secret }: FileKind): number {
  if (secret === true) return (folderMode & 0o020) === 0 ? 0o600 : 0o640
  return 0o600 | (folderMode & 0o666) | (executable === true ? 0o100 | (folderMode & 0o111) : 0)
}

function isAlready(path: string, content: string | Buffer, mode: number): boolean {
  try {
    const status = statSync(path)
    if (!status.isFile() || (status.mode & 0o777) !== mode) return false
    return readFileSync(path).equals(Buffer.from(content))
  } catch {
    return false
  }
}

/** After this a crash does not bring the old file back. */
function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(folder)
  } catch {
    // A file system that syncs no folders.
  } finally {
    closeSync(folder)
  }
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
