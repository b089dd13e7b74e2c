import { type History, type HistoryRecord, trusted } from './history.ts'
import type { Oid } from './oid.ts'
import { baseUrlProblem, normalBaseUrl } from './policy/base-url.ts'
import { type ProvingEnvironment, requiredGates, type ServedCommitMode, type Terms } from './policy/policy.ts'

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
  readonly standing: readonly JudgedEvidence[]
  /** The run that a decision rests on: the newest that proves the commit, else the newest that there is. */
  readonly chosen: JudgedEvidence | null
  /** Runs that prove the commit, and of the build that they say, newest first. No failed run is newer. */
  readonly proving: readonly TrustedEvidence[]
  /** Like `proving`, but of whatever age and configuration. */
  readonly passing: readonly TrustedEvidence[]
  /** The invalidation that voids the newest run, if one does. */
  readonly invalidation: HistoryRecord<'invalidation'> | null
  /** Why records that claim to be such evidence do not count. */
  readonly untrusted: readonly string[]
}

/**
 * Weighs the evidence about one commit from one environment.
 *
 * A commit is proved if some run proves it and no failed run is newer. Runs are ordered by when they ended (`endedAt`), not
 * by when they arrived: an old pass that is delivered late must not hide a newer failure. And only a
 * failure speaks against an older pass, so that taking a record away never makes a commit proved unless that record is
 * a failure or an invalidation.
 */
export function assessEvidence(
  environment: ProvingEnvironment,
  commit: Oid,
  policy: Terms,
  history: History,
  now: number,
): EvidenceAssessment {
  const claims = (
    history.about.filter((record) => record.statement.kind === 'evidence') as HistoryRecord<'evidence'>[]
  ).filter((record) => record.statement.predicate.headgate.environment === environment.name)
  const untrusted = claims.flatMap((record) => {
    const objection = distrust(record, environment, commit, policy, now)
    return objection === null ? [] : [`record ${record.seq}, since ${objection}`]
  })
  const believed = claims
    .filter(
      (record): record is TrustedEvidence => distrust(record, environment, commit, policy, now) === null,
    )
    .sort(newestFirst)
  const invalidations = trusted(history.about, 'invalidation')
  const voider = (record: TrustedEvidence) => voidedBy(record, environment, invalidations)

  const standing = believed
    .filter((record) => voider(record) === null)
    .map((record) => judge(record, environment, commit, policy, now))
  const failure = standing.findIndex(({ record }) => hasFailed(record, environment))
  const sinceFailure = failure === -1 ? standing : standing.slice(0, failure)
  const proving = sinceFailure.filter((run) => run.shortcomings.length === 0)
  const proved = proving.filter((run) => run.servedObjection === null)
  const passing = sinceFailure.filter(
    (run) => run.servedObjection === null && run.shortcomings.every(({ code }) => code !== 'gates-missing'),
  )
  const [newest] = believed
  return {
    standing,
    chosen: proved[0] ?? proving[0] ?? standing[0] ?? null,
    proving: proved.map((run) => run.record),
    passing: passing.map((run) => run.record),
    invalidation: newest === undefined ? null : voider(newest),
    untrusted,
  }
}

/** When the run began, ms since the epoch, as its signer says. */
export function startedAt(evidence: HistoryRecord<'evidence'>): number {
  return Date.parse(evidence.statement.predicate.headgate.startedAt)
}

/**
 * When the run ended, ms since the epoch: as its signer says, and at the latest when it was recorded, since a clock that
 * runs ahead must not put a pass before a failure that came later.
 */
export function endedAt(evidence: HistoryRecord<'evidence'>): number {
  return Math.min(Date.parse(evidence.statement.predicate.headgate.finishedAt), evidence.at)
}

function newestFirst(a: TrustedEvidence, b: TrustedEvidence): number {
  return endedAt(b) - endedAt(a) || b.seq - a.seq
}

function distrust(
  record: HistoryRecord<'evidence'>,
  environment: ProvingEnvironment,
  commit: Oid,
  policy: Terms,
  now: number,
): string | null {
  if (!record.signer.trusted) return record.signer.reason
  if (record.statement.repository !== policy.repository) return 'it is for another repository'
  if (record.statement.commit !== commit) return 'it is about another commit'
  if (Date.parse(record.statement.predicate.headgate.finishedAt) > now + CLOCK_SKEW_MS)
    return 'it says that it finished in the future'
  return elsewhere(record, environment)
}

/** Why the run was not made against this environment; null if it was, or if nothing is said of where it was made. */
export function elsewhere(record: HistoryRecord<'evidence'>, environment: ProvingEnvironment): string | null {
  const url = record.statement.predicate.headgate.baseUrl ?? null
  if (url === null) return null
  if (baseUrlProblem(url) === null && environment.urls.includes(normalBaseUrl(url).text)) return null
  return `it was made against ${url}, which is no URL of environments.${environment.name}`
}

function voidedBy(
  evidence: TrustedEvidence,
  environment: ProvingEnvironment,
  invalidations: readonly HistoryRecord<'invalidation'>[],
): HistoryRecord<'invalidation'> | null {
  // A run that ended before the invalidation is void even if it arrives later: it is what was taken back. One that was
  // recorded before is void whenever it ended, unless it failed: an invalidation that is delivered late must not take
  // back a failure that its signer cannot have known.
  const voids = (invalidation: HistoryRecord<'invalidation'>) => {
    const isEarlier = evidence.seq < invalidation.seq
    if (isEarlier && !hasFailed(evidence, environment)) return true
    return endedAt(evidence) <= Date.parse(invalidation.statement.predicate.issuedAt)
  }
  return invalidations.find(voids) ?? null
}

function judge(
  record: TrustedEvidence,
  environment: ProvingEnvironment,
  commit: Oid,
  policy: Terms,
  now: number,
): JudgedEvidence {
  const { result, configuration } = record.statement.predicate
  const shortcomings: Shortcoming[] = []
  const failed = failedGates(record)
  if (hasFailed(record, environment)) shortcomings.push({ code: 'failed', gates: failed })
  const configurationName = `.headgate/policy.yaml#environments.${environment.name}`
  const sameConfiguration = configuration.some(
    (entry) => entry.name === configurationName && entry.digest?.sha256 === environment.configurationDigest,
  )
  if (!sameConfiguration) shortcomings.push({ code: 'other-configuration' })
  // Of a run that failed as a whole the gates that did not even run are no news.
  const missing = result === 'FAILED' ? [] : missingGates(record, environment)
  const untold = missing.filter((name) => !failed.includes(name))
  if (untold.length > 0) {
    const outcomes = outcomesOf(record)
    const skipped = untold.filter((name) => outcomes.get(name) === 'skipped')
    shortcomings.push({ code: 'gates-missing', missing: untold, skipped })
  }
  const ageMs = now - endedAt(record)
  if (ageMs >= policy.evidence.maxAgeMs) shortcomings.push({ code: 'too-old', ageMs })
  return {
    record,
    shortcomings,
    servedObjection: servedObjection(record, commit, policy.evidence.servedCommit),
  }
}

/** Whether the run speaks against the commit: it says so itself, or a gate failed that must pass. */
function hasFailed(record: HistoryRecord<'evidence'>, environment: ProvingEnvironment): boolean {
  if (record.statement.predicate.result === 'FAILED') return true
  const required = requiredGates(environment)
  return failedGates(record).some((name) => required.includes(name))
}

/** The gates that a run reports as failed, in whichever of its two lists. */
function failedGates({ statement }: HistoryRecord<'evidence'>): readonly string[] {
  const { failedTests, headgate } = statement.predicate
  const outcomes = headgate.gates.filter((gate) => gate.outcome === 'failed').map((gate) => gate.name)
  return [...new Set([...failedTests, ...outcomes])]
}

/** The required gates that this run does not report as passed. A gate that a run does not name has not passed. */
function missingGates(record: HistoryRecord<'evidence'>, environment: ProvingEnvironment): readonly string[] {
  const { passedTests } = record.statement.predicate
  const outcomes = outcomesOf(record)
  return requiredGates(environment).filter(
    (name) => !(passedTests.includes(name) && outcomes.get(name) === 'passed'),
  )
}

function outcomesOf({ statement }: HistoryRecord<'evidence'>): ReadonlyMap<string, string> {
  return new Map(statement.predicate.headgate.gates.map((gate) => [gate.name, gate.outcome]))
}

/** Why the environment may have run another build than this commit; null if it did not, as far as `mode` asks. */
export function servedObjection(
  record: HistoryRecord<'evidence'>,
  commit: Oid,
  mode: ServedCommitMode,
): string | null {
  if (mode === 'ignore') return null
  const served = record.statement.predicate.headgate.servedCommit
  for (const moment of ['before', 'after'] as const) {
    const reported = served?.[moment] ?? null
    if (reported === commit) continue
    if (reported !== null) return `reported serving ${reported} ${moment} the gates`
    if (mode === 'required') return `did not report what it served ${moment} the gates`
  }
  return null
}
