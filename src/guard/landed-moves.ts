/** The way of a branch, move by move, backwards from where it is now. */
import { isZeroOid, type Oid } from '../core/oid.ts'
import type { Move } from '../core/state.ts'
import type { Predicates } from '../core/statement.ts'
import type { LedgerRecord, Snapshot } from '../ledger/ledger.ts'

/** A move that landed, with the record that permitted it: an authorization, or the note that accepted a drift. */
export type LandedMove = {
  readonly seq: number
  readonly kind: Move['kind']
  readonly ref: string
  /** Zeros where the branch was created. */
  readonly from: Oid
  readonly to: Oid
  readonly by: string
  /** RFC 3339. */
  readonly authorizedAt: string
  /** When the server recorded that it landed; null where it has not yet. */
  readonly landedAt: string | null
  /** What the server authorized; null for a drift. */
  readonly authorized: Predicates['authorization']['urn:headgate:move'] | null
  readonly record: LedgerRecord
}

/**
 * The landed moves of a branch that is at `tip`, newest first. Each step reads the records about one commit, so that the
 * last moves of a long history cost no more than those of a short one. Ends where the branch was created, at the
 * baseline, or where the ledger knows nothing of the commit before.
 */
export async function* landedMoves(
  snapshot: Snapshot,
  ref: string,
  tip: Oid | null,
): AsyncGenerator<LandedMove, void, undefined> {
  const { open, landed } = snapshot.state
  // A move that is on disk has landed, even where its outcome is not recorded yet.
  const unrecorded = open.findLast((move) => move.ref === ref && move.to === tip)
  const last = unrecorded ?? landed[ref]
  if (last === undefined) return
  let move = await moveTo(snapshot, ref, last.to, last.seq, unrecorded !== undefined)
  while (move !== null) {
    yield move
    if (isZeroOid(move.from)) return
    move = await moveTo(snapshot, ref, move.from, move.seq - 1, false)
  }
}

/** The last move to `commit` whose record is `newest` or older. */
async function moveTo(
  snapshot: Snapshot,
  ref: string,
  commit: Oid,
  newest: number,
  mayBeOpen: boolean,
): Promise<LandedMove | null> {
  const about = await snapshot.about(commit)
  const outcomes = new Map<number, { landed: boolean; at: string }>()
  for (const { statement, at } of about) {
    if (statement.kind !== 'outcome') continue
    const { authorization, result } = statement.predicate
    if (!outcomes.has(authorization)) outcomes.set(authorization, { landed: result === 'landed', at })
  }
  for (const record of about.toReversed()) {
    const { seq, statement, by, at } = record
    if (seq > newest) continue
    if (statement.kind === 'authorization') {
      const authorized = statement.predicate['urn:headgate:move']
      if (authorized.ref !== ref || authorized.to !== commit) continue
      const outcome = outcomes.get(seq)
      if (outcome === undefined ? !mayBeOpen : !outcome.landed) continue
      const { kind, from, to } = authorized
      const landedAt = outcome?.at ?? null
      return { seq, kind, ref, from, to, by, authorizedAt: at, landedAt, authorized, record }
    }
    if (statement.kind === 'drift' && statement.predicate.ref === ref) {
      const { expected: from, found: to } = statement.predicate
      if (to !== commit) continue
      return {
        ...{ seq, kind: 'drift', ref, from, to, by },
        ...{ authorizedAt: at, landedAt: at, authorized: null, record },
      }
    }
  }
  return null
}
