import type { HttpExpectation, HttpGate } from '../core/policy/policy.ts'
import { checkAnswer, checkStatus, checkTime } from './expectation.ts'
import type { Attempt, GateContext } from './gate-context.ts'
import { type Sent, sendRequest } from './send-request.ts'

export async function tryHttpGate(gate: HttpGate, context: GateContext): Promise<Attempt> {
  const cookies = context.cookies.copy()
  const sent = await sendRequest(gate.request, { ...context, cookies, timeoutMs: gate.timeoutMs })
  return {
    objections: objectionsTo(gate.expect, sent),
    status: statusOf(sent),
    statuses: null,
    reached: sent.kind !== 'unreachable',
    cookies,
  }
}

/** Everything that an exchange has against it; empty if nothing. */
export function objectionsTo(expect: HttpExpectation, sent: Sent): readonly string[] {
  switch (sent.kind) {
    case 'answered':
      return [...checkAnswer(expect, sent.answer), ...checkTime(expect, sent.durationMs)]
    case 'failed':
      return [...(sent.status === null ? [] : checkStatus(expect, sent.status)), sent.reason]
    case 'unreachable':
      return [sent.reason]
  }
}

export function statusOf(sent: Sent): number | null {
  return sent.kind === 'answered' ? sent.answer.status : sent.kind === 'failed' ? sent.status : null
}
