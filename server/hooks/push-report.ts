/** What a push is told: a judged push as reports and text. */

import { explainException, type RefReport } from '../../src/core/explain.ts'
import type { ReleaseMove } from '../../src/core/facts.ts'
import { isZeroOid, shortOid } from '../../src/core/oid.ts'
import { printable } from '../../src/core/printable.ts'
import { INBOX, isReserved } from '../../src/core/refs.ts'
import { reserved } from '../../src/core/rules/reserved.ts'
import type { MoveVerdict, Objection } from '../../src/core/verdict.ts'
import type { RefUpdate } from '../../src/git/hook-input.ts'
import type { GatheredInbox } from './gather-push.ts'
import type { TargetedUpdate } from './push-targets.ts'

export type JudgedMove = {
  readonly facts: ReleaseMove
  readonly verdict: MoveVerdict
  readonly report: RefReport
  readonly remarks: readonly string[]
}

export function reportOf(update: RefUpdate, what: string, objections: readonly Objection[]): RefReport {
  return { ref: update.ref, from: update.from, to: update.to, what, objections }
}

/** Of headgate's own refs only those of the inbox are anybody's to write. */
export function reservedReports(updates: readonly TargetedUpdate[]): RefReport[] {
  return updates
    .filter(({ target }) => isReserved(target) && !target.startsWith(INBOX))
    .map((update) => reportOf(update, '', [reserved(update.ref)]))
}

/** What of a push could go by itself: nothing that changes a ref which somebody objects to, under whatever name. */
export function unblamed(updates: readonly TargetedUpdate[], reports: readonly RefReport[]): string[] {
  const blamed = new Set(reports.filter(({ objections }) => objections.length > 0).map(({ ref }) => ref))
  const targets = new Set(updates.filter(({ ref }) => blamed.has(ref)).map(({ target }) => target))
  return updates
    .filter(({ ref, target, to }) => !targets.has(target) && !isZeroOid(to) && !isReserved(ref))
    .map(({ ref }) => ref)
}

export function announce(
  inbox: GatheredInbox,
  move: JudgedMove | null,
  tolerated: readonly RefReport[],
  lastSeq: number,
): string {
  const lines: string[] = []
  for (const { statement } of inbox.submissions) {
    lines.push(`headgate: ${statement.kind} for ${shortOid(statement.commit)} accepted`)
  }
  for (const seq of inbox.known) lines.push(`headgate: that statement is record ${seq} already`)
  for (const report of tolerated) {
    if (report.objections.length === 0) continue
    lines.push(
      explainException(
        'headgate only evaluates here; with enforcement: enforce this push would be refused:',
        report,
        [],
      ),
    )
  }
  if (move !== null && move.verdict.waived.length > 0) {
    const who = move.verdict.approvedBy.map((name) => printable(name, 80)).join(', ')
    lines.push(
      explainException(
        `OVERRIDE signed by ${who}: the reasons below are waived for this one move`,
        {
          ...move.report,
          objections: move.verdict.waived.map((objection) => ({ ...objection, fix: [] })),
        },
        [`It is recorded, and every audit will show it.`],
      ),
    )
  }
  if (move !== null) {
    for (const remark of move.remarks) lines.push(`headgate: ${remark}`)
    // git prints from where to where; with `remote: ` before it this fits a line of 80. A hook that comes later may refuse.
    const to = shortOid(move.facts.to)
    lines.push(`headgate: ${move.verdict.kind} to ${to} authorized, not landed yet, record ${lastSeq}`)
  }
  return lines.join('\n')
}
