import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import { endedAt, type JudgedEvidence, type Shortcoming } from '../evidence.ts'
import type { HistoryRecord } from '../history.ts'
import { shortOid } from '../oid.ts'
import { formatDuration } from '../policy/duration.ts'
import { printable } from '../printable.ts'

/** Enough to see what kind of records they are. */
const LISTED = 5

/** A promotion needs a fresh, complete, passing run of the gates in force against staging, for this exact commit. */
export const evidenceRule: ReleaseRule = (input) => {
  const { facts, kind, evidence } = input
  if (kind === 'rollback' || facts.objectType !== 'commit') return []
  const found = whatIsWrong(input)
  if (found.length === 0) return []
  return [
    {
      rule: 'evidence',
      found: [
        ...found,
        ...evidence.untrusted.slice(0, LISTED).map((line) => `not counted: ${printable(line)}`),
      ],
      fix: [
        `deploy ${shortOid(facts.to)} to staging, then run the gates there and record the result:`,
        `  headgate gate --mode staging --commit ${shortOid(facts.to)} --record --key FILE`,
      ],
    },
  ]
}

function whatIsWrong(input: ReleaseCase): string[] {
  const { facts, evidence } = input
  const commit = shortOid(facts.to)
  const { chosen, invalidation } = evidence
  if (chosen !== null && chosen.shortcomings.length === 0) return []
  const invalidated =
    invalidation === null
      ? []
      : [
          `the staging evidence for ${commit} was invalidated ${ago(input, invalidation.at)} (${named(invalidation)}): ${printable(invalidation.statement.predicate.reason)}`,
        ]
  if (chosen !== null) {
    const told = chosen.shortcomings.map((shortcoming) => explainShortcoming(input, chosen, shortcoming))
    return [...invalidated, ...told]
  }
  return invalidation === null ? [`there is no staging evidence for ${commit}`] : invalidated
}

function explainShortcoming(input: ReleaseCase, judged: JudgedEvidence, shortcoming: Shortcoming): string {
  const { policy, facts } = input
  const { record: run } = judged
  switch (shortcoming.code) {
    case 'failed':
      return failure(input, judged, shortcoming.gates)
    case 'other-configuration':
      return `the evidence for ${shortOid(facts.to)} (${named(run)}, ${ago(input, endedAt(run))}) was made under another gate configuration than the policy in force`
    case 'gates-missing': {
      const names = shortcoming.missing.map((name) =>
        shortcoming.skipped.includes(name) ? `${printable(name, 60)} (skipped)` : printable(name, 60),
      )
      return `the evidence (${named(run)}, ${ago(input, endedAt(run))}) does not show that every required gate passed; missing: ${names.join(', ')}`
    }
    case 'too-old': {
      const { maxAgeMs } = policy.evidence
      const [age, allowed, excess] = [shortcoming.ageMs, maxAgeMs, shortcoming.ageMs - maxAgeMs].map(
        formatDuration,
      )
      return `the evidence (${named(run)}) is ${age} old, and the policy allows ${allowed}: ${excess} too much`
    }
  }
}

function failure(
  input: ReleaseCase,
  { record, servedObjection }: JudgedEvidence,
  gates: readonly string[],
): string {
  // A run that fails with no gate to blame found another build, most often, and asked no gate at all.
  const why =
    gates.length > 0
      ? `: ${gates.map((name) => printable(name, 60)).join(', ')}`
      : servedObjection === null
        ? ''
        : `: staging ${printable(servedObjection)}`
  return `the newest staging run for ${shortOid(input.facts.to)} (${named(record)}, ${ago(input, endedAt(record))}) failed${why}`
}

function named({ seq, signer }: HistoryRecord): string {
  return signer.trusted ? `record ${seq}, by ${printable(signer.principal, 80)}` : `record ${seq}`
}

function ago(input: ReleaseCase, at: number): string {
  return `${formatDuration(Math.max(0, input.now - at))} ago`
}
