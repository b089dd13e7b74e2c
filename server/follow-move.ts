/** Waits for git to make a move that was authorized, and records that it landed. */
import { zeroOidLike } from '../src/core/oid.ts'
import { elapsedMs } from '../src/git/elapsed.ts'
import { type GuardedRepository, viewServer } from './guarded-repository.ts'
import { type AuthorizedMove, writeLanded } from './move-file.ts'
import { landedText } from './post-receive.ts'
import { committed } from './reference-transaction.ts'

type Follow = { readonly clock: () => number; readonly patienceMs: number }

/**
 * Looks at the ref until it is where it was to go, at most `patienceMs`. A move that is not seen to land is left open: the
 * next push settles it, from the ref itself.
 */
export async function followMove(
  guarded: GuardedRepository,
  move: AuthorizedMove,
  { clock, patienceMs }: Follow,
): Promise<void> {
  const start = elapsedMs()
  while (!(await isThere(guarded, move))) {
    const waited = elapsedMs() - start
    if (waited > patienceMs) return
    await new Promise((resolve) => setTimeout(resolve, waited < 50 ? 1 : Math.min(waited / 10, 100)))
  }
  await committed(guarded, clock)
  const text = landedText(await viewServer(guarded), move)
  if (text !== null) writeLanded(guarded.repository.commonDirectory, move, text)
}

async function isThere({ repository }: GuardedRepository, { ref, to }: AuthorizedMove): Promise<boolean> {
  return ((await repository.refs([ref])).get(ref)?.oid ?? zeroOidLike(to)) === to
}
