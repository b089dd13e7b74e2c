/** Runs the gates of an environment for a commit, and records what came of it as evidence. */

import { type GateOutcome, type GateRun, runGates } from '../../gate/run-gates.ts'
import type { Caller } from '../caller.ts'
import { allowedVariables } from '../clone/allowed.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { requireCiUrl, requireDuration, requireKey } from '../requirements.ts'
import { type SubmitEvent, signAndSubmit } from '../statements/submit.ts'
import { containing } from './gate-commit.ts'
import { evidencePayload } from './gate-evidence.ts'
import { findTarget, type GateTarget, type TargetOptions } from './gate-target.ts'

export type ProveOptions = TargetOptions & {
  /** How long to wait for the environment to serve the commit, as a duration of the policy; it must already unless told. */
  readonly wait: string | undefined
  readonly key: string | undefined
  readonly ciUrl: string | undefined
  /** Ends the run in order, and nothing is recorded. */
  readonly signal: AbortSignal
}

export type ProveEvent =
  /** Nothing is wrong with the call, and the first request follows. */
  | { readonly kind: 'begins'; readonly target: GateTarget }
  /** What the environment serves in place of the commit, or why that is not known; told with every look. */
  | { readonly kind: 'waiting'; readonly found: string }
  | { readonly kind: 'gate-begins'; readonly name: string }
  | { readonly kind: 'gate-again'; readonly name: string; readonly attempt: number; readonly reason: string }
  /** A line of the output of a gate's command, which may hold anything. */
  | { readonly kind: 'gate-prints'; readonly name: string; readonly line: string }
  | { readonly kind: 'gate-ended'; readonly outcome: GateOutcome }
  /** The gates are over. Told before anything more can go wrong. */
  | { readonly kind: 'ran'; readonly target: GateTarget; readonly run: GateRun }
  | { readonly kind: 'recording' }
  | SubmitEvent

export type Proof = {
  readonly target: GateTarget
  readonly run: GateRun
  /** A run in which no gate was started is no evidence. */
  readonly recorded: boolean
  /** Whether the policy knows the environment by the URL where it was tested. What was tested elsewhere proves nothing of it. */
  readonly counts: boolean
  /** The commit, as short as it can be pasted, where an operator can promote it now; else null. */
  readonly promotable: string | null
}

/**
 * Whatever can be wrong with the call is found before the first request. Gates that fail are a result; one that cannot be
 * recorded is an error, as `signAndSubmit` throws it, and comes after the event `ran`.
 */
export async function prove(
  caller: Caller,
  options: ProveOptions,
  tell: (event: ProveEvent) => void,
): Promise<Proof> {
  const client = new ClientRepository(caller)
  const key = options.record ? requireKey(options.key, caller.environment) : null
  const ciUrl = requireCiUrl(options.ciUrl)
  const waitMs = options.wait === undefined ? undefined : requireDuration('wait', options.wait)
  const target = await findTarget(client, options)
  const { policy, environment, baseUrl, commit, place } = target
  tell({ kind: 'begins', target })
  const run = await runTold(client, target, { waitMs, signal: options.signal }, tell)
  tell({ kind: 'ran', target, run })

  let recorded = false
  if (key !== null && place !== null && run.ran) {
    const payload = evidencePayload(policy, environment, commit, run, ciUrl)
    tell({ kind: 'recording' })
    await signAndSubmit(client, { place, kind: 'evidence', payload, key }, tell)
    recorded = true
  }
  const counts = environment.urls.includes(baseUrl)
  const isPromotable = recorded && counts && run.result !== 'FAILED' && run.environment === 'staging'
  return { target, run, recorded, counts, promotable: isPromotable ? await client.abbreviate(commit) : null }
}

async function runTold(
  client: ClientRepository,
  { policy, environment, baseUrl, commit, folder, reads }: GateTarget,
  { waitMs, signal }: { readonly waitMs: number | undefined; readonly signal: AbortSignal },
  tell: (event: ProveEvent) => void,
): Promise<GateRun> {
  return runGates({
    environment,
    baseUrl,
    commit,
    servedCommitMode: policy.evidence.servedCommit,
    variables: client.caller.environment,
    allowedVariables: await allowedVariables(client),
    folder,
    signal,
    ...(waitMs === undefined ? {} : { waitMs, contains: containing(client, commit, reads, policy) }),
    onWait: (found) => tell({ kind: 'waiting', found }),
    onStart: (name) => tell({ kind: 'gate-begins', name }),
    onRetry: (name, attempt, reason) => tell({ kind: 'gate-again', name, attempt, reason }),
    onOutput: (name, line) => tell({ kind: 'gate-prints', name, line }),
    onGate: (outcome) => tell({ kind: 'gate-ended', outcome }),
    now: () => new Date(),
  })
}
