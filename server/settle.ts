/**
 * Authorizations whose outcome nobody recorded: the push is still under way, or something died. What became of them is
 * read from the ref itself, here, on the normal path of the next push.
 */
import type { Oid } from '../src/core/oid.ts'
import { isZeroOid, zeroOidLike } from '../src/core/oid.ts'
import { isOnDisk, type Move } from '../src/core/state.ts'
import type { ServerView } from '../src/guard/guarded-view.ts'
import { outcomeRecord, type StatementContext } from '../src/guard/server-statements.ts'
import type { NewRecord } from '../src/ledger/ledger.ts'
import type { GuardedRepository } from './guarded-repository.ts'

/** How long a push gets between its authorization and its ref: git needs milliseconds, a loaded machine seconds. */
const GRACE_MS = 5_000

/** Moves that are where they were to go: they landed, whoever was to say so. */
export function landedMoves(view: ServerView): readonly Move[] {
  return view.snapshot.state.open.filter((move) => isOnDisk(move, view.refs))
}

export function landedOutcomes(view: ServerView, context: StatementContext): NewRecord[] {
  return landedMoves(view).map((move) => outcomeRecord(context, move, 'landed', move.to))
}

/** The authorization of `ref` that may still be used, if there is one. */
export function pendingMove(view: ServerView, ref: string): Move | undefined {
  return view.snapshot.state.open.find((move) => move.ref === ref && !isOnDisk(move, view.refs))
}

/**
 * Where the machine is slow, an authorization that is old by the clock belongs to a push that is under way all the same: so
 * whoever waits looks that often before it closes one. On a slow machine that takes longer, too.
 */
const LOOKS_BEFORE_CLOSING = 10
/** What is older than this is nobody's any more. */
const SURELY_OVER_MS = 60_000

/** Whether a pending move may belong to a push that is still under way, for one who has looked so often. */
export function isFresh(move: Move, now: number, looks = LOOKS_BEFORE_CLOSING): boolean {
  const age = now - Date.parse(move.at)
  if (age >= 0 && age < GRACE_MS) return true
  // Where a clock was set back, or several machines serve one repository, its time is still to come: it tells nothing.
  return age < SURELY_OVER_MS && looks < LOOKS_BEFORE_CLOSING
}

/**
 * Closes a pending move that did not land: one transaction locks its ref, compares it, and appends the outcome. While the
 * lock is held no git process is between its `prepared` hook, which asks for an open authorization, and its write; when it
 * is released the authorization is closed. So a move is never recorded as not landed and then lands.
 *
 * 'stale' if the ref or the ledger has moved: look at everything anew. Throws HeadgateError 'unavailable' if somebody
 * else holds the lock.
 */
export async function closePending(
  guarded: GuardedRepository,
  view: ServerView,
  move: Move,
  context: StatementContext,
): Promise<'closed' | 'stale'> {
  const observed = diskValue(view, move)
  const outcome = outcomeRecord(context, move, 'not-landed', observed)
  const appended = await guarded.ledger.append(
    view.snapshot.head,
    [outcome],
    [{ ref: move.ref, oid: observed }],
  )
  return appended.kind === 'appended' ? 'closed' : 'stale'
}

function diskValue(view: ServerView, move: Move): Oid {
  return view.refs.get(move.ref) ?? zeroOidLike(isZeroOid(move.to) ? move.from : move.to)
}
