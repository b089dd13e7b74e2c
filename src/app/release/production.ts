/** Production after a move: waiting until it serves the release, and the smoke test, signed and recorded. */

import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import type { Environment, Policy } from '../../core/policy/policy.ts'
import { printable } from '../../core/printable.ts'
import { type GateOutcome, type GateRun, runGates } from '../../gate/run-gates.ts'
import { environmentHeaders, type Variables } from '../../gate/secrets.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import type { GuardedPlace } from '../clone/guarded-place.ts'
import { evidencePayload } from '../gate/gate-evidence.ts'
import { askServed, type Serving } from '../served-commits.ts'
import { type SubmitEvent, signAndSubmit } from '../statements/submit.ts'

export type ProductionEvent =
  /** It serves something else, or cannot tell; told when that changes, and now and then. */
  | {
      readonly kind: 'production-awaited'
      readonly commit: Oid
      readonly serving: Serving
      /** Null the first time. */
      readonly waitedMs: number | null
    }
  | { readonly kind: 'production-serves'; readonly commit: Oid }
  | { readonly kind: 'smoke-began'; readonly url: string; readonly commit: Oid }
  /** A line of a command's output, which may hold anything. */
  | { readonly kind: 'gate-printed'; readonly gate: string; readonly line: string }
  | { readonly kind: 'gate-ended'; readonly gate: GateOutcome }
  /** What speaks against the run as a whole. */
  | { readonly kind: 'smoke-problem'; readonly problem: string }
  | { readonly kind: 'smoke-ended'; readonly run: GateRun; readonly recorded: boolean }
  | SubmitEvent

type Tell = (event: ProductionEvent) => void

/** Between two questions: at first a deployment may be instant, later it takes minutes. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000
/** How often a wait says that it goes on. */
const REMINDER_MS = 30_000

/**
 * True when production serves the commit; false when `isCurrent` says that it is no longer wanted there, which is asked
 * when production changes, and now and then. Throws 'unavailable' after `waitMs`, or when interrupted.
 */
export async function waitUntilServed(
  production: Environment,
  commit: Oid,
  {
    variables,
    waitMs,
    signal,
    isCurrent,
  }: {
    readonly variables: Variables
    readonly waitMs: number
    readonly signal: AbortSignal
    readonly isCurrent: () => Promise<boolean>
  },
  tell: Tell,
): Promise<boolean> {
  // The smoke test that follows sends them as well.
  const headers = environmentHeaders(production, variables)
  const start = performance.now()
  let [pauseMs, reminded, said] = [FIRST_PAUSE_MS, start, '']
  for (;;) {
    const serving = await askServed(production, headers, 10_000, signal)
    if (signal.aborted) throw new HeadgateError('unavailable', 'interrupted while waiting for production')
    if (serving.kind === 'serves' && serving.commit === commit) {
      tell({ kind: 'production-serves', commit })
      return true
    }
    const now = performance.now()
    const state = servingWords(serving)
    if (now - start > waitMs) {
      throw new HeadgateError(
        'unavailable',
        `production does not serve ${shortOid(commit)} after ${formatDuration(waitMs)}: it ${serving.kind === 'serves' ? state : `cannot tell: ${state}`}`,
      )
    }
    if (state !== said || now - reminded > REMINDER_MS) {
      if (said !== '' && !(await isCurrent())) return false
      const waitedMs = said === '' ? null : now - start
      tell({ kind: 'production-awaited', commit, serving, waitedMs })
      ;[said, reminded] = [state, now]
    }
    await pause(Math.min(pauseMs, Math.max(0, waitMs - (now - start)) + 1), signal)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)
  }
}

export function servingWords(serving: Serving): string {
  return serving.kind === 'serves' ? `serves ${shortOid(serving.commit)}` : printable(serving.reason, 200)
}

/**
 * Runs production's gates. With a key the result is a record of the remote's ledger when this returns. Throws 'unavailable'
 * where no gate was run: production serves something else by now.
 */
export async function runSmoke(
  client: ClientRepository,
  options: {
    readonly policy: Policy
    readonly production: Environment
    readonly commit: Oid
    readonly place: GuardedPlace
    readonly key: string | null
    readonly variables: Variables
    readonly signal: AbortSignal
  },
  tell: Tell,
): Promise<GateRun> {
  const { policy, production, commit, place, key, variables, signal } = options
  tell({ kind: 'smoke-began', url: production.url, commit })
  const run = await runGates({
    environment: production,
    baseUrl: production.url,
    commit,
    servedCommitMode: policy.evidence.servedCommit,
    variables: variables.values,
    allowedVariables: variables.allowed,
    folder: (await client.topLevel()) ?? client.caller.folder,
    signal,
    onOutput: (gate, line) => tell({ kind: 'gate-printed', gate, line }),
    onGate: (gate) => tell({ kind: 'gate-ended', gate }),
    now: () => new Date(),
  })
  if (run.problem !== null) tell({ kind: 'smoke-problem', problem: run.problem })
  if (!run.ran)
    throw new HeadgateError('unavailable', run.problem ?? 'no gate of production was run', {
      hint: 'headgate status says what production serves',
    })
  if (key !== null) {
    const payload = evidencePayload(policy, production, commit, run, undefined)
    await signAndSubmit(client, { place, kind: 'evidence', payload, key }, tell)
  }
  tell({ kind: 'smoke-ended', run, recorded: key !== null })
  return run
}

/** It travels as a push option. */
const MAX_SYMPTOMS = 300

/** What a failed run found, as one line: production's symptoms, for the record of a rollback. */
export function symptomsOf({ gates, problem }: GateRun): string {
  const failed = gates.filter(({ outcome }) => outcome === 'failed')
  const found = failed.map(({ name, reason }) => `${name}: ${reason ?? 'failed'}`)
  return printable(
    [...found, ...(problem === null ? [] : [problem])].join('; ') || 'the gates failed',
    MAX_SYMPTOMS,
  )
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
  })
}
