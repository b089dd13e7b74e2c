import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import type { Environment, Gate, ServedCommitMode } from '../core/policy.ts'
import { printable } from '../core/printable.ts'
import { attemptGate, type GateResult, skipGate } from './attempt-gate.ts'
import { type BaseUrl, parseBaseUrl } from './base-url.ts'
import { CookieJar } from './cookie-jar.ts'
import type { GateContext } from './gate-context.ts'
import { runInOrder } from './gate-order.ts'
import type { GateOutcome, GateRun } from './gate-run.ts'
import { Secrets } from './secrets.ts'
import { readServedCommit, type ServedCommit } from './served-commit.ts'

export type { GateOutcome, GateRun } from './gate-run.ts'

export type RunGatesOptions = {
  readonly environment: Environment
  /** Overrides the environment's url. */
  readonly baseUrl: string
  /** The commit that the run is to prove. */
  readonly commit: Oid
  readonly servedCommitMode: ServedCommitMode
  /** The process environment: secrets that the policy names are read from it, and commands get it. */
  readonly variables: Readonly<Record<string, string | undefined>>
  /** Where commands run. */
  readonly folder: string
  readonly signal?: AbortSignal
  /** Told of every gate as it starts. */
  readonly onStart?: (name: string) => void
  /** Told of every attempt that failed and is not the last. */
  readonly onRetry?: (name: string, attempt: number, reason: string) => void
  /** Told of every line that a command prints, which may hold anything. */
  readonly onOutput?: (name: string, line: string) => void
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
 * - `configuration` for an environment that can prove nothing: no gates, no place to ask for a required commit, or a
 *   secret that is not there
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
  const secrets = Secrets.of(environment, options.variables)
  // Ends whatever still runs when this function ends, however it ends.
  const stop = new AbortController()
  const interrupt = () => stop.abort()
  options.signal?.addEventListener('abort', interrupt, { once: true })
  if (options.signal?.aborted) interrupt()
  try {
    return await run(options, { base, secrets, signal: stop.signal })
  } finally {
    options.signal?.removeEventListener('abort', interrupt)
    stop.abort()
  }
}

async function run(
  options: RunGatesOptions,
  { base, secrets, signal }: Pick<GateContext, 'base' | 'secrets' | 'signal'>,
): Promise<GateRun> {
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

  const runGate = async (
    gate: Gate,
    before: GateResult | null,
    context: Omit<GateContext, 'cookies' | 'onOutput'>,
  ): Promise<GateResult> => {
    if (before !== null && before.outcome.outcome !== 'passed') {
      return { outcome: skipGate(gate, `not run, for ${before.outcome.name} did not pass`), last: null }
    }
    options.onStart?.(gate.name)
    return attemptGate(
      gate,
      {
        ...context,
        cookies: before?.last?.cookies ?? new CookieJar(),
        onOutput: (line) => options.onOutput?.(gate.name, line),
      },
      (attempt, reason) => options.onRetry?.(gate.name, attempt, reason),
    )
  }

  const before = await ask()
  if (before?.kind === 'unreachable') throw unreachable(environment, base, before.reason)
  const mismatch = objectionTo(before, commit, options)
  if (mismatch !== null) {
    // Whatever runs there is not what is to be proved: it is sent no payload.
    const gates = environment.gates.map((gate) => skipGate(gate, 'not run'))
    for (const outcome of gates) options.onGate?.(outcome)
    return finish(before, null, gates, `${mismatch}; no gate was run`)
  }

  const results = await runInOrder(environment.gates, async (gate, before) => {
    // Nothing starts any more once somebody has said stop.
    if (options.signal?.aborted) throw interrupted(environment)
    const result = await runGate(gate, before, {
      base,
      secrets,
      signal,
      commit,
      environment: environment.name,
      folder: options.folder,
      variables: options.variables,
    })
    if (options.signal?.aborted) throw interrupted(environment)
    options.onGate?.(result.outcome)
    return result
  })
  const gates = results.map((result) => result.outcome)
  if (before === null && isOutOfReach(results)) {
    const reason = results.find(({ last }) => last?.reached === false)?.outcome.reason
    throw unreachable(environment, base, reason ?? 'no connection')
  }

  const after = await ask()
  return finish(before, after, gates, changeBetween(before, after, commit, options))
}

/** True if there were requests and none found a connection: nothing was learnt. Commands need none of their own. */
function isOutOfReach(results: readonly GateResult[]): boolean {
  const reached = results.map(({ last }) => last?.reached ?? null)
  return reached.includes(false) && !reached.includes(true)
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
