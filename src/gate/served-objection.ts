import type { Oid } from '../core/oid.ts'
import type { ServedCommitMode } from '../core/policy/policy.ts'
import type { ServedCommit } from './served-commit.ts'

export type ServedDemand = {
  readonly environment: { readonly name: string }
  readonly commit: Oid
  readonly servedCommitMode: ServedCommitMode
}

/** What a reading of the served commit has against the run; null if nothing. `served` is null where nobody asked. */
export function objectionTo(served: ServedCommit | null, demand: ServedDemand): string | null {
  if (served === null) return null
  const { commit, servedCommitMode } = demand
  const { name } = demand.environment
  if (served.kind === 'reported') {
    return served.commit === commit ? null : `${name} serves ${served.commit}, not ${commit}`
  }
  if (served.kind === 'unreported') {
    return servedCommitMode === 'required' ? `${name} does not report its commit: ${served.reason}` : null
  }
  const verb =
    served.kind === 'invalid' ? 'does not report a full commit id' : 'could not be asked for its commit'
  return `${name} ${verb}: ${served.reason}`
}

/** What the reading after the gates has against the run; null if nothing. */
export function changeBetween(
  before: ServedCommit | null,
  after: ServedCommit | null,
  demand: ServedDemand,
): string | null {
  const objection = objectionTo(after, demand)
  if (objection !== null) return `after the gates, ${objection}`
  // Where reporting is voluntary, a build that begins or ceases to report has been swapped too.
  return reportedCommit(before) === reportedCommit(after)
    ? null
    : `${demand.environment.name} reported its commit only ${reportedCommit(before) === null ? 'after' : 'before'} the gates: another build took over`
}

export function reportedCommit(served: ServedCommit | null): Oid | null {
  return served?.kind === 'reported' ? served.commit : null
}
