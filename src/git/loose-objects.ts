/**
 * Loose objects: `objects/<first 2 digits>/<the others>` is a zlib stream of `<type> SP <size> NUL <body>`, and its id is
 * the hash of that. Reading the small ones here saves the start of a git process; only git writes them.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import type { Oid } from '../core/oid.ts'
import type { GitObject, GitObjectType } from './git-object.ts'

/** What git compresses further than this is not read here. Records, trees and commits have a few kilobytes. */
const MAX_LOOSE_FILE_BYTES = 256 * 1024
const MAX_HEADER_BYTES = 32

/**
 * The object, if it is loose, small and sound: its content hashes to its id. Null for everything else, which git can tell
 * more about. Synchronous: it is one small file, mostly in the page cache.
 */
export function readLooseObject(
  objectsDirectory: string,
  oid: Oid,
  maxBytes: number,
): { type: GitObjectType; body: Buffer } | null {
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
    ? { type: header[1] as GitObjectType, body }
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

function loosePath(objectsDirectory: string, oid: Oid): string {
  return join(objectsDirectory, oid.slice(0, 2), oid.slice(2))
}
