/**
 * reference-transaction, in `prepared`: the last word before a guarded ref moves, whoever moves it. The refs are locked,
 * and a refusal aborts.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shortRef } from '../../src/core/explain.ts'
import { isZeroOid, type Oid, shortOid } from '../../src/core/oid.ts'
import { printable } from '../../src/core/printable.ts'
import { LEDGER_REF, releaseRef } from '../../src/core/refs.ts'
import { formerBranches, type LedgerState } from '../../src/core/state.ts'
import { debug } from '../../src/git/debug.ts'
import type { RefUpdate } from '../../src/git/hook-input.ts'
import type { TermsInForce } from '../../src/guard/policy-in-force.ts'
import { type GuardedRepository, viewServer } from '../guarded-repository.ts'
import { formerRelease } from './judge-push.ts'
import type { HookAnswer } from './request.ts'

/** Allows a move of the release branch only where an open authorization covers exactly it. */
export async function prepared(
  guarded: GuardedRepository,
  updates: readonly RefUpdate[],
): Promise<HookAnswer> {
  const objections: string[] = []
  const { inForce, snapshot } = await viewServer(guarded)
  const found = await guarded.repository.refs(updates.map(({ ref }) => ref))
  for (const update of updates) {
    if (update.symref !== undefined) {
      objections.push(...symbolic(update.ref, update.symref, inForce, snapshot.state))
      continue
    }
    const current = found.get(update.ref)?.oid
    if (await isNoChange(guarded, update, current)) continue
    if (update.ref === LEDGER_REF) {
      objections.push(
        `headgate: refused: ${LEDGER_REF} is written by headgate alone; it is the record of every release`,
      )
      continue
    }
    if (inForce === null || inForce.policy.enforcement !== 'enforce') continue
    const isFormer = isFormerRelease(snapshot.state, update.ref)
    if (update.ref !== releaseRef(inForce.policy) && !isFormer) continue
    const covered = snapshot.state.open.some(
      (move) => move.ref === update.ref && move.to === update.to && sameValue(move.from, current),
    )
    debug(
      () => `${shortRef(update.ref)}: ${covered ? 'an open authorization covers' : 'none covers'} this move`,
    )
    if (covered) continue
    if (isFormer) {
      objections.push(...formerObjection(update.ref))
      continue
    }
    objections.push(
      `headgate: refused: no open authorization covers ${shortRef(update.ref)} -> ${isZeroOid(update.to) ? '(deleted)' : shortOid(update.to)}`,
      `  promote with a push: git push origin COMMIT:${printable(update.ref, 200)}   (fetch first, if another push was faster)`,
    )
  }
  return { accepted: objections.length === 0, text: objections.join('\n') }
}

/** A guarded ref that is another name of a branch would move with it, and nobody judges that one. */
function symbolic(ref: string, target: string, inForce: TermsInForce | null, state: LedgerState): string[] {
  const isGuarded =
    ref === LEDGER_REF ||
    (inForce?.policy.enforcement === 'enforce' &&
      (ref === releaseRef(inForce.policy) || isFormerRelease(state, ref)))
  if (!isGuarded) return []
  return [
    `headgate: refused: ${shortRef(ref)} cannot become a symbolic ref: it would move whenever ${printable(target, 200)} does`,
    '  to move it, promote with a push',
  ]
}

function isFormerRelease(state: LedgerState, ref: string): boolean {
  return formerBranches(state).some((former) => former.role === 'release' && former.ref === ref)
}

function formerObjection(ref: string): string[] {
  const { found, fix } = formerRelease(ref)
  return [`headgate: refused: ${found.join(' ')}`, ...fix.map((line) => `  ${line}`)]
}

function sameValue(expected: Oid, actual: Oid | undefined): boolean {
  return actual === undefined ? isZeroOid(expected) : expected === actual
}

/**
 * Transactions that list a guarded ref and leave it where it is: old and new equal, a deletion of what does not exist,
 * and the loose copy that `pack-refs` and `gc` remove once the ref is packed. Without an expected value git writes
 * zeros for the old one, so two zeros are a deletion like any other.
 */
async function isNoChange(
  { repository }: GuardedRepository,
  update: RefUpdate,
  current: Oid | undefined,
): Promise<boolean> {
  if (isZeroOid(update.to)) return current === undefined || isPruned(repository.commonDirectory, update)
  return update.to === current
}

/** Two seconds: whoever else holds packed-refs.lock, such as a push that empties the inbox, lets go of it by then. */
const LOOKS_AT_LOCK = 100
const LOOK_AGAIN_MS = 20

/**
 * A real deletion of a packed ref holds packed-refs.lock as long as this phase lasts; pruning a loose copy comes after git
 * has released it, and what is packed is what the loose copy says. A ref that is not packed so is deleted, whoever holds
 * the lock: nothing is gained by waiting.
 */
async function isPruned(directory: string, update: RefUpdate): Promise<boolean> {
  for (let looks = 1; existsSync(join(directory, 'packed-refs.lock')); looks++) {
    if (looks === LOOKS_AT_LOCK || !isPacked(directory, update)) return false
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
  return isPacked(directory, update)
}

function isPacked(directory: string, { ref, from }: RefUpdate): boolean {
  try {
    return readFileSync(join(directory, 'packed-refs'), 'utf8').includes(`\n${from} ${ref}\n`)
  } catch {
    return false
  }
}
