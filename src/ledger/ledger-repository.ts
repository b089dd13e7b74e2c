/** What the git ledger needs of git. A `GitRepository` fits; whoever wires the two passes it in. */
import type { Oid } from '../core/oid.ts'

export type LedgerTreeEntry = { readonly mode: string; readonly name: string; readonly oid: Oid }

export interface LedgerObjects {
  /** A whole object by its full id; null if it is missing. Larger than `maxBytes`: HeadgateError 'data'. */
  read(oid: Oid, maxBytes: number): Promise<{ readonly type: string; readonly body: Buffer } | null>
  /** The entries of a tree, named by its own or a commit's id; null if it is missing. */
  tree(oid: Oid): Promise<readonly LedgerTreeEntry[] | null>
}

type Output = { readonly stdout: Buffer; readonly stderr: string; readonly exitCode: number }

export interface LedgerRepository {
  /** Where refs are kept, never a linked worktree's own directory. */
  readonly commonDirectory: string
  readonly oidLength: 40 | 64
  /** Refs by full name, taken literally. */
  refs(names: Iterable<string>): Promise<ReadonlyMap<string, { readonly oid: Oid; readonly symref?: string }>>
  objects(): LedgerObjects
  isAncestor(ancestor: Oid, descendant: Oid): Promise<boolean>
  /** A git command that writes: outside any quarantine, fsynced, without hooks. */
  write(
    args: readonly string[],
    options: {
      readonly input: string | Uint8Array | Promise<string | Uint8Array>
      readonly allowExit?: readonly number[]
    },
  ): Promise<Output>
  /** The output of a git command that reads. */
  stream(args: readonly string[]): AsyncIterable<Buffer>
}
