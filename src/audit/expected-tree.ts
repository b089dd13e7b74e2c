/**
 * The tree that a ledger commit must have: that of the commit before, with the record's files put in, as git writes
 * trees. It is computed anew and compared by its id, so that nothing hides in a form that git does not show as a change:
 * another mode, an empty folder, another order, a name twice.
 */
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { objectId } from '../git/object-id.ts'
import type { LedgerRepository } from '../ledger/ledger-repository.ts'

/** Folders of records that are held open: those of commits that records come about lately. */
const MAX_LEAVES = 5000
/** Where all entries have one length, as those of two levels do, a place is found without reading the others. */
const MIN_EVEN_BYTES = 2048

type Folder = { body: Buffer }

export class ExpectedTree {
  readonly #repository: Pick<LedgerRepository, 'objects' | 'oidLength'>
  readonly #folders = new Map<string, Folder>()
  /** The one that was used last is the last. */
  readonly #leaves = new Map<string, Folder>()
  #root: Oid | null = null

  constructor(repository: Pick<LedgerRepository, 'objects' | 'oidLength'>) {
    this.#repository = repository
  }

  /** Goes on from a tree as it is, whatever it is. */
  resume(root: Oid): void {
    this.#root = root
    this.#folders.clear()
    this.#leaves.clear()
  }

  /** The id of the tree with these files in it. Throws HeadgateError 'data' if a tree that they go into cannot be read. */
  async with(files: ReadonlyMap<string, Oid>): Promise<Oid> {
    for (const [path, blob] of files) this.#root = await this.#put('', path.split('/'), blob)
    return this.#root ?? objectId('tree', Buffer.alloc(0), this.#repository.oidLength)
  }

  /** Puts a file into the folder called `path`, which is then in a tree of the id that is returned. */
  async #put(path: string, [name = '', ...rest]: readonly string[], blob: Oid): Promise<Oid> {
    const folder = await this.#open(path)
    const oid = rest.length === 0 ? blob : await this.#put(`${path}${name}/`, rest, blob)
    folder.body = withEntry(folder.body, { name, oid, isFile: rest.length === 0 })
    return objectId('tree', folder.body, this.#repository.oidLength)
  }

  async #open(path: string): Promise<Folder> {
    const isLeaf = path.length > LEAF_DEPTH && path.startsWith('entries/')
    const known = (isLeaf ? this.#leaves : this.#folders).get(path)
    if (known !== undefined && !isLeaf) return known
    const folder = known ?? { body: await this.#read(path) }
    if (!isLeaf) this.#folders.set(path, folder)
    else {
      this.#leaves.delete(path)
      this.#leaves.set(path, folder)
      const [oldest] = this.#leaves.keys()
      if (this.#leaves.size > MAX_LEAVES && oldest !== undefined) this.#leaves.delete(oldest)
    }
    return folder
  }

  /** What git has of a folder; nothing where it is new. */
  async #read(path: string): Promise<Buffer> {
    if (path === '') return this.#root === null ? Buffer.alloc(0) : this.#body(this.#root)
    const above = path.slice(0, path.lastIndexOf('/', path.length - 2) + 1)
    const { body } = await this.#open(above)
    const name = path.slice(above.length, -1)
    const place = placeOf(body, { name, isFile: false }, this.#idBytes)
    return place.isThere
      ? this.#body(body.toString('hex', place.end - this.#idBytes, place.end))
      : Buffer.alloc(0)
  }

  async #body(oid: Oid): Promise<Buffer> {
    const tree = await this.#repository.objects().read(oid, MAX_TREE_BYTES)
    // It is changed in place, and the caller that read it may keep it.
    if (tree?.type === 'tree') return Buffer.from(tree.body)
    throw new HeadgateError('data', `its tree ${oid} is missing or corrupt`)
  }

  get #idBytes(): number {
    return this.#repository.oidLength / 2
  }
}

/** `entries/` and the two digits below. */
const LEAF_DEPTH = 'entries/00/'.length
const MAX_TREE_BYTES = 32 * 1024 * 1024

type Name = { readonly name: string; readonly isFile: boolean }

function withEntry(body: Buffer, { name, oid, isFile }: Name & { readonly oid: Oid }): Buffer {
  const id = Buffer.from(oid, 'hex')
  const { start, end, isThere } = placeOf(body, { name, isFile }, id.length)
  if (isThere) {
    id.copy(body, end - id.length)
    return body
  }
  const entry = Buffer.concat([Buffer.from(`${isFile ? '100644' : '40000'} ${name}\0`), id])
  return Buffer.concat([body.subarray(0, start), entry, body.subarray(start)])
}

/** Where an entry stands in a tree, or where it belongs. git sorts the name of a tree as if it ended in a slash. */
function placeOf(body: Buffer, { name, isFile }: Name, idBytes: number) {
  const wanted = isFile ? name : `${name}/`
  const first = endOf(body, 0, idBytes)
  let at = 0
  if (body.length >= MIN_EVEN_BYTES && body.length % first === 0) {
    let [low, high] = [0, body.length / first]
    while (low < high) {
      const middle = (low + high) >> 1
      if (keyAt(body, middle * first) < wanted) low = middle + 1
      else high = middle
    }
    at = low * first
  } else {
    while (at < body.length && keyAt(body, at) < wanted) at = endOf(body, at, idBytes)
  }
  const end = at < body.length ? endOf(body, at, idBytes) : at
  return { start: at, end, isThere: at < body.length && keyAt(body, at) === wanted }
}

function keyAt(body: Buffer, at: number): string {
  const space = body.indexOf(0x20, at)
  const name = body.toString('latin1', space + 1, body.indexOf(0, space))
  return body.toString('latin1', at, space) === '100644' ? name : `${name}/`
}

function endOf(body: Buffer, at: number, idBytes: number): number {
  const end = body.indexOf(0, at)
  return end < 0 ? body.length : Math.min(body.length, end + 1 + idBytes)
}
