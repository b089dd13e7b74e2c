/** Production after a move: waiting until it serves the release, and the smoke test, signed and recorded. */

import type { ClientRepository } from '../app/clone/client-repository.ts'
import type { GuardedPlace } from '../app/clone/guarded-place.ts'
import { evidencePayload } from '../app/gate/gate-evidence.ts'
import { askServed } from '../app/served-commits.ts'
import { signAndSubmit } from '../app/statements/submit.ts'
import { HeadgateError } from '../core/errors.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import { formatDuration } from '../core/policy/duration.ts'
import type { Environment, Policy } from '../core/policy/policy.ts'
import { printable } from '../core/printable.ts'
import { type GateRun, runGates } from '../gate/run-gates.ts'
import { environmentHeaders, type Variables } from '../gate/secrets.ts'
import { note, plural } from './output.ts'
import { commandLine } from './screens/gate-progress.ts'
import { tellSubmit } from './screens/submit.ts'
import { wrapText } from './wrap-text.ts'

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
): Promise<boolean> {
  // The smoke test that follows sends them as well.
  const headers = environmentHeaders(production, variables)
  const start = performance.now()
  let [pauseMs, reminded, said] = [FIRST_PAUSE_MS, start, '']
  for (;;) {
    const serving = await askServed(production, headers, 10_000, signal)
    if (signal.aborted) throw new HeadgateError('unavailable', 'interrupted while waiting for production')
    if (serving.kind === 'serves' && serving.commit === commit) {
      note(`production serves ${shortOid(commit)}`)
      return true
    }
    const now = performance.now()
    const state =
      serving.kind === 'serves' ? `serves ${shortOid(serving.commit)}` : printable(serving.reason, 200)
    if (now - start > waitMs) {
      throw new HeadgateError(
        'unavailable',
        `production does not serve ${shortOid(commit)} after ${formatDuration(waitMs)}: it ${serving.kind === 'serves' ? state : `cannot tell: ${state}`}`,
      )
    }
    if (state !== said || now - reminded > REMINDER_MS) {
      if (said !== '' && !(await isCurrent())) return false
      const since = said === '' ? '' : `, ${formatDuration(now - start)} so far`
      for (const line of wrapText(
        `waiting for production to serve ${shortOid(commit)}; now: ${state}${since}`,
      ))
        note(line)
      ;[said, reminded] = [state, now]
    }
    await pause(Math.min(pauseMs, Math.max(0, waitMs - (now - start)) + 1), signal)
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.5)
  }
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
): Promise<GateRun> {
  const { policy, production, commit, place, key, variables, signal } = options
  note(`production smoke at ${printable(production.url)}, commit ${shortOid(commit)}`)
  const run = await runGates({
    environment: production,
    baseUrl: production.url,
    commit,
    servedCommitMode: policy.evidence.servedCommit,
    variables: variables.values,
    allowedVariables: variables.allowed,
    folder: (await client.topLevel()) ?? process.cwd(),
    signal,
    onOutput: (name, line) => note(commandLine(name, line)),
    onGate: ({ name, outcome, reason }) =>
      note(
        `  ${outcome.padEnd(7)} ${printable(name, 60)}${reason === null ? '' : `: ${printable(reason, 200)}`}`,
      ),
    now: () => new Date(),
  })
  if (run.problem !== null) note(`  ${printable(run.problem, 300)}`)
  if (!run.ran)
    throw new HeadgateError('unavailable', run.problem ?? 'no gate of production was run', {
      hint: 'headgate status says what production serves',
    })
  if (key !== null) {
    const payload = evidencePayload(policy, production, commit, run, undefined)
    await signAndSubmit(client, { place, kind: 'evidence', payload, key }, tellSubmit)
  }
  const passed = run.gates.filter(({ outcome }) => outcome === 'passed').length
  note(
    `  ${run.result}: ${passed} of ${plural(run.gates.length, 'gate')} passed${key === null ? '; not recorded' : ', recorded'}`,
  )
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
