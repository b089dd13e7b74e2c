/** One move of the release branch as the ledger tells it, for timelines and tables. */
import type { Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'

export type AuditedMove = {
  /** Number of the authorization's record. */
  readonly record: number
  readonly at: string
  readonly kind: 'promotion' | 'rollback' | 'override' | 'bootstrap'
  readonly ref: string
  readonly from: Oid
  readonly to: Oid
  readonly by: string
  readonly enforcement: 'enforce' | 'evaluate'
  /** Whether the rules allowed it; false only in evaluate mode. */
  readonly passed: boolean
  readonly waived: readonly string[]
  readonly approvedBy: readonly string[]
  readonly pushOptions: readonly string[]
  readonly outcome: 'landed' | 'not-landed' | 'open'
  /** When the outcome was recorded. */
  readonly outcomeAt: string | null
}

/** Null where the record is no authorization. */
export function moveOf(record: LedgerRecord): AuditedMove | null {
  const { statement, seq, at, by } = record
  if (statement.kind !== 'authorization') return null
  const { verificationResult, 'urn:headgate:move': move } = statement.predicate
  const { approvedBy } = move.facts
  return {
    record: seq,
    at,
    kind: move.kind,
    ref: printable(move.ref, 200),
    from: move.from,
    to: move.to,
    by: printable(by, 80),
    enforcement: move.enforcement,
    passed: verificationResult === 'PASSED',
    waived: move.objections.filter(({ waived }) => waived).map(({ rule }) => printable(rule, 60)),
    approvedBy: (Array.isArray(approvedBy) ? approvedBy : [])
      .slice(0, 16)
      .map((name) => printable(String(name), 80)),
    pushOptions: move.pushOptions.slice(0, 16).map((option) => printable(option, 200)),
    outcome: 'open',
    outcomeAt: null,
  }
}

/** The move with its outcome, where `record` is that; else the move as it was. */
export function closeMove(move: AuditedMove, record: LedgerRecord): AuditedMove {
  const { statement, at } = record
  if (statement.kind !== 'outcome' || statement.predicate.authorization !== move.record) return move
  return { ...move, outcome: statement.predicate.result, outcomeAt: at }
}
