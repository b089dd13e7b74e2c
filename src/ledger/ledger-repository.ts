/** What the git ledger needs of git. A `GitRepository` fits; whoever wires the two passes it in. */
import type { Oid } from '../core/oid.ts'

export type LedgerTreeEntry = { readonly mode: string; readonly name: string; readonly oid: Oid }

export interface LedgerObjects {
  /** A whole object by its full id; null if it is missing. Larger than `maxBytes`: HeadgateError 'data'. */
  read(oid: Oid, maxBytes: number): Promise<{ readonly type: string; readonly body: Buffer } | null>
  /** The entries of a tree, named by its own or a commit's id; null if it is missing. */
  tree(oid: Oid): Promise<readonly LedgerTreeEntry[] | null>
}

/** An object that git does not have yet, with the id that it will have. */
export type NewObject = {
  readonly oid: Oid
  readonly type: 'commit' | 'tree' | 'blob'
  readonly body: Buffer
}

export interface LedgerRepository {
  /** Where refs are kept, never a linked worktree's own directory. */
  readonly commonDirectory: string
  readonly oidLength: 40 | 64
  /** Refs by full name, taken literally. */
  refs(names: Iterable<string>): Promise<ReadonlyMap<string, { readonly oid: Oid; readonly symref?: string }>>
  objects(): LedgerObjects
  isAncestor(ancestor: Oid, descendant: Oid): Promise<boolean>
  newObject(type: NewObject['type'], body: Buffer): NewObject
  /** Writes objects, outside any quarantine; when it resolves they are on disk. */
  store(objects: readonly NewObject[]): Promise<void>
  /** Whether objects that were stored and that nothing refers to are all where they were written. */
  holds(objects: readonly NewObject[]): boolean
  /**
   * Moves `ref` from exactly `from` (null: it must not exist) to `to`, without hooks and on disk when it resolves. False
   * if it is elsewhere; an error may mean either.
   */
  moveRef(ref: string, from: Oid | null, to: Oid): Promise<boolean>
  /** Objects by full id, in order; ends before the first that is missing, damaged or larger than `maxBytes`. */
  readInOrder(
    oids: AsyncIterable<readonly Oid[]>,
    maxBytes: number,
  ): AsyncIterable<{ readonly oid: Oid; readonly type: string; readonly body: Buffer }>
  /** The output of a git command that reads. */
  stream(args: readonly string[]): AsyncIterable<Buffer>
}
