/**
 * Files of a working tree. Whatever is committed is there after a checkout: links that lead out of the tree, names where
 * headgate expects another kind of thing, files of any size; and somebody may have put a pipe or a device there. So every
 * file is a regular one, reached through folders alone, and has a limit.
 *
 * A path is relative to the tree or absolute. Of one that is outside of it (the hooks of the git folder, say) only the last
 * step is looked at: how to get there is nothing that the repository can have committed.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'

/** Far above any file of settings that people write. */
export const MAX_TREE_FILE_BYTES = 1024 * 1024

/** Never through a link, and never waiting for the other end of a pipe. Windows knows neither, and links are rare there. */
const CAREFUL = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** Null where there is no such file. Throws HeadgateError 'configuration' for anything but a regular file of that size. */
export function readTreeFile(top: string, path: string, maxBytes = MAX_TREE_FILE_BYTES): Buffer | null {
  return isTreeFile(top, path) ? readRegularFile(resolve(top, path), maxBytes) : null
}

export function readTreeText(top: string, path: string): string | null {
  return readTreeFile(top, path)?.toString('utf8') ?? null
}

/** Whether there is such a file. Throws as {@link readTreeFile} does. */
export function isTreeFile(top: string, path: string): boolean {
  const full = walk(top, path)
  const status = full === null ? undefined : statusOf(full)
  if (full === null || status === undefined) return false
  requireRegular(full, status)
  return true
}

/** Writes a file, and makes the folders that lead there. One that is there keeps its mode. */
export function writeTreeFile(top: string, path: string, content: string | Uint8Array, mode = 0o666): void {
  const full = resolve(top, path)
  const isThere = isTreeFile(top, path)
  makeFolders(top, dirname(full))
  const flags = constants.O_WRONLY | CAREFUL | (isThere ? 0 : constants.O_CREAT | constants.O_EXCL)
  const file = openSync(full, flags, mode)
  try {
    requireRegular(full, fstatSync(file))
    ftruncateSync(file)
    writeFileSync(file, content)
  } finally {
    closeSync(file)
  }
}

/** Takes a file, or a link by itself, away; false where there is neither. */
export function removeTreeFile(top: string, path: string): boolean {
  const full = walk(top, path)
  const status = full === null ? undefined : statusOf(full)
  if (full === null || status === undefined) return false
  if (!status.isSymbolicLink()) requireRegular(full, status)
  rmSync(full)
  return true
}

/** A folder of the tree, or null where there is none. */
export function treeFolder(top: string, path: string): string | null {
  const full = walk(top, join(path, 'x'))
  return full === null ? null : dirname(full)
}

/** Reads a regular file of at most that size, by whatever name it was reached; null where there is none. */
export function readRegularFile(
  path: string,
  maxBytes: number,
  { links = false }: { readonly links?: boolean } = {},
): Buffer | null {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | (links ? (constants.O_NONBLOCK ?? 0) : CAREFUL))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    if (code === 'ELOOP' || code === 'ENXIO') throw notRegular(path, lstatSync(path))
    throw error
  }
  try {
    const status = fstatSync(file)
    requireRegular(path, status)
    // One byte more than allowed tells that there is more, whatever grows meanwhile.
    const bytes = Buffer.alloc(Math.min(status.size, maxBytes) + 1)
    let length = 0
    for (let read = 1; read > 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null)
    if (length > maxBytes || status.size > maxBytes) throw tooLarge(path, maxBytes)
    return bytes.subarray(0, length)
  } finally {
    closeSync(file)
  }
}

/** The path, once every folder of the tree that leads to it is one; null where one is missing. */
function walk(top: string, path: string): string | null {
  const full = resolve(top, path)
  const steps = stepsBelow(top, dirname(full))
  let at = resolve(top)
  for (const step of steps) {
    at = join(at, step)
    const status = statusOf(at)
    if (status === undefined) return null
    if (!status.isDirectory()) throw notAFolder(at, status)
  }
  return full
}

/** Whether a path, relative to the current folder or absolute, is one of the tree. */
export function isBelow(top: string, path: string): boolean {
  const way = relative(resolve(top), resolve(path))
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** None where the folder is the tree's own, or outside of it. */
function stepsBelow(top: string, folder: string): string[] {
  return isBelow(top, folder) ? relative(resolve(top), folder).split(sep) : []
}

function makeFolders(top: string, folder: string): void {
  const steps = stepsBelow(top, folder)
  if (steps.length === 0) {
    mkdirSync(folder, { recursive: true })
    return
  }
  let at = resolve(top)
  for (const step of steps) {
    at = join(at, step)
    const status = statusOf(at)
    if (status === undefined) mkdirSync(at)
    else if (!status.isDirectory()) throw notAFolder(at, status)
  }
}

function statusOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    // Below something that is no folder there is nothing.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw error
  }
}

function requireRegular(path: string, status: Stats): void {
  if (!status.isFile()) throw notRegular(path, status)
}

function notRegular(path: string, status: Stats): HeadgateError {
  return new HeadgateError(
    'configuration',
    `${printable(path, 500)} is ${kindOf(status)}, not a regular file`,
    {
      hint: 'headgate follows no links and reads no devices here: put a file in its place',
    },
  )
}

function notAFolder(path: string, status: Stats): HeadgateError {
  return new HeadgateError('configuration', `${printable(path, 500)} is ${kindOf(status)}, not a folder`, {
    hint: 'headgate follows no links in a working tree: put a folder in its place',
  })
}

function kindOf(status: Stats): string {
  if (status.isSymbolicLink()) return 'a symbolic link'
  if (status.isDirectory()) return 'a folder'
  if (status.isFIFO()) return 'a pipe'
  if (status.isFile()) return 'a file'
  return status.isSocket() ? 'a socket' : 'a device'
}

function tooLarge(path: string, maxBytes: number): HeadgateError {
  return new HeadgateError('configuration', `${printable(path, 500)} is larger than ${maxBytes / 1024} KiB`, {
    hint: 'is it the right file?',
  })
}
