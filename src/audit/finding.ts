/**
 * What `verify` reports. A finding names the record, the commit, the rule, the key and what to do.
 *
 * - `violation`  something is not as it must be: forged, damaged, or allowed against the rules
 * - `exception`  in order by the rules, and yet to be looked at: overrides, accepted drifts, evaluate mode
 * - `note`       worth knowing
 */
import type { Oid } from '../core/oid.ts'

export type Grade = 'violation' | 'exception' | 'note'

/** What is checked, in the order in which a report tells it. `broken`: a violation means that the data is no ledger's. */
export const AUDIT_RULES = {
  copy: { broken: true, says: 'the ledger extends the copy that was verified last' },
  record: { broken: true, says: 'every record is in its one form, in its place' },
  chain: { broken: true, says: 'numbers, links and hashes' },
  seal: { broken: true, says: 'every record is sealed by the server' },
  signature: { broken: true, says: 'every statement is signed by a key that was trusted for it then' },
  tree: { broken: true, says: 'the files of every ledger commit are those of its record' },
  message: { broken: true, says: 'author, time and message of ledger commits are those of the record' },
  state: { broken: true, says: 'state.json is the fold over the records' },
  clock: { broken: false, says: 'the clock of the server goes forward' },
  policy: {
    broken: false,
    says: 'policies are whole, and none asks for less than the one before',
    otherwise: 'policies are whole, and some ask for less than the one before',
    exceptions: 'a policy weakens the guard',
    notes: 'a policy differs from the one before',
  },
  statement: { broken: false, says: 'every statement was one that the server may record' },
  replay: {
    broken: false,
    says: 'every authorization, decided again, has the same verdict',
    exceptions: 'a push certificate names another ref, an alias of this one',
    notes: 'a commit of the move is not here: what the server said of it is believed',
  },
  outcome: {
    broken: false,
    says: 'every authorization has its outcome',
    notes: 'an authorization is open, or has landed and nobody has recorded that yet',
  },
  approval: { broken: false, says: 'no approval and no override was used twice' },
  override: {
    broken: false,
    says: 'no rule was waived',
    otherwise: 'rules were waived, or only evaluated',
    exceptions: 'an override was used; under evaluate mode a move was made that would be refused',
  },
  'release-ref': {
    broken: false,
    says: 'the release branch is where the last landed move put it',
    otherwise: 'a move behind the guard was accepted, or a former release branch let go of',
    exceptions:
      'an operator accepted a move behind the guard; a former branch was retired; a former branch moved, and every policy only evaluated, from the last one that named it on',
    notes: 'what was fetched before is elsewhere',
  },
  'staging-ref': {
    broken: false,
    says: 'the staging branch was never rewritten',
    otherwise: 'it was rewritten while nothing was refused, or a former one let go of',
    exceptions:
      'it was rewritten under evaluate mode; an operator accepted that it was, where a relay guards; a former branch was retired',
  },
  'release-log': {
    broken: false,
    says: 'the release log only grew',
    otherwise: 'the release log was edited while nothing was refused',
    exceptions: 'it was edited under evaluate mode',
    notes: 'a landed move has no entry, and others before and after it have one',
  },
  served: {
    broken: false,
    says: 'production serves the release',
    notes: 'the policy does not say where production reports its commit',
  },
  installation: {
    broken: false,
    says: 'policy and hooks let the guard do its work',
    otherwise: 'policy or hooks kept the guard from some of its work',
    exceptions:
      'a policy only evaluates; the weaker form of the guard came into use; a baseline that a later policy brought',
    notes: 'a baseline; a policy does not ask what staging serves; the full form is in use again',
  },
} as const satisfies Record<string, AuditRuleText>

export type AuditRuleText = {
  readonly broken: boolean
  readonly says: string
  /** What is so where there is an exception, and `says` would be untrue beside it. */
  readonly otherwise?: string
  /** What makes an exception, and what a note. There are no others: docs/ledger-format.md lists them. */
  readonly exceptions?: string
  readonly notes?: string
}

export type AuditRule = keyof typeof AUDIT_RULES

export type Finding = {
  readonly grade: Grade
  readonly rule: AuditRule
  /** Number of the record; null where it is about no single one. */
  readonly record: number | null
  /** When it was recorded, by the server's clock; null where that is not known. */
  readonly at: string | null
  /** The commit of the guarded repository that it is about. */
  readonly commit: Oid | null
  /** Fingerprint of the key that signed or sealed; null where no key is concerned. */
  readonly key: string | null
  readonly found: string
  /** What to do. */
  readonly fix: string
  /** How many alike stand for this one, where they are counted and not listed. */
  readonly more?: number
}

/** What an audit did not look at, or not at all of it: none of these rules is told to hold. */
export type Unchecked = { readonly rules: readonly AuditRule[]; readonly what: string }

/** Seals hold, and the ledger alone says whose they are. */
export const NO_KEY: Unchecked = {
  rules: ['seal'],
  what: "whose seal it is: name the server's key with --trust FILE",
}

/** Of one rule, grade for grade: the first ones show what is wrong, ten thousand alike show no more. */
const MAX_KEPT = 50

/** Collects findings within bounds, however many a hostile ledger makes. */
export class Findings {
  readonly #kept: Finding[] = []
  readonly #counts = new Map<string, number>()

  add(finding: Partial<Finding> & Pick<Finding, 'grade' | 'rule' | 'found' | 'fix'>): void {
    requireDeclared(finding.rule, finding.grade)
    const name = `${finding.grade} ${finding.rule}`
    const count = (this.#counts.get(name) ?? 0) + (finding.more ?? 1)
    this.#counts.set(name, count)
    if (count > MAX_KEPT) return
    this.#kept.push({ record: null, at: null, commit: null, key: null, ...finding })
  }

  /** How many there were, kept or not. */
  count(grade: Grade, rule?: AuditRule): number {
    let sum = 0
    for (const [name, count] of this.#counts) {
      const [itsGrade, itsRule] = name.split(' ')
      if (itsGrade === grade && (rule === undefined || itsRule === rule)) sum += count
    }
    return sum
  }

  /** In the order of the ledger; what is about no single record comes first. */
  all(): Finding[] {
    const omitted = [...this.#counts].flatMap(([name, count]): Finding[] => {
      if (count <= MAX_KEPT) return []
      const [grade, rule] = name.split(' ') as [Grade, AuditRule]
      const more = count - MAX_KEPT
      const found = `${more} more of this kind are not listed`
      const nowhere = { record: null, at: null, commit: null, key: null }
      return [{ grade, rule, ...nowhere, found, fix: 'look at the first ones', more }]
    })
    const place = ({ record }: Finding) => record ?? 0
    return [...this.#kept.toSorted((a, b) => place(a) - place(b)), ...omitted]
  }
}

function requireDeclared(rule: AuditRule, grade: Grade): void {
  const { exceptions, notes }: AuditRuleText = AUDIT_RULES[rule]
  const isDeclared = { violation: true, exception: exceptions !== undefined, note: notes !== undefined }[
    grade
  ]
  if (!isDeclared) throw new TypeError(`AUDIT_RULES and the page must tell what makes a ${grade} of ${rule}`)
}

/** How many findings of a grade there are, listed or not. */
export function countFindings(findings: readonly Finding[], grade: Grade): number {
  return findings.reduce((sum, finding) => sum + (finding.grade === grade ? (finding.more ?? 1) : 0), 0)
}

/** The exit code's name: a ledger that is broken is bad data, one that tells of a breach is a finding. */
export function outcomeOf(findings: readonly Finding[]): 'ok' | 'refused' | 'data' {
  const violations = findings.filter(({ grade }) => grade === 'violation')
  if (violations.length === 0) return 'ok'
  return violations.some(({ rule }) => AUDIT_RULES[rule].broken) ? 'data' : 'refused'
}
