/** How gates and runs are put into words, the same on the terminal and in every report. */

import type { Oid } from '../../core/oid.ts'
import { shortOid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import type { GateOutcome, GateRun } from '../../gate/run-gates.ts'

export type OutcomeWord = 'passed' | 'failed' | 'warned' | 'skipped'

/** An optional gate that failed has warned. */
export function outcomeWord({ outcome, optional }: GateOutcome): OutcomeWord {
  return outcome === 'failed' && optional ? 'warned' : outcome
}

/** `200`; of a burst `12x 200, 8x 429`; a dash where there was no answer. */
export function statusWords({ status, statuses }: GateOutcome): string {
  if (statuses === null) return status === null ? '-' : String(status)
  return Object.entries(statuses)
    .map(([name, count]) => `${count}x ${name === 'none' ? 'no answer' : name}`)
    .join(', ')
}

/** Why it did not pass, or how often it was tried until it did. */
export function whyWords({ reason, attempts }: GateOutcome): string {
  return [...(attempts > 1 ? [`${attempts} attempts`] : []), ...(reason === null ? [] : [reason])].join(': ')
}

export function verdictLine(run: GateRun, commit: Oid): string {
  const passed = run.gates.filter(({ outcome }) => outcome === 'passed').length
  return `${passed} of ${run.gates.length} gates passed on ${run.environment} for ${shortOid(commit)}`
}

/** The rows of a report, in the policy's order. */
export function gateRows(run: GateRun): string[][] {
  return run.gates.map((gate) => [
    gate.name,
    gate.optional ? `${outcomeWord(gate)} (optional)` : outcomeWord(gate),
    statusWords(gate),
    gate.outcome === 'skipped' ? '-' : formatDuration(gate.durationMs),
    whyWords(gate),
  ])
}

export const GATE_COLUMNS = ['gate', 'outcome', 'status', 'time', 'reason'] as const
