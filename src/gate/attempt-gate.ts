import { setTimeout as pause } from 'node:timers/promises'
import type { Gate } from '../core/policy/policy.ts'
import { printable } from '../core/printable.ts'
import { tryBurstGate } from './burst-gate.ts'
import { tryCommandGate } from './command-gate.ts'
import { tryCorsGate } from './cors-gate.ts'
import type { Attempt, GateContext } from './gate-context.ts'
import type { GateOutcome } from './gate-run.ts'
import { tryHttpGate } from './http-gate.ts'

/** A table cell and a line of a report; 64 of them fit into an evidence envelope. */
const MAX_REASON_LENGTH = 300

export type GateResult = { readonly outcome: GateOutcome; readonly last: Attempt | null }

/**
 * Tries a gate as often as the policy permits. The outcome says how many attempts that took, and what the first one
 * had against it: a gate that passes at its second attempt is not as good as one that passes.
 */
export async function attemptGate(
  gate: Gate,
  context: GateContext,
  onRetry: (attempt: number, reason: string) => void,
): Promise<GateResult> {
  const startedMs = performance.now()
  const times = 1 + (gate.retries?.times ?? 0)
  let first: string | null = null
  for (let attempt = 1; ; attempt++) {
    const last = await tryGate(gate, context)
    const failed = last.objections.length > 0
    const reason = failed ? printable(last.objections.join('; '), MAX_REASON_LENGTH) : null
    if (!failed || attempt === times || context.signal.aborted) {
      const told =
        first === null || reason === first
          ? reason
          : printable(`${reason === null ? '' : `${reason}; `}attempt 1: ${first}`, MAX_REASON_LENGTH)
      return {
        outcome: {
          name: gate.name,
          outcome: failed ? 'failed' : 'passed',
          optional: gate.optional,
          status: last.status,
          statuses: last.statuses,
          attempts: attempt,
          durationMs: Math.round(performance.now() - startedMs),
          reason: told,
        },
        last,
      }
    }
    first ??= reason
    onRetry(attempt, reason ?? '')
    const backOffMs = (gate.retries?.backOffMs ?? 0) * 2 ** (attempt - 1)
    // Interrupted while it waits: the next attempt ends at once.
    await pause(backOffMs, undefined, { signal: context.signal }).catch(() => undefined)
  }
}

/** The outcome of a gate that was not run. */
export function skipGate({ name, optional }: Gate, reason: string): GateOutcome {
  return {
    name,
    outcome: 'skipped',
    optional,
    status: null,
    statuses: null,
    attempts: 0,
    durationMs: 0,
    reason,
  }
}

function tryGate(gate: Gate, context: GateContext): Promise<Attempt> {
  switch (gate.kind) {
    case 'http':
      return tryHttpGate(gate, context)
    case 'burst':
      return tryBurstGate(gate, context)
    case 'cors':
      return tryCorsGate(gate, context)
    case 'command':
      return tryCommandGate(gate, context)
  }
}
