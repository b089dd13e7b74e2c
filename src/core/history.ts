import type { Oid } from './oid.ts'
import type { LedgerState } from './state.ts'
import type { Statement, StatementKind } from './statement.ts'

/** Who signed a statement, judged by the allowed_signers that were in force when it was recorded. */
export type Signer =
  | { readonly trusted: true; readonly principal: string; readonly fingerprint: string }
  | { readonly trusted: false; readonly reason: string }

/** One ledger record about a commit, its signature already judged. */
export type HistoryRecord<K extends StatementKind = StatementKind> = {
  readonly seq: number
  /** When the server recorded it, ms since the epoch. */
  readonly at: number
  readonly by: string
  readonly statement: Statement<K>
  /** SHA-256 of the envelope's canonical JSON: the name that an authorization calls it by. */
  readonly envelopeDigest: string
  readonly signer: Signer
}

/** What the ledger knows when a move is judged: its folded state, and all records about the commit moved to. */
export type History = {
  readonly state: LedgerState
  readonly about: readonly HistoryRecord[]
}

/** Those records of a kind whose signer was trusted. */
export function trusted<K extends StatementKind>(
  about: readonly HistoryRecord[],
  kind: K,
): (HistoryRecord<K> & { signer: { trusted: true } })[] {
  return about.filter(
    (record) => record.statement.kind === kind && record.signer.trusted,
  ) as (HistoryRecord<K> & {
    signer: { trusted: true }
  })[]
}

/**
 * Authorizations of moves of `ref` to `commit`, each with its outcome; null while it has none. `about` is in the order of
 * the ledger: as in the folded state, the first outcome after an authorization is the one that counts.
 */
export function movesTo(
  about: readonly HistoryRecord[],
  ref: string,
  commit: Oid,
): {
  readonly authorization: HistoryRecord<'authorization'>
  readonly outcome: 'landed' | 'not-landed' | null
}[] {
  const outcomes = new Map<number, 'landed' | 'not-landed'>()
  for (const { seq, statement, signer } of about) {
    if (statement.kind !== 'outcome' || !signer.trusted) continue
    const { authorization, result } = statement.predicate
    if (authorization < seq && !outcomes.has(authorization)) outcomes.set(authorization, result)
  }
  return about.flatMap((record) => {
    if (record.statement.kind !== 'authorization') return []
    const move = record.statement.predicate['urn:headgate:move']
    if (move.ref !== ref || move.to !== commit) return []
    const authorization = record as HistoryRecord<'authorization'>
    return [{ authorization, outcome: outcomes.get(record.seq) ?? null }]
  })
}
