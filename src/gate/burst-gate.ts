import type { BurstGate } from '../core/policy/policy.ts'
import { mapConcurrently, StartingLine } from './concurrently.ts'
import type { Attempt, GateContext } from './gate-context.ts'
import { objectionsTo, statusOf } from './http-gate.ts'
import { sendRequest } from './send-request.ts'

/** An application has a few statuses; a hostile one could have hundreds, and all of them would go into the evidence. */
const MAX_STATUSES = 8

/** A server that takes one connection after the other would let the first ones wait for ever. */
const LONGEST_START_MS = 1000

/** Sends all requests whatever the first ones say, so that the counts are of the whole burst. */
export async function tryBurstGate(gate: BurstGate, context: GateContext): Promise<Attempt> {
  const order = Array.from({ length: gate.requests }, (_, at) => at)
  // The first ones go off together: connecting takes longer than a fast server needs to answer.
  const line = new StartingLine(gate.concurrency, LONGEST_START_MS)
  const sent = await mapConcurrently(order, gate.concurrency, async (at) => {
    if (context.signal.aborted) return null
    const result = await sendRequest(gate.request, {
      ...context,
      cookies: context.cookies.copy(),
      timeoutMs: gate.timeoutMs,
      onOpen: () => line.wait(at),
    })
    line.arrive(at)
    const status = statusOf(result)
    const objections = objectionsTo(gate.expect, result)
    // Whatever the policy permits: a server error is what a burst looks for.
    const crashed = status !== null && status >= 500 && objections.length === 0
    return {
      status,
      objections: crashed ? [`status ${status}`] : objections,
      reached: result.kind !== 'unreachable',
    }
  })
  const done = sent.filter((one) => one !== null)
  const objections = new Map<string, number>()
  for (const objection of done.flatMap((one) => one.objections)) {
    objections.set(objection, (objections.get(objection) ?? 0) + 1)
  }
  return {
    objections: byCount(objections).map(([text, count]) => `${count} of ${gate.requests}: ${text}`),
    status: null,
    statuses: countStatuses(done.map((one) => one.status)),
    reached: done.some((one) => one.reached),
    cookies: context.cookies,
  }
}

function countStatuses(statuses: readonly (number | null)[]): Record<string, number> {
  const counts = new Map<string, number>()
  for (const status of statuses) {
    const key = String(status ?? 'none')
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const sorted = byCount(counts)
  const rest = sorted.slice(MAX_STATUSES).reduce((sum, [, count]) => sum + count, 0)
  return Object.fromEntries([...sorted.slice(0, MAX_STATUSES), ...(rest > 0 ? [['other', rest]] : [])])
}

function byCount(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([, a], [, b]) => b - a)
}
