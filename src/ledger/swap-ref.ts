/**
 * The commit point of the git ledger: the compare-and-swap of its ref.
 *
 * `git fast-import` could move the ref itself, and refuses a tip that does not contain the present one. That keeps what
 * others appended, but it is no swap: it also moves a ref that was meanwhile deleted or rewound, and two processes that
 * make the same commit would both believe that theirs moved it. `git update-ref` compares with exactly the old value,
 * under the ref's lock.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import type { LedgerRepository } from './ledger-repository.ts'

/**
 * Moves `ref` from exactly `oldTip` (null: it must not exist) to `newTip` and fsyncs it. False if it is elsewhere: then
 * nothing was moved. update-ref is started while `newTip` is still being made, so that it costs no time of its own; the
 * promise's rejection is passed on.
 */
export async function swapRef(
  repository: LedgerRepository,
  ref: string,
  newTip: Promise<Oid>,
  oldTip: Oid | null,
): Promise<boolean> {
  const old = oldTip ?? '0'.repeat(repository.oidLength)
  // With `start` and `commit` an input that breaks off, because we died, moves nothing.
  const input = newTip.then((tip) => `start\nupdate ${ref} ${tip} ${old}\nprepare\ncommit\n`)
  const swapping = repository.write(['update-ref', '--stdin'], { input, allowExit: [1, 128] })
  // If the import fails that is the error to tell, and update-ref was killed before it had anything to do.
  const [tip, swap] = await Promise.all([newTip, settled(swapping)])
  // Whatever git said, or could not say any more: what counts is where the ref is now.
  if (swap.exitCode !== 0 && !(await hasLanded(repository, ref, tip, oldTip, swap))) return false
  syncRef(repository.commonDirectory, ref, oldTip === null)
  return true
}

type Swap = { readonly exitCode: number | null; readonly said: string; readonly cause?: unknown }

async function settled(swapping: ReturnType<LedgerRepository['write']>): Promise<Swap> {
  try {
    const { exitCode, stderr } = await swapping
    return { exitCode, said: stderr.trim() }
  } catch (cause) {
    return { exitCode: null, said: cause instanceof Error ? cause.message : String(cause), cause }
  }
}

/** After a failed swap: true if the ref moved all the same, false if somebody else moved it; throws if it stands still. */
async function hasLanded(
  repository: LedgerRepository,
  ref: string,
  tip: Oid,
  oldTip: Oid | null,
  swap: Swap,
): Promise<boolean> {
  let now: Oid | null
  try {
    now = (await repository.refs([ref])).get(ref)?.oid ?? null
    // No other process made the same commit, so that a ref which contains it was moved here; others may have gone on.
    if (now !== null && now !== oldTip) return await repository.isAncestor(tip, now)
  } catch (cause) {
    throw new HeadgateError('unavailable', `could not tell whether ${ref} was moved: ${swap.said}`, { cause })
  }
  if (now !== oldTip) return false
  const lock = join(repository.commonDirectory, `${ref}.lock`)
  throw new HeadgateError('unavailable', `${ref} could not be moved: ${swap.said}`, {
    hint: `if ${lock} is there and no git process runs, one died holding it: remove it`,
    ...(swap.cause === undefined ? {} : { cause: swap.cause }),
  })
}

/**
 * git has synced the file but not the folder that names it, and before 2.36 not the file either. File systems that
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
