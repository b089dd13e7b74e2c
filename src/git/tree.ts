/**
 * Tree objects as git stores them: for each entry `<mode, octal> SP <name> NUL <id, 20 or 32 raw bytes>`.
 */
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'

export type TreeEntry = {
  /** Octal without leading zeros, as `git ls-tree` has it but for trees: `100644`, `40000`. */
  readonly mode: string
  /** Decoded as UTF-8. No other bytes decode to the same name, unless it has U+FFFD in it; headgate looks up none such. */
  readonly name: string
  readonly oid: Oid
}

export const TREE_MODE = '40000'
export const FILE_MODE = '100644'

/** Parses a tree's body. Throws HeadgateError 'data' where git's own readers could disagree about what it holds. */
export function parseTree(body: Uint8Array, oidBytes: 20 | 32): TreeEntry[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const entries: TreeEntry[] = []
  const names = new Set<string>()
  let last = ''
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const end = bytes.indexOf(0, space)
    if (space < 0 || end < 0 || end + 1 + oidBytes > bytes.length)
      throw malformed('ends in the middle of an entry')
    const rawMode = bytes.toString('latin1', at, space)
    const name = bytes.toString('utf8', space + 1, end)
    // Old tools wrote 040000; git reads both.
    if (!/^0?[1-7][0-7]{4,5}$/.test(rawMode)) throw malformed('has an entry with a malformed mode')
    const mode = rawMode.replace(/^0/, '')
    if (name === '' || name === '.' || name === '..' || name.includes('/')) {
      throw malformed('has an entry with a malformed name')
    }
    const rawName = bytes.toString('latin1', space + 1, end)
    if (names.has(rawName)) throw malformed('has two entries of one name')
    names.add(rawName)
    // git's readers stop where a name should have stood, each at another place.
    const sortName = mode === TREE_MODE ? `${rawName}/` : rawName
    if (sortName < last) throw malformed('has entries out of order')
    last = sortName
    const next = end + 1 + oidBytes
    entries.push({ mode, name, oid: bytes.toString('hex', end + 1, next) })
    at = next
  }
  return entries
}

function malformed(what: string): HeadgateError {
  return new HeadgateError('data', `a tree object ${what}`)
}
