/** Waits for git to make a move that was authorized, and records that it landed. */
import { zeroOidLike } from '../src/core/oid.ts'
import { elapsedMs } from '../src/git/elapsed.ts'
import type { PreparedAppend } from '../src/ledger/ledger.ts'
import { type GuardedRepository, viewServer } from './guarded-repository.ts'
import { type AuthorizedMove, writeLanded } from './move-file.ts'
import { landedText } from './post-receive.ts'
import { committed } from './reference-transaction.ts'
import { outcomeRecord } from './statements.ts'

type Follow = { readonly clock: () => number; readonly patienceMs: number }

/** What was prepared longer ago than this would carry a time that is not when the move landed. */
const PREPARED_MS = 1_000

/**
 * Looks at the ref until it is where it was to go, at most `patienceMs`. Git usually needs some milliseconds, in which
 * the record is made ready. A move that is not seen to land is left open: the next push settles it, from the ref itself.
 */
export async function followMove(
  guarded: GuardedRepository,
  move: AuthorizedMove,
  { clock, patienceMs }: Follow,
): Promise<void> {
  const start = elapsedMs()
  const prepared = await prepareLanded(guarded, move, clock)
  while (!(await isThere(guarded, move))) {
    const waited = elapsedMs() - start
    if (waited > patienceMs) return
    await new Promise((resolve) => setTimeout(resolve, waited < 50 ? 1 : Math.min(waited / 10, 100)))
  }
  // Without a turn: it takes git a moment, once for each move, and whoever is in its turn includes this outcome.
  const appended = elapsedMs() - start < PREPARED_MS ? await prepared?.commit() : undefined
  if (appended?.kind !== 'appended') await committed(guarded, clock)
  const text = landedText(await viewServer(guarded), move)
  if (text !== null) writeLanded(guarded.repository.commonDirectory, move, text)
}

/** Null where the authorization is not open any more: somebody else has recorded its outcome. */
async function prepareLanded(
  guarded: GuardedRepository,
  { ref, from, to }: AuthorizedMove,
  clock: () => number,
): Promise<PreparedAppend | null> {
  const { inForce, snapshot } = await viewServer(guarded)
  const move = snapshot.state.open.find((open) => open.ref === ref && open.from === from && open.to === to)
  if (inForce === null || move === undefined) return null
  const context = { sealKey: guarded.sealKey, inForce, at: new Date(clock()).toISOString(), by: 'server' }
  return guarded.ledger.prepare(snapshot.head, [outcomeRecord(context, move, 'landed', to)])
}

async function isThere({ repository }: GuardedRepository, { ref, to }: AuthorizedMove): Promise<boolean> {
  return ((await repository.refs([ref])).get(ref)?.oid ?? zeroOidLike(to)) === to
}
