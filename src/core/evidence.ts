import { type History, type HistoryRecord, trusted } from './history.ts'
import type { Oid } from './oid.ts'
import { type Environment, type Policy, requiredGates } from './policy.ts'

/** How far a signer's clock may run ahead of the server's. */
export const CLOCK_SKEW_MS = 5 * 60_000

export type TrustedEvidence = HistoryRecord<'evidence'> & { signer: { trusted: true } }

/** A run, and everything that keeps it from proving the commit. */
export type JudgedEvidence = {
  readonly record: TrustedEvidence
  /** Empty if the run proves the commit; what staging served is judged apart. */
  readonly shortcomings: readonly Shortcoming[]
  readonly servedObjection: string | null
}

export type Shortcoming =
  | { readonly code: 'failed'; readonly gates: readonly string[] }
  | { readonly code: 'other-configuration' }
  | {
      readonly code: 'gates-missing'
      readonly missing: readonly string[]
      readonly skipped: readonly string[]
    }
  | { readonly code: 'too-old'; readonly ageMs: number }

export type EvidenceAssessment = {
  /** All trusted runs that nothing voids, newest first. */
  readonly standing: readonly TrustedEvidence[]
  /** The run that a decision rests on: the newest that proves the commit, else the newest that there is. */
  readonly chosen: JudgedEvidence | null
  /** A failed run that is newer than the chosen one. */
  readonly newerFailure: TrustedEvidence | null
  /** Runs that prove the commit, newest first. */
  readonly proving: readonly TrustedEvidence[]
  /** Runs that passed every required gate, of whatever age and configuration, newest first. */
  readonly passing: readonly TrustedEvidence[]
  /** An invalidation, if one voids evidence that would stand here otherwise. */
  readonly invalidation: HistoryRecord<'invalidation'> | null
  /** Why records that claim to be such evidence do not count. */
  readonly untrusted: readonly string[]
}

/**
 * Weighs the evidence about one commit from one environment.
 *
 * A commit is proved if some run proves it and no failed run is newer. Runs are ordered by when they finished, as their
 * signer says, not by when they arrived: an old pass that is delivered late must not hide a newer failure. And only a
 * failure speaks against an older pass, so that taking a record away never makes a commit proved unless that record is
 * a failure or an invalidation.
 */
export function assessEvidence(
  environment: Environment,
  commit: Oid,
  policy: Policy,
  history: History,
  now: number,
): EvidenceAssessment {
  const claims = (
    history.about.filter((record) => record.statement.kind === 'evidence') as HistoryRecord<'evidence'>[]
  ).filter((record) => record.statement.predicate.headgate.environment === environment.name)
  const untrusted = claims.flatMap((record) => {
    const objection = distrust(record, commit, policy, now)
    return objection === null ? [] : [`record ${record.seq}: ${objection}`]
  })
  const believed = claims
    .filter((record): record is TrustedEvidence => distrust(record, commit, policy, now) === null)
    .sort(newestFirst)
  const invalidations = trusted(history.about, 'invalidation')
  const standing = believed.filter((evidence) => voidedBy(evidence, invalidations) === null)
  const voided = believed.find((evidence) => voidedBy(evidence, invalidations) !== null)

  const judged = standing.map((record) => judge(record, environment, commit, policy, now))
  const proving = judged.filter((run) => run.shortcomings.length === 0)
  const chosen = proving.find((run) => run.servedObjection === null) ?? proving[0] ?? judged[0] ?? null
  const failure = judged.find((run) => run.shortcomings.some(({ code }) => code === 'failed'))?.record ?? null
  return {
    standing,
    chosen,
    newerFailure:
      failure !== null && chosen !== null && newestFirst(failure, chosen.record) < 0 ? failure : null,
    proving: proving.map((run) => run.record),
    passing: standing.filter(
      (record) =>
        record.statement.predicate.result !== 'FAILED' && gateGaps(record, environment).missing.length === 0,
    ),
    invalidation: voided === undefined ? null : voidedBy(voided, invalidations),
    untrusted,
  }
}

/** When the run began, ms since the epoch, as its signer says. */
export function startedAt(evidence: HistoryRecord<'evidence'>): number {
  return Date.parse(evidence.statement.predicate.headgate.startedAt)
}

/** When the run ended, ms since the epoch, as its signer says. */
export function finishedAt(evidence: HistoryRecord<'evidence'>): number {
  return Date.parse(evidence.statement.predicate.headgate.finishedAt)
}

function newestFirst(a: TrustedEvidence, b: TrustedEvidence): number {
  return finishedAt(b) - finishedAt(a) || b.seq - a.seq
}

function distrust(
  record: HistoryRecord<'evidence'>,
  commit: Oid,
  policy: Policy,
  now: number,
): string | null {
  if (!record.signer.trusted) return record.signer.reason
  if (record.statement.repository !== policy.repository) return 'is for another repository'
  if (record.statement.commit !== commit) return 'is about another commit'
  if (finishedAt(record) > now + CLOCK_SKEW_MS) return 'says that it finished in the future'
  return null
}

function voidedBy(
  evidence: TrustedEvidence,
  invalidations: readonly HistoryRecord<'invalidation'>[],
): HistoryRecord<'invalidation'> | null {
  // Also a run that ended before the invalidation but arrives after it is void: it is what was taken back.
  const voids = (invalidation: HistoryRecord<'invalidation'>) =>
    evidence.seq < invalidation.seq ||
    finishedAt(evidence) <= Date.parse(invalidation.statement.predicate.issuedAt)
  return invalidations.find(voids) ?? null
}

function judge(
  record: TrustedEvidence,
  environment: Environment,
  commit: Oid,
  policy: Policy,
  now: number,
): JudgedEvidence {
  const { result, configuration, failedTests } = record.statement.predicate
  const required = requiredGates(environment)
  const shortcomings: Shortcoming[] = []
  const failedRequired = failedTests.filter((name) => required.includes(name))
  if (result === 'FAILED' || failedRequired.length > 0) {
    shortcomings.push({ code: 'failed', gates: failedTests })
  }
  const configurationName = `.headgate/policy.yaml#environments.${environment.name}`
  const sameConfiguration = configuration.some(
    (entry) => entry.name === configurationName && entry.digest.sha256 === environment.configurationDigest,
  )
  if (!sameConfiguration) shortcomings.push({ code: 'other-configuration' })
  const { missing, skipped } = gateGaps(record, environment)
  if (missing.length > 0 && result !== 'FAILED')
    shortcomings.push({ code: 'gates-missing', missing, skipped })
  const ageMs = now - finishedAt(record)
  if (ageMs > policy.evidence.maxAgeMs) shortcomings.push({ code: 'too-old', ageMs })
  return { record, shortcomings, servedObjection: servedObjection(record, commit, policy) }
}

/** The required gates that this run does not report as passed. A gate that a run does not name has not passed. */
function gateGaps(
  record: TrustedEvidence,
  environment: Environment,
): { missing: string[]; skipped: string[] } {
  const { passedTests, headgate } = record.statement.predicate
  const outcomes = new Map(headgate.gates.map((gate) => [gate.name, gate.outcome]))
  const missing = requiredGates(environment).filter(
    (name) => !(passedTests.includes(name) && outcomes.get(name) === 'passed'),
  )
  return { missing, skipped: missing.filter((name) => outcomes.get(name) === 'skipped') }
}

function servedObjection(record: TrustedEvidence, commit: Oid, policy: Policy): string | null {
  if (policy.evidence.servedCommit === 'ignore') return null
  const served = record.statement.predicate.headgate.servedCommit
  for (const moment of ['before', 'after'] as const) {
    const reported = served?.[moment] ?? null
    if (reported === commit) continue
    if (reported !== null) return `reported serving ${reported} ${moment} the gates`
    if (policy.evidence.servedCommit === 'required')
      return `did not report what it served ${moment} the gates`
  }
  return null
}
