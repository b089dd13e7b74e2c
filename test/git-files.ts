/** What git keeps in files, read and written without a process. */
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'

const OID = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/
/** Names that git lists, and spells as the file system does. */
const PLAIN_NAME = /^refs(?:\/[A-Za-z0-9_-](?:\.?[A-Za-z0-9_-])*)+$/

/** What a loose ref of a git folder is at; null where git itself has to be asked. */
export function looseRef(folder: string, name: string): string | null {
  const file = join(folder, name)
  const text = existsSync(file) && statSync(file).isFile() ? readFileSync(file, 'utf8') : ''
  if (name === 'HEAD' && text.startsWith('ref: refs/')) return looseRef(folder, text.slice(5).trimEnd())
  return text.endsWith('\n') && OID.test(text.trimEnd()) ? text.trimEnd() : null
}

/** What a ref of a git folder is at, null where there is none; undefined where git itself has to be asked. */
export function findRef(folder: string, name: string): string | null | undefined {
  if (!PLAIN_NAME.test(name) || existsSync(join(folder, 'reftable'))) return undefined
  const loose = looseRef(folder, name)
  if (loose !== null) return loose
  const there = lstatSync(join(folder, name), { throwIfNoEntry: false })
  if (there !== undefined && !there.isDirectory()) return undefined
  const packed = readPackedRefs(folder)
  return packed === null ? undefined : (packed.get(name) ?? null)
}

type ListedRef = { readonly oid: string; readonly symref: string }

/** Every ref of a git folder, as `git for-each-ref` lists them; null where git itself has to be asked. */
export function listRefs(folder: string): ReadonlyMap<string, ListedRef> | null {
  const packed = readPackedRefs(folder)
  const loose = readLooseRefs(folder)
  if (existsSync(join(folder, 'reftable')) || packed === null || loose === null) return null
  const texts = new Map([...packed, ...loose])
  const refs = new Map<string, ListedRef>()
  for (const name of [...texts.keys()].sort()) {
    const text = texts.get(name) ?? ''
    const symref = text.startsWith('ref: ') ? text.slice(5) : ''
    const oid = symref === '' ? text : (texts.get(symref) ?? '')
    if (!PLAIN_NAME.test(name) || !OID.test(oid)) return null
    refs.set(name, { oid, symref })
  }
  return refs
}

function readPackedRefs(folder: string): Map<string, string> | null {
  const file = join(folder, 'packed-refs')
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : ['']
  const refs = lines.slice(0, -1).filter((line) => !/^[#^]/.test(line))
  if (lines.at(-1) !== '' || refs.some((line) => !/^[0-9a-f]+ \S+$/.test(line))) return null
  return new Map(refs.map((line) => [line.slice(line.indexOf(' ') + 1), line.slice(0, line.indexOf(' '))]))
}

function readLooseRefs(folder: string): Map<string, string> | null {
  const refs = new Map<string, string>()
  for (const entry of readdirSync(join(folder, 'refs'), { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory() || entry.name.endsWith('.lock')) continue
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile()) return null
    const text = readIfThere(path)
    if (!text.endsWith('\n')) return null
    refs.set(path.slice(folder.length + 1), text.slice(0, -1))
  }
  return refs
}

/** Empty where a hook that has answered removes it at this moment. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return ''
  }
}

/** Writes a blob into a git folder, as `git hash-object -w` does; returns its id. */
export function writeBlob(folder: string, format: 'sha1' | 'sha256', content: string | Buffer): string {
  const bytes = Buffer.from(content)
  const object = Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes])
  const oid = createHash(format).update(object).digest('hex')
  const file = join(folder, 'objects', oid.slice(0, 2), oid.slice(2))
  if (existsSync(file)) return oid
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, deflateSync(object), { mode: 0o444 })
  return oid
}
