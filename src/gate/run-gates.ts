import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import type { Environment, Gate, ServedCommitMode } from '../core/policy/policy.ts'
import { printable } from '../core/printable.ts'
import { attemptGate, type GateResult, skipGate } from './attempt-gate.ts'
import { type BaseUrl, parseBaseUrl } from './base-url.ts'
import { CookieJar } from './cookie-jar.ts'
import type { GateContext } from './gate-context.ts'
import { runInOrder } from './gate-order.ts'
import type { GateOutcome, GateRun } from './gate-run.ts'
import { Secrets } from './secrets.ts'
import { readServedCommit, type ServedCommit } from './served-commit.ts'
import { changeBetween, objectionTo, reportedCommit } from './served-objection.ts'
import { waitForCommit } from './wait-for-commit.ts'

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
  /** Names of variables that may leave this machine, besides those that are meant for gates. */
  readonly allowedVariables: readonly string[]
  /** Where commands run. */
  readonly folder: string
  /** How long to wait until the environment serves the commit; undefined: it must already. */
  readonly waitMs?: number
  /**
   * Whether a commit that the environment serves contains the one to be proved: that one will not be served any more, so
   * nobody waits for it. Asked once for each.
   */
  readonly contains?: (served: Oid) => Promise<boolean>
  readonly signal?: AbortSignal
  /** Told what the environment serves, or why that is not known, every time that it is not yet the commit. */
  readonly onWait?: (found: string) => void
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
 * that says FAILED is a result, and returned; so is one that says that no gate was run. Throws HeadgateError
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
  if (options.waitMs !== undefined && (environment.servedCommit === null || mode === 'ignore')) {
    throw new HeadgateError(
      'usage',
      `${environment.name} cannot be waited for: the policy does not ask it for its commit`,
      {
        hint: `set environments.${environment.name}.servedCommit in the policy, and evidence.servedCommit to required or if-reported`,
      },
    )
  }
  const secrets = Secrets.of(environment, {
    values: options.variables,
    allowed: options.allowedVariables,
  })
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

type Parts = Pick<GateContext, 'base' | 'secrets' | 'signal'>

async function run(options: RunGatesOptions, parts: Parts): Promise<GateRun> {
  const { environment, servedCommitMode: mode, now } = options
  const { base, signal } = parts
  const headers = parts.secrets.resolveAll(environment.headers)
  const source = mode === 'ignore' ? null : environment.servedCommit
  const known = new Map<Oid, boolean>()
  const isSuperseded = async (served: Oid) => {
    if (options.contains === undefined || served === options.commit) return false
    if (!known.has(served)) known.set(served, await options.contains(served))
    return known.get(served) === true
  }
  if (options.waitMs !== undefined && source !== null) {
    const { commit, waitMs } = options
    const onLook = (found: string) => options.onWait?.(found)
    await waitForCommit({ base, source, headers, commit, waitMs, signal, onLook, isSuperseded })
  }
  const startedAt = now()
  const ask = async () => {
    const served =
      source === null || signal.aborted ? null : await readServedCommit(base, source, headers, signal)
    if (options.signal?.aborted) throw interrupted(environment)
    return served
  }
  const finish = (
    before: ServedCommit | null,
    after: ServedCommit | null,
    gates: GateOutcome[],
    problem: string | null,
  ): GateRun => ({
    environment: environment.name,
    baseUrl: base.text,
    startedAt: startedAt.toISOString(),
    finishedAt: now().toISOString(),
    servedCommit: { before: reportedCommit(before), after: reportedCommit(after) },
    gates,
    result: resultOf(gates, problem),
    problem: problem === null ? null : printable(problem, 500),
    ran: true,
    superseded: false,
  })

  const before = await ask()
  if (before?.kind === 'unreachable') throw unreachable(environment, base, before.reason)
  const mismatch = objectionTo(before, options)
  if (mismatch !== null) {
    // Whatever runs there is not what is to be proved: it is sent no payload.
    const gates = environment.gates.map((gate) => skipGate(gate, 'not run'))
    for (const outcome of gates) options.onGate?.(outcome)
    const served = reportedCommit(before)
    const superseded = served !== null && (await isSuperseded(served))
    const newer = superseded ? 'superseded by a commit that contains it: ' : ''
    return { ...finish(before, null, gates, `${newer}${mismatch}; no gate was run`), ran: false, superseded }
  }

  const results = await runInOrder(environment.gates, async (gate, predecessor) => {
    // Nothing starts any more once somebody has said stop.
    if (options.signal?.aborted) throw interrupted(environment)
    const result = await runGate(gate, predecessor, options, parts)
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
  return finish(before, after, gates, changeBetween(before, after, options) ?? notRun(gates))
}

/** Where nothing but an optional gate failed, and one that must pass waited for it: no other line says why. */
function notRun(gates: readonly GateOutcome[]): string | null {
  const required = gates.filter(({ optional }) => !optional)
  if (required.some(({ outcome }) => outcome === 'failed')) return null
  const names = required.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)
  return names.length === 0 ? null : `not run, but required: ${names.join(', ')}`
}

async function runGate(
  gate: Gate,
  predecessor: GateResult | null,
  options: RunGatesOptions,
  parts: Parts,
): Promise<GateResult> {
  if (predecessor !== null && predecessor.outcome.outcome !== 'passed') {
    return { outcome: skipGate(gate, `not run, since ${predecessor.outcome.name} did not pass`), last: null }
  }
  options.onStart?.(gate.name)
  const context = {
    ...parts,
    environment: options.environment.name,
    commit: options.commit,
    folder: options.folder,
    variables: options.variables,
    cookies: predecessor?.last?.cookies ?? new CookieJar(),
    onOutput: (line: string) => options.onOutput?.(gate.name, line),
  }
  return attemptGate(gate, context, (attempt, reason) => options.onRetry?.(gate.name, attempt, reason))
}

/** A required gate that was not run has not passed. */
function resultOf(gates: readonly GateOutcome[], problem: string | null): GateRun['result'] {
  const failed = gates.filter((gate) => gate.outcome !== 'passed')
  if (problem !== null || failed.some((gate) => !gate.optional)) return 'FAILED'
  return failed.length > 0 ? 'WARNED' : 'PASSED'
}

/** True if there were requests and none found a connection: nothing was learnt. Commands need none of their own. */
function isOutOfReach(results: readonly GateResult[]): boolean {
  const reached = results.map(({ last }) => last?.reached ?? null)
  return reached.includes(false) && !reached.includes(true)
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
