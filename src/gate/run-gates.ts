import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import type { Environment, Gate, ServedCommitMode } from '../core/policy.ts'
import { printable } from '../core/printable.ts'
import { type BaseUrl, parseBaseUrl } from './base-url.ts'
import type { GateOutcome, GateRun } from './gate-run.ts'
import { runHttpGate } from './http-gate.ts'
import { readServedCommit, type ServedCommit } from './served-commit.ts'

export type { GateOutcome, GateRun } from './gate-run.ts'

/** Enough that a run takes as long as its slowest gate, few enough that it is no load test. */
const CONCURRENCY = 8

export type RunGatesOptions = {
  readonly environment: Environment
  /** Overrides the environment's url. */
  readonly baseUrl: string
  /** The commit that the run is to prove. */
  readonly commit: Oid
  readonly servedCommitMode: ServedCommitMode
  readonly signal?: AbortSignal
  /** Told of every gate as it ends, in that order. */
  readonly onGate?: (outcome: GateOutcome) => void
  readonly now: () => Date
}

/**
 * Runs every gate of an environment at once, between two readings of the commit that the environment serves. A run
 * that says FAILED is a result, and returned. Throws HeadgateError
 *
 * - `unavailable` if nothing was learnt: no connection at all, or interrupted by `signal`
 * - `usage` for a base URL or commit that is none
 * - `configuration` for an environment that can prove nothing: no gates, or no place to ask for a required commit
 */
export async function runGates(options: RunGatesOptions): Promise<GateRun> {
  const { environment, commit, servedCommitMode: mode } = options
  const base = parseBaseUrl(options.baseUrl)
  if (!isOid(commit))
    throw new HeadgateError('usage', 'the gates need the full id of the commit that they prove')
  if (environment.gates.length === 0)
    throw new HeadgateError('configuration', `${environment.name} has no gates`)
  if (environment.servedCommit === null && mode === 'required') {
    throw new HeadgateError('configuration', `${environment.name} does not say where it reports its commit`, {
      hint: `set environments.${environment.name}.servedCommit in the policy`,
    })
  }
  // Ends whatever still runs when this function ends, however it ends.
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  options.signal?.addEventListener('abort', interrupt, { once: true })
  if (options.signal?.aborted) interrupt()
  try {
    return await run(options, base, stop.signal)
  } finally {
    options.signal?.removeEventListener('abort', interrupt)
    stop.abort()
  }
}

async function run(options: RunGatesOptions, base: BaseUrl, signal: AbortSignal): Promise<GateRun> {
  const { environment, commit, servedCommitMode: mode, now } = options
  const source = mode === 'ignore' ? null : environment.servedCommit
  const startedAt = now()
  const ask = async () => {
    const served = source === null ? null : await readServedCommit(base, source, signal)
    if (options.signal?.aborted) throw interrupted(environment)
    return served
  }
  const finish = (
    before: ServedCommit | null,
    after: ServedCommit | null,
    gates: GateOutcome[],
    problem: string | null,
  ) => {
    const failed = gates.filter((gate) => gate.outcome !== 'passed')
    const result =
      problem !== null || failed.some((gate) => !gate.optional)
        ? 'FAILED'
        : failed.length > 0
          ? 'WARNED'
          : 'PASSED'
    return {
      environment: environment.name,
      baseUrl: base.text,
      startedAt: startedAt.toISOString(),
      finishedAt: now().toISOString(),
      servedCommit: { before: reportedCommit(before), after: reportedCommit(after) },
      gates,
      result,
      problem: problem === null ? null : printable(problem, 500),
    } satisfies GateRun
  }

  const before = await ask()
  if (before?.kind === 'unreachable') throw unreachable(environment, base, before.reason)
  const mismatch = objectionTo(before, commit, options)
  if (mismatch !== null) {
    // Whatever runs there is not what is to be proved: it is sent no payload.
    const gates = environment.gates.map((gate) => skippedOutcome(gate))
    for (const outcome of gates) options.onGate?.(outcome)
    return finish(before, null, gates, `${mismatch}; no gate was run`)
  }

  const results = await mapConcurrently(environment.gates, CONCURRENCY, async (gate) => {
    const result = await runHttpGate(base, gate, signal)
    if (options.signal?.aborted) throw interrupted(environment)
    options.onGate?.(result.outcome)
    return result
  })
  const gates = results.map((result) => result.outcome)
  if (before === null && results.every((result) => !result.reached)) {
    throw unreachable(environment, base, gates[0]?.reason ?? 'no connection')
  }

  const after = await ask()
  return finish(before, after, gates, changeBetween(before, after, commit, options))
}

/** What a reading of the served commit has against the run; null if nothing. */
function objectionTo(served: ServedCommit | null, commit: Oid, options: RunGatesOptions): string | null {
  if (served === null) return null
  const { name } = options.environment
  if (served.kind === 'reported') {
    return served.commit === commit ? null : `${name} serves ${served.commit}, not ${commit}`
  }
  if (served.kind === 'unreported') {
    return options.servedCommitMode === 'required'
      ? `${name} does not report its commit: ${served.reason}`
      : null
  }
  const verb =
    served.kind === 'invalid' ? 'does not report a full commit id' : 'could not be asked for its commit'
  return `${name} ${verb}: ${served.reason}`
}

function changeBetween(
  before: ServedCommit | null,
  after: ServedCommit | null,
  commit: Oid,
  options: RunGatesOptions,
): string | null {
  const objection = objectionTo(after, commit, options)
  if (objection !== null) return `after the gates, ${objection}`
  // Where reporting is voluntary, a build that begins or ceases to report has been swapped too.
  return reportedCommit(before) === reportedCommit(after)
    ? null
    : `${options.environment.name} reported its commit only ${reportedCommit(before) === null ? 'after' : 'before'} the gates: another build took over`
}

function reportedCommit(served: ServedCommit | null): Oid | null {
  return served?.kind === 'reported' ? served.commit : null
}

function skippedOutcome({ name, optional }: Gate): GateOutcome {
  return { name, outcome: 'skipped', optional, status: null, durationMs: 0, reason: 'not run' }
}

function interrupted(environment: Environment): HeadgateError {
  return new HeadgateError(
    'unavailable',
    `interrupted before the gates of ${environment.name} ended; nothing is recorded`,
  )
}

function unreachable(environment: Environment, base: BaseUrl, reason: string): HeadgateError {
  return new HeadgateError(
    'unavailable',
    `${environment.name} at ${base.text} cannot be reached: ${reason}`,
    {
      hint: 'nothing was checked and nothing is recorded; look at the URL and the deployment, then try again',
    },
  )
}

/** Like Promise.all over map, with at most `limit` at work; starts none after one has failed. */
async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(items[at] as T)
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  } finally {
    next = items.length
  }
  return results
}
