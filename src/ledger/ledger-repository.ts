/** What the git ledger needs of git. A `GitRepository` fits; the caller that wires the two passes it in. */
import type { Oid } from '../core/oid.ts'
import type { RefValue } from './ledger.ts'

export type LedgerTreeEntry = { readonly mode: string; readonly name: string; readonly oid: Oid }

export interface LedgerObjects {
  /** A whole object by its full id; null if it is missing. Larger than `maxBytes`: HeadgateError 'data'. */
  read(oid: Oid, maxBytes: number): Promise<{ readonly type: string; readonly body: Buffer } | null>
  /** The entries of a tree, named by its own or a commit's id; null if it is missing. */
  tree(oid: Oid): Promise<readonly LedgerTreeEntry[] | null>
}

/** A ref and where it is; zeros where it is not there. */
export type RefAt = { readonly ref: string; readonly oid: Oid }

export interface LedgerRepository {
  /** Where refs are kept, never a linked worktree's own directory. */
  readonly commonDirectory: string
  readonly oidLength: 40 | 64
  /** Refs by full name, taken literally. */
  refs(names: Iterable<string>): Promise<ReadonlyMap<string, RefValue>>
  objects(): LedgerObjects
  isAncestor(ancestor: Oid, descendant: Oid): Promise<boolean>
  /** The id that git gives a blob. Writes nothing. */
  blobId(body: Uint8Array): Oid
  /** Writes what a stream for `git fast-import` describes, outside any quarantine and all refs; on disk when it resolves. */
  importObjects(stream: Uint8Array): Promise<string>
  /**
   * Moves `ref` from exactly `from` (null: it must not exist) to `to`, without hooks and on disk when it resolves, while
   * the locks of all refs in `held` are held and each is where it says. False if one of them is elsewhere; an error may
   * mean either.
   */
  moveRef(ref: string, from: Oid | null, to: Oid, held?: readonly RefAt[]): Promise<boolean>
  /** Objects by full id, in order; ends before the first that is missing, damaged or larger than `maxBytes`. */
  readInOrder(
    oids: AsyncIterable<readonly Oid[]>,
    maxBytes: number,
  ): AsyncIterable<{ readonly oid: Oid; readonly type: string; readonly body: Buffer }>
  /** The output of a git command that reads. */
  stream(args: readonly string[]): AsyncIterable<Buffer>
}
