/**
 * Loose objects: `objects/<first 2 digits>/<the others>` is a zlib stream of `<type> SP <size> NUL <body>`, and its id is
 * the hash of that. Reading and writing them here saves the start of a git process, which costs more than all the rest.
 */
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  constants as files,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { deflateSync, inflateSync, constants as zlib } from 'node:zlib'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { openNow, openSoon } from './files.ts'
import type { GitObject } from './git-object.ts'
import type { SpareFile, SpareFiles } from './spare-files.ts'

export type NewObject = {
  readonly oid: Oid
  readonly type: 'commit' | 'tree' | 'blob'
  readonly body: Buffer
}

/** What git compresses further than this is not read here. Records, trees and commits have a few kilobytes. */
const MAX_LOOSE_FILE_BYTES = 256 * 1024
const MAX_HEADER_BYTES = 32

/** The id that git gives an object, in a repository whose ids have `oidLength` digits. */
export function objectId(type: NewObject['type'], body: Uint8Array, oidLength: 40 | 64): Oid {
  return createHash(oidLength === 40 ? 'sha1' : 'sha256')
    .update(`${type} ${body.length}\0`)
    .update(body)
    .digest('hex')
}

/**
 * The object, if it is loose, small and sound: its content hashes to its id. Null for everything else, which git can tell
 * more about. Synchronous: it is one small file, mostly in the page cache.
 */
export function readLooseObject(
  objectsDirectory: string,
  oid: Oid,
  maxBytes: number,
): { type: NewObject['type'] | 'tag'; body: Buffer } | null {
  const path = loosePath(objectsDirectory, oid)
  let content: Buffer
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined || !stat.isFile() || stat.size > MAX_LOOSE_FILE_BYTES) return null
    content = inflateSync(readFileSync(path), { maxOutputLength: maxBytes + MAX_HEADER_BYTES })
  } catch {
    return null
  }
  const end = content.indexOf(0)
  const header = /^(commit|tree|blob|tag) (\d{1,10})$/.exec(content.toString('latin1', 0, end))
  if (header === null) return null
  const hash = createHash(oid.length === 40 ? 'sha1' : 'sha256')
  if (hash.update(content).digest('hex') !== oid) return null
  const body = content.subarray(end + 1)
  return body.length === Number(header[2]) && body.length <= maxBytes
    ? { type: header[1] as NewObject['type'] | 'tag', body }
    : null
}

/**
 * The object called `<id>`, or `<id>^{tree}`, in one of several object directories. Whatever is not plainly there is git's
 * to find, or to complain about: null.
 */
export function readLooseByName(
  objectsDirectories: readonly string[],
  name: string,
  maxBytes: number,
): GitObject | null {
  const [, oid = '', rest] = /^([0-9a-f]+)(.*)$/.exec(name) ?? []
  if (rest !== '' && rest !== '^{tree}') return null
  for (const directory of objectsDirectories) {
    const object = readLooseObject(directory, oid, maxBytes)
    if (object === null) continue
    const { type, body } = object
    if (rest === '' || type === 'tree') return { oid, type, size: body.length, body }
    const tree = /^tree ([0-9a-f]+)\n/.exec(body.toString('latin1', 0, 80))?.[1]
    return type === 'commit' && tree !== undefined
      ? readLooseByName(objectsDirectories, tree, maxBytes)
      : null
  }
  return null
}

/**
 * Writes objects and fsyncs each; when the promise resolves their bytes are all on disk, and their names with the next ref
 * that is synced. Nothing refers to them yet: a crash before leaves files that `git gc` prunes. Throws HeadgateError 'unavailable' if one cannot be written.
 */
export async function writeLooseObjects(
  objectsDirectory: string,
  objects: readonly NewObject[],
  spare?: SpareFiles,
): Promise<void> {
  // As git does it in a shared repository: whoever may read or write in `objects` may do so below it.
  const mode = statSync(objectsDirectory).mode & 0o7777
  const once = new Map(objects.map((object) => [object.oid, object]))
  try {
    await Promise.all([...once.values()].map((object) => writeObject(objectsDirectory, object, mode, spare)))
  } catch (cause) {
    const { message } = cause as Error
    throw new HeadgateError('unavailable', `git objects could not be written: ${message}`, { cause })
  }
}

/** Whether every object is a loose one still. Somebody may have packed it, or pruned what nothing refers to. */
export function holdsLoose(objectsDirectory: string, objects: readonly NewObject[]): boolean {
  return objects.every(({ oid }) => existsSync(loosePath(objectsDirectory, oid)))
}

async function writeObject(
  directory: string,
  object: NewObject,
  folderMode: number,
  spare: SpareFiles | undefined,
): Promise<void> {
  const path = loosePath(directory, object.oid)
  if (await isKept(directory, path, object)) return
  const folder = join(directory, object.oid.slice(0, 2))
  const raw = Buffer.concat([Buffer.from(`${object.type} ${object.body.length}\0`), object.body])
  const { path: temporary, file } = spare?.take() ?? (await createIn(folder, folderMode))
  try {
    try {
      file.write(deflateSync(raw, { level: zlib.Z_BEST_SPEED }))
      if ((0o444 & ~process.umask()) !== (folderMode & 0o444)) file.chmod(folderMode & 0o444)
      await file.sync()
    } finally {
      file.close()
    }
    inFolder(folder, folderMode, () => renameSync(temporary, path))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/** An object that is there and sound stays; its new date keeps a `git gc` that is under way from pruning it. */
async function isKept(directory: string, path: string, { oid, body }: NewObject): Promise<boolean> {
  if (readLooseObject(directory, oid, body.length) === null) return false
  const now = new Date()
  try {
    utimesSync(path, now, now)
    // Whoever wrote it may not have synced it.
    const file = openNow(path, 'r')
    await file.sync().finally(() => file.close())
    return true
  } catch {
    return false
  }
}

/** Most folders are there: a repository has 256 of them. */
function inFolder<T>(folder: string, folderMode: number, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  makeFolder(folder, folderMode)
  return action()
}

async function createIn(folder: string, folderMode: number): Promise<SpareFile> {
  // The name that git gives its own, so that `git gc` removes what a crash leaves.
  const path = join(folder, `tmp_obj_${randomBytes(8).toString('hex')}`)
  const flags = files.O_WRONLY | files.O_CREAT | files.O_EXCL
  if (!existsSync(folder)) makeFolder(folder, folderMode)
  return { path, file: await openSoon(path, flags, 0o444) }
}

function makeFolder(folder: string, mode: number): void {
  try {
    mkdirSync(folder)
    chmodSync(folder, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function loosePath(objectsDirectory: string, oid: Oid): string {
  return join(objectsDirectory, oid.slice(0, 2), oid.slice(2))
}
