/** Ancestry within a few steps, read from the commits themselves, so that no process need start. */
import type { Oid } from '../core/oid.ts'
import type { ObjectReader } from './object-reader.ts'

/** A promotion rarely brings more; beyond it git, with its commit-graph, is faster. */
const NEAR_COMMITS = 64
const NEAR_COMMIT_BYTES = 64 * 1024

/**
 * True if `ancestor` is met among the first commits behind `descendant`, itself included. False says nothing: it may be
 * farther away, or no ancestor, or something cannot be read; ask git then.
 */
export async function isNearAncestor(
  objects: ObjectReader,
  ancestor: Oid,
  descendant: Oid,
): Promise<boolean> {
  const seen = new Set([descendant])
  // A set can be walked while it grows.
  for (const oid of seen) {
    const commit = await objects.read(oid, NEAR_COMMIT_BYTES).catch(() => null)
    if (commit?.type !== 'commit') return false
    if (oid === ancestor) return true
    if (seen.size > NEAR_COMMITS) return false
    for (const parent of parentsOf(commit.body)) seen.add(parent)
  }
  return false
}

/**
 * Only the lines right after the tree are parents to git. What stands further down is text that anybody may write, and
 * whoever took it for a parent would see a history that git does not have.
 */
function parentsOf(commit: Buffer): string[] {
  const [, lines = ''] = /^tree [0-9a-f]+\n((?:parent [0-9a-f]+\n)*)/.exec(commit.toString('latin1')) ?? []
  return [...lines.matchAll(/[0-9a-f]{40,}/g)].map(([oid]) => oid)
}
