import type { Gate } from '../core/policy/policy.ts'
import type { GateResult } from './attempt-gate.ts'
import { Slots } from './concurrently.ts'

/** Enough that a run takes as long as its slowest gate, few enough that it is no load test. */
const CONCURRENCY = 16

/**
 * Runs gates at once as far as they permit: each after the one that it names, and bursts one by one when everything
 * else is done. A burst is there to meet a rate limit, and what is sent at the same time would meet it, too.
 *
 * `run` is told what the gate's predecessor came to; null for a gate that has none.
 */
export async function runInOrder(
  gates: readonly Gate[],
  run: (gate: Gate, before: GateResult | null) => Promise<GateResult>,
): Promise<GateResult[]> {
  const slots = new Slots(CONCURRENCY)
  const started = new Map<string, Promise<GateResult>>()
  const start = (gate: Gate): Promise<GateResult> => {
    const running = started.get(gate.name)
    if (running !== undefined) return running
    const before = gates.find(({ name }) => name === gate.after)
    const first = before === undefined ? Promise.resolve(null) : start(before)
    const promise = first.then((result) => slots.run(() => run(gate, result)))
    started.set(gate.name, promise)
    return promise
  }
  // When one throws, since somebody has interrupted, the others are ending: what they run is not left behind.
  const alike = gates.filter(({ kind }) => kind !== 'burst').map(start)
  await Promise.allSettled(alike)
  await Promise.all(alike)
  for (const gate of gates) if (gate.kind === 'burst') await start(gate)
  return Promise.all(gates.map(start))
}
