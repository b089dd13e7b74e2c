/**
 * The commit point of the git ledger: the compare-and-swap of its ref. A move may report a failure and have been made
 * all the same, or be made by somebody else; what counts is where the ref is afterwards.
 */
import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import type { LedgerRepository, RefAt } from './ledger-repository.ts'

export type Swap = {
  /** Null: the ref must not exist. */
  readonly from: Oid | null
  readonly to: Oid
  /** Locked meanwhile, and each where it says. */
  readonly held: readonly RefAt[]
}

/**
 * Makes the swap and fsyncs the ref. False if it is elsewhere, or one that is held: then nothing was moved. Throws
 * HeadgateError 'unavailable' if it was not moved, or if nobody can tell.
 */
export async function swapRef(repository: LedgerRepository, ref: string, swap: Swap): Promise<boolean> {
  try {
    if (!(await repository.moveRef(ref, swap.from, swap.to, swap.held))) return false
  } catch (cause) {
    if (!(await hasLanded(repository, ref, swap, cause))) return false
  }
  syncRef(repository.commonDirectory, ref, swap.from === null)
  return true
}

/** After a failed swap: true if the ref moved all the same, false if somebody else moved it; throws if it stands still. */
async function hasLanded(
  repository: LedgerRepository,
  ref: string,
  { from, to, held }: Swap,
  failure: unknown,
): Promise<boolean> {
  const said = failure instanceof Error ? failure.message : String(failure)
  let now: Oid | null
  try {
    now = (await repository.refs([ref])).get(ref)?.oid ?? null
    // No other process made the same commit, so that a ref which contains it was moved here; others may have gone on.
    if (now !== null && now !== from) return await repository.isAncestor(to, now)
  } catch (cause) {
    throw new HeadgateError('unavailable', `could not tell whether ${ref} was moved: ${said}`, { cause })
  }
  if (now !== from) return false
  const lock = [ref, ...held.map((other) => other.ref), 'reftable/tables.list']
    .map((name) => join(repository.commonDirectory, `${name}.lock`))
    .find((path) => existsSync(path))
  const hint = lock && { hint: `if no git process runs here, one died holding ${lock}: remove it` }
  throw new HeadgateError('unavailable', `${ref} could not be moved: ${said}`, { ...hint, cause: failure })
}

/**
 * git has synced the file but not the folder that names it. File systems that
 * journal their metadata in order (ext4, xfs, apfs) make the names of the new objects durable with this, too: they were
 * made before. A ref that is not in a file of its own (reftable, packed meanwhile) is git's to keep.
 */
function syncRef(commonDirectory: string, ref: string, isNew: boolean): void {
  const path = join(commonDirectory, ref)
  for (const name of [path, dirname(path), ...(isNew ? [dirname(dirname(path))] : [])]) {
    try {
      const file = openSync(name, 'r')
      try {
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException
      if (NOT_SYNCABLE.has(code)) continue
      throw new HeadgateError(
        'unavailable',
        `could not tell whether ${ref} is on disk: fsync of ${name} failed`,
        { cause },
      )
    }
  }
}

/** No such file, or a platform that syncs no folders. EIO and ENOSPC are not among them. */
const NOT_SYNCABLE = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP'])
