import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import { formatDuration } from '../duration.ts'
import { finishedAt, type Shortcoming, type TrustedEvidence } from '../evidence.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'

/** A promotion needs a fresh, complete, passing run of the gates in force against staging, for this exact commit. */
export const evidenceRule: ReleaseRule = (input) => {
  const { facts, kind, evidence } = input
  if (kind === 'rollback' || facts.objectType !== 'commit') return []
  const found = whatIsWrong(input)
  if (found.length === 0) return []
  return [
    {
      rule: 'evidence',
      found: [...found, ...evidence.untrusted.map((line) => `not counted: ${printable(line)}`)],
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
  const { chosen, newerFailure, invalidation } = evidence
  if (chosen === null) {
    if (invalidation === null) return [`there is no staging evidence for ${commit}`]
    const why = printable(invalidation.statement.predicate.reason)
    return [`the staging evidence for ${commit} was invalidated ${ago(input, invalidation.at)}: ${why}`]
  }
  if (newerFailure !== null) return [failure(input, newerFailure)]
  return chosen.shortcomings.map((shortcoming) => explainShortcoming(input, chosen.record, shortcoming))
}

function explainShortcoming(input: ReleaseCase, run: TrustedEvidence, shortcoming: Shortcoming): string {
  const { policy, facts } = input
  switch (shortcoming.code) {
    case 'failed':
      return failure(input, run)
    case 'other-configuration':
      return `the newest evidence for ${shortOid(facts.to)} (record ${run.seq}) was made under another gate configuration than the policy in force`
    case 'gates-missing': {
      const names = shortcoming.missing.map((name) =>
        shortcoming.skipped.includes(name) ? `${printable(name, 60)} (skipped)` : printable(name, 60),
      )
      return `the evidence (record ${run.seq}) does not show that every required gate passed; missing: ${names.join(', ')}`
    }
    case 'too-old':
      return `the evidence (record ${run.seq}) is ${formatDuration(shortcoming.ageMs)} old, and the policy allows ${formatDuration(policy.evidence.maxAgeMs)}`
  }
}

function failure(input: ReleaseCase, run: TrustedEvidence): string {
  const gates = run.statement.predicate.failedTests.map((name) => printable(name, 60))
  const which = gates.length === 0 ? '' : ` (${gates.join(', ')})`
  return `the newest staging run for ${shortOid(input.facts.to)} failed${which}, ${ago(input, finishedAt(run))}, record ${run.seq}`
}

function ago(input: ReleaseCase, at: number): string {
  return `${formatDuration(Math.max(0, input.now - at))} ago`
}
