/** What an audit says, as one value: every format of the report is made from it. */
import { shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { AuditedMove } from './audited-move.ts'
import {
  AUDIT_RULES,
  type AuditRule,
  countFindings,
  type Finding,
  type Grade,
  outcomeOf,
  type Unchecked,
} from './finding.ts'
import type { CommitRecord } from './verify-commit.ts'
import type { LedgerAudit } from './verify-ledger.ts'

export type Check = {
  readonly rule: AuditRule
  /** What must be true; where there is an exception to it, what is true instead. */
  readonly says: string
  /** `ok` and `note` are said only where all of it was looked at. */
  readonly grade: Grade | 'ok' | 'unchecked'
  /** What was not looked at; null where all was. */
  readonly unchecked: string | null
  readonly violations: number
  readonly exceptions: number
  readonly notes: number
}

export type AuditReport = {
  /** Name of the guarded repository, as its policy says; null if no policy could be read. */
  readonly repository: string | null
  readonly release: string | null
  readonly remote: string
  readonly checkedAt: string
  /** Only what was recorded since then is listed; null for all. */
  readonly since: string | null
  /** Findings from before that, which are neither listed nor judged; null where there is no such date. */
  readonly earlier: {
    readonly violations: number
    readonly exceptions: number
    readonly notes: number
  } | null
  readonly head: { readonly seq: number; readonly hash: string }
  readonly records: { readonly now: number; readonly before: number }
  readonly sealKey: LedgerAudit['sealKey']
  readonly checks: readonly Check[]
  readonly findings: readonly Finding[]
  readonly moves: readonly AuditedMove[]
  readonly unchecked: readonly string[]
  readonly outcome: 'ok' | 'refused' | 'data'
  /** The records about the one commit that was asked for; null where the whole ledger was. */
  readonly about: readonly CommitRecord[] | null
  /** One line that fits a ticket. */
  readonly verdict: string
}

type Context = {
  readonly remote: string
  readonly now: number
  /** Ms since the epoch. */
  readonly since: number | null
  readonly unchecked: readonly Unchecked[]
  /** From checks beside the ledger's. */
  readonly findings: readonly Finding[]
}

/** Rules that nothing was decided by any more once the chain was broken. */
const LATER: readonly AuditRule[] = [
  'tree',
  'message',
  'state',
  'statement',
  'replay',
  'outcome',
  'approval',
  'override',
]
const BRANCHES: readonly AuditRule[] = ['release-ref', 'staging-ref', 'release-log']

export function reportOf(
  audit: LedgerAudit & { readonly about?: readonly CommitRecord[] },
  context: Context,
): AuditReport {
  const { since, now } = context
  const isShown = (at: string | null) => since === null || at === null || Date.parse(at) >= since
  const all = [...audit.findings, ...context.findings]
  const isListed = (finding: Finding) => isShown(finding.at) || isTimeless(finding)
  const findings = all.filter(isListed)
  const left = all.filter((finding) => !isListed(finding))
  const unchecked: readonly Unchecked[] = [
    ...leftOut(all, findings, since),
    ...(audit.stoppedAt === null
      ? []
      : [{ rules: [...LATER, ...BRANCHES], what: brokenAt(audit.stoppedAt) }]),
    ...audit.unchecked,
    ...context.unchecked,
  ]
  const checks = (Object.keys(AUDIT_RULES) as AuditRule[]).map((rule) => checkOf(rule, findings, unchecked))
  const outcome = outcomeOf(findings)
  const report = {
    repository: audit.inForce === null ? null : printable(audit.inForce.policy.repository),
    release: audit.inForce?.policy.release ?? null,
    remote: context.remote,
    checkedAt: new Date(now).toISOString(),
    since: since === null ? null : new Date(since).toISOString(),
    earlier:
      since === null
        ? null
        : {
            violations: countFindings(left, 'violation'),
            exceptions: countFindings(left, 'exception'),
            notes: countFindings(left, 'note'),
          },
    head: audit.head,
    records: audit.records,
    sealKey: audit.sealKey,
    checks,
    findings,
    moves: audit.moves.filter(({ at }) => isShown(at)),
    unchecked: unchecked.map(({ rules, what }) => (rules.length === 0 ? what : `${rulesOf(rules)}: ${what}`)),
    outcome,
    about: audit.about ?? null,
  }
  return { ...report, verdict: verdictOf(report) }
}

/** What is broken is broken, however long ago; and a record whose time is wrong may say any. */
function isTimeless({ grade, rule }: Finding): boolean {
  return grade === 'violation' && (AUDIT_RULES[rule].broken || rule === 'clock')
}

/** A check of which a violation is not listed is not told as passed. */
function leftOut(all: readonly Finding[], listed: readonly Finding[], since: number | null): Unchecked[] {
  if (since === null) return []
  const rules = all
    .filter((finding) => finding.grade === 'violation' && !listed.includes(finding))
    .map(({ rule }) => rule)
  const count = rules.length
  if (count === 0) return []
  const violations = count === 1 ? 'a violation' : `${count} violations`
  const what = `${violations} of records from before ${new Date(since).toISOString()}: left out by --since`
  return [{ rules: [...new Set(rules)], what }]
}

function brokenAt(record: number): string {
  return `nothing was decided again from record ${record} on: the ledger is broken there`
}

/** The names of rules, the first ones where there are many. */
function rulesOf(rules: readonly AuditRule[]): string {
  return rules.length > 6 ? `${rules.slice(0, 4).join(', ')} and ${rules.length - 4} more` : rules.join(', ')
}

function checkOf(rule: AuditRule, findings: readonly Finding[], unchecked: readonly Unchecked[]): Check {
  const own = findings.filter((finding) => finding.rule === rule)
  const count = (grade: Grade) => countFindings(own, grade)
  const [violations, exceptions, notes] = [count('violation'), count('exception'), count('note')]
  const open = unchecked.filter(({ rules }) => rules.includes(rule)).map(({ what }) => what)
  const passed = open.length > 0 ? 'unchecked' : notes > 0 ? 'note' : 'ok'
  const grade = violations > 0 ? 'violation' : exceptions > 0 ? 'exception' : passed
  const text: { readonly says: string; readonly otherwise?: string } = AUDIT_RULES[rule]
  const says = grade === 'exception' ? (text.otherwise ?? text.says) : text.says
  return {
    rule,
    says,
    grade,
    unchecked: open.length === 0 ? null : open.join('; '),
    violations,
    exceptions,
    notes,
  }
}

const WORDS = { ok: 'VERIFIED', refused: 'RULES BROKEN', data: 'LEDGER BROKEN' } as const

function verdictOf(report: Omit<AuditReport, 'verdict'>): string {
  const { findings, head, outcome, repository, remote, checkedAt, checks } = report
  const count = (grade: Grade, noun: string) => counted(countFindings(findings, grade), noun)
  const counts = [count('violation', 'violation'), count('exception', 'exception'), count('note', 'note')]
  const open = checks.filter(({ unchecked }) => unchecked !== null).map(({ rule }) => rule)
  const unchecked = open.length === 0 ? '' : `not checked: ${rulesOf(open)}, `
  const read = report.about === null ? `${head.seq} records` : `${report.about.length} of ${head.seq} records`
  return `headgate verify: ${WORDS[outcome]}: ${repository ?? printable(remote)}, ${read} (head ${head.hash.slice(0, 12) || 'unreadable'}), ${counts.join(', ')}, ${covered(report)}${unchecked}${checkedAt}`
}

/** What the verdict is about, where that is not all of it. */
function covered({ since, earlier }: Pick<AuditReport, 'since' | 'earlier'>): string {
  if (since === null || earlier === null) return ''
  return `since ${since} only: ${counted(earlier.violations, 'older violation')} not judged, `
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** The commit of a finding or move, for people. */
export function shownCommit(commit: string | null): string {
  return commit === null ? '-' : shortOid(commit)
}
