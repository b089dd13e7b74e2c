import type { HttpGate } from '../core/policy.ts'
import { printable } from '../core/printable.ts'
import type { BaseUrl } from './base-url.ts'
import { checkAnswer, checkStatus } from './expectation.ts'
import type { GateOutcome } from './gate-run.ts'
import { type Exchange, exchange } from './http-exchange.ts'

/** A table cell and a line of a report; 64 of them fit into an evidence envelope. */
const MAX_REASON_LENGTH = 300

/** `reached` is false where no connection came about, which says nothing about the environment. */
export type HttpGateResult = { readonly outcome: GateOutcome; readonly reached: boolean }

export async function runHttpGate(
  base: BaseUrl,
  gate: HttpGate,
  signal: AbortSignal,
): Promise<HttpGateResult> {
  const startedMs = performance.now()
  const result = await exchange(base, gate.request, gate.timeoutMs, signal)
  const objections = objectionsTo(gate, result)
  return {
    outcome: {
      name: gate.name,
      outcome: objections.length === 0 ? 'passed' : 'failed',
      optional: gate.optional,
      status:
        result.kind === 'answered' ? result.answer.status : result.kind === 'failed' ? result.status : null,
      durationMs: Math.round(performance.now() - startedMs),
      reason: objections.length === 0 ? null : printable(objections.join('; '), MAX_REASON_LENGTH),
    },
    reached: result.kind !== 'unreachable',
  }
}

function objectionsTo(gate: HttpGate, result: Exchange): string[] {
  switch (result.kind) {
    case 'answered':
      return checkAnswer(gate.expect, result.answer)
    case 'failed':
      return [...(result.status === null ? [] : checkStatus(gate.expect, result.status)), result.reason]
    case 'unreachable':
      return [result.reason]
  }
}
