/**
 * The one judgement of headgate. Server, client and auditor all call it with the same facts and get the same verdict:
 * no I/O, no clock; `now` is an argument, in ms since the epoch.
 */
import { type Approvals, collectApprovals, validOverrides } from './approval.ts'
import { assessEvidence, type EvidenceAssessment } from './evidence.ts'
import type { ReleaseMove, StagingMove } from './facts.ts'
import type { History } from './history.ts'
import { isZeroOid } from './oid.ts'
import type { Terms } from './policy/policy.ts'
import { type TrustedRequest, validRequest } from './request.ts'
import { approvalRule } from './rules/approval.ts'
import { barredRule } from './rules/barred.ts'
import { commitObjectRule } from './rules/commit-object.ts'
import { driftRule } from './rules/drift.ts'
import { evidenceRule } from './rules/evidence.ts'
import { fastForwardRule } from './rules/fast-forward.ts'
import { frozenRule } from './rules/frozen.ts'
import { knownGoodRule } from './rules/known-good.ts'
import { logAppendOnlyRule } from './rules/log-append-only.ts'
import { noteRule } from './rules/note.ts'
import { onStagingRule } from './rules/on-staging.ts'
import { operatorRule } from './rules/operator.ts'
import { releaseDeleteRule } from './rules/release-delete.ts'
import { servedCommitRule } from './rules/served-commit.ts'
import { stagingHistoryRule } from './rules/staging-history.ts'
import type { MoveKind, MoveVerdict, Objection, RuleName } from './verdict.ts'
import { WAIVABLE } from './verdict.ts'

/** What a release rule sees. `kind` is what the move would be if it were allowed. */
export type ReleaseCase = {
  readonly facts: ReleaseMove
  readonly policy: Terms
  readonly history: History
  readonly now: number
  readonly kind: MoveKind
  readonly evidence: EvidenceAssessment
  readonly approvals: Approvals
  /** What asks for this very move, where a relay makes it; else null. */
  readonly request: TrustedRequest | null
}

export type ReleaseRule = (input: ReleaseCase) => readonly Objection[]

/** In the order in which people read the reasons: what it is, where it comes from, what proves it, who pushes and why. */
const RELEASE = {
  'release-delete': releaseDeleteRule,
  'commit-object': commitObjectRule,
  'on-staging': onStagingRule,
  'fast-forward': fastForwardRule,
  evidence: evidenceRule,
  'served-commit': servedCommitRule,
  'known-good': knownGoodRule,
  approval: approvalRule,
  barred: barredRule,
  frozen: frozenRule,
  drift: driftRule,
  operator: operatorRule,
  note: noteRule,
} satisfies Partial<Record<RuleName, ReleaseRule>>

/** The same for the staging branch: its history, and the release log that it carries. */
const STAGING = {
  'staging-history': stagingHistoryRule,
  'log-append-only': logAppendOnlyRule,
} satisfies Partial<Record<RuleName, (facts: StagingMove) => readonly Objection[]>>

/** The rules that judge each branch, in the order in which they are told. */
export const RELEASE_RULES = Object.keys(RELEASE) as (keyof typeof RELEASE)[]
export const STAGING_RULES = Object.keys(STAGING) as (keyof typeof STAGING)[]

/** Judges one move of the release branch. All rules run, and every objection is in the verdict. */
export function decide(facts: ReleaseMove, policy: Terms, ledger: History, now: number): MoveVerdict {
  // The order of the ledger, whatever order the records were read in.
  const history = { ...ledger, about: ledger.about.toSorted((a, b) => a.seq - b.seq) }
  const kind = kindOf(facts)
  const evidence = assessEvidence(policy.environments.staging, facts.to, policy, history, now)
  const approvals = collectApprovals(facts, policy, history, now)
  const request = validRequest(facts, policy, history, now)
  const input: ReleaseCase = { facts, policy, history, now, kind, evidence, approvals, request }
  const objections = Object.values(RELEASE).flatMap((rule) => rule(input))

  const supports =
    kind === 'rollback' ? approvals.valid : evidence.chosen === null ? [] : [evidence.chosen.record]
  const asked = request === null ? [] : [request]
  if (objections.length === 0) {
    return {
      verdict: 'allowed',
      kind,
      objections,
      waived: [],
      inputs: [...supports, ...asked].map((record) => record.envelopeDigest),
      approvedBy: kind === 'rollback' ? approvals.valid.map((record) => record.signer.principal) : [],
    }
  }

  // git refuses a push that is wrong about where the branch is, so that an override would be spent for nothing.
  const overrides = facts.claimedFrom === facts.from ? validOverrides(facts, policy, history, now) : []
  const waives = new Set(overrides.flatMap((override) => override.statement.predicate.waives))
  // What staging served is part of what evidence reports: who waives the whole waives the part.
  if (waives.has('evidence')) waives.add('served-commit')
  // An override has a reason, which its signer stands for.
  if (overrides.length > 0) waives.add('note')
  const isWaived = (objection: Objection) => WAIVABLE.has(objection.rule) && waives.has(objection.rule)
  const left = objections.filter((objection) => !isWaived(objection))
  const refused = left.length > 0
  return {
    verdict: refused ? 'refused' : 'allowed',
    kind: refused ? kind : 'override',
    objections: left,
    waived: objections.filter(isWaived),
    inputs: refused
      ? []
      : [...supports, ...overrides, ...asked]
          .sort((a, b) => a.seq - b.seq)
          .map((record) => record.envelopeDigest),
    approvedBy: refused ? [] : overrides.map((override) => override.signer.principal),
  }
}

/** What does not contain the old tip takes it back; a tag or a tree in place of a commit is a promotion gone wrong. */
function kindOf({ from, claimedFrom, to, fastForward, objectType }: ReleaseMove): 'promotion' | 'rollback' {
  if (isZeroOid(from) || fastForward) return 'promotion'
  // A pusher who has not seen where the branch is now did not mean to take it back; the fast-forward rule tells them.
  if (claimedFrom !== from) return 'promotion'
  return objectType === 'commit' || isZeroOid(to) ? 'rollback' : 'promotion'
}

/** Judges one move of the staging branch. */
export function decideStaging(facts: StagingMove): readonly Objection[] {
  return Object.values(STAGING).flatMap((rule) => rule(facts))
}
