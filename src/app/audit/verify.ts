/** `headgate verify`: fetches, audits, reports, remembers. */

import { readFileSync, statSync } from 'node:fs'
import type { Unchecked } from '../../audit/finding.ts'
import { checkReceipt, MAX_RECEIPT_BYTES } from '../../audit/receipt.ts'
import type { Remembered } from '../../audit/remembered.ts'
import { type AuditReport, reportOf } from '../../audit/report.ts'
import { MAX_TRUST_BYTES, parseTrustAnchors, type TrustAnchors } from '../../audit/trust-anchors.ts'
import { verifyCommit } from '../../audit/verify-commit.ts'
import { type LedgerAudit, verifyLedger } from '../../audit/verify-ledger.ts'
import { note, print, printJson } from '../../cli/output.ts'
import { textReport } from '../../cli/reports/text-report.ts'
import { thisCaller } from '../../cli/this-caller.ts'
import { EXIT_CODES, HeadgateError } from '../../core/errors.ts'
import { isOid } from '../../core/oid.ts'
import { jsonText, printable } from '../../core/printable.ts'
import { parseReleaseLog } from '../../core/release-log.ts'
import { withoutSecrets } from '../../core/without-secrets.ts'
import { namedHosts } from '../clone/allowed.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { type AuditSource, openAuditSource } from './audit-source.ts'

export type VerifyFormat = 'text' | 'json' | 'sarif' | 'html' | 'junit'

export type VerifyOptions = {
  readonly remote: string
  readonly offline: boolean
  readonly since: string | undefined
  readonly commit: string | undefined
  readonly trust: string | undefined
  readonly format: VerifyFormat
  readonly served: boolean
  readonly full: boolean
  readonly receipt: string | undefined
}

const SERVED: Unchecked = { rules: ['served'], what: 'asked with --served only' }
/** A move may land between two fetches; then the ledger has grown, and is looked at once more. */
const LOOKS = 3

export async function verify(options: VerifyOptions): Promise<void> {
  const anchors = options.trust === undefined ? null : readTrust(options.trust)
  if (options.receipt !== undefined) {
    if (options.format !== 'text' && options.format !== 'json') {
      throw new HeadgateError('usage', `there is no report of a receipt as ${options.format}`, {
        hint: 'leave --format out, or: --format json',
      })
    }
    await verifyReceipt(options.receipt, anchors, options.format)
    return
  }
  const since = options.since === undefined ? null : parseDate(options.since)
  const { audit, served } = await auditRemote(options, anchors)
  const report = reportOf(audit, {
    remote: withoutSecrets(options.remote),
    now: Date.now(),
    since,
    unchecked: served.unchecked,
    findings: served.findings,
  })
  print(await render(report, options.format))
  process.exitCode = EXIT_CODES[report.outcome]
}

async function auditRemote(options: VerifyOptions, anchors: TrustAnchors | null) {
  for (let look = 1; ; look++) {
    const source = await openAuditSource(thisCaller(), {
      ...options,
      history: true,
      mayBeGone: anchors !== null,
    })
    try {
      const audit = await auditSource(source, options, anchors)
      const isMoved = audit.findings.some(
        ({ rule, grade }) => rule === 'release-ref' && grade === 'violation',
      )
      if (isMoved && !options.offline && look < LOOKS && (await hasGrown(source, options))) continue
      return { audit, served: await served(audit, options) }
    } finally {
      source.close()
    }
  }
}

/** Few ask, and what speaks HTTP takes a while to load. */
async function served(audit: LedgerAudit, options: VerifyOptions) {
  if (!options.served) return { findings: [], unchecked: [SERVED] }
  const { checkServed } = await import('../../audit/served-check.ts')
  return checkServed(audit, await namedHosts(new ClientRepository(thisCaller())))
}

async function verifyReceipt(
  file: string,
  anchors: TrustAnchors | null,
  format: VerifyFormat,
): Promise<void> {
  const verdict = await checkReceipt(readWhole(file, 'the receipt', MAX_RECEIPT_BYTES), anchors)
  if (format === 'json') {
    printJson({ ...verdict, unchecked: NOT_IN_A_RECEIPT })
    return
  }
  const { kind, ref, from, to, by, at, outcome, passed, signedBy, repository, head, ledgerCommit } = verdict
  print(
    [
      `${printable(repository)}: ${kind} of ${printable(ref)} from ${from} to ${to}`,
      `  authorized at ${at}, pushed by ${printable(by, 80)}; ${OUTCOMES[outcome]}`,
      ...(passed ? [] : ['  only evaluated: the rules would have refused it']),
      ...signedBy.map((line) => `  rests on ${printable(line, 300)}`),
      `  in ledger commit ${ledgerCommit}, up to record ${head.seq} (${head.hash})`,
      ...NOT_IN_A_RECEIPT.map((what) => `  not checked: ${what}`),
      'headgate verify: VERIFIED: the receipt holds; it was not decided again',
    ].join('\n'),
  )
}

/** What no receipt can show, for readers who take it for an audit. */
const NOT_IN_A_RECEIPT = [
  'copy: whether a ledger that you know holds this ledger commit',
  'chain, tree, state, clock: the records between these',
  'policy, statement, outcome, approval: what the other records say',
  'replay: the move was not decided again',
  'release-ref, staging-ref, release-log: the branches',
] as const

const OUTCOMES = {
  landed: 'it landed',
  'not-landed': 'it did not land',
  'not-shown': 'its outcome is not in the receipt',
} as const

async function auditCommit(
  source: AuditSource,
  name: string,
  anchors: TrustAnchors | null,
): Promise<LedgerAudit> {
  const { repository, tip, snapshot, branches } = source
  if (tip === null || snapshot === null) {
    throw new HeadgateError('data', "the ledger's own files at its tip cannot be read", {
      hint: 'an audit of the whole ledger says more: headgate verify',
    })
  }
  const commit = isOid(name) ? name : await new ClientRepository(thisCaller()).resolveCommit(name)
  return verifyCommit({ repository, tip, snapshot, branches, anchors, commit })
}

async function auditSource(
  source: AuditSource,
  { format, full, commit }: VerifyOptions,
  anchors: TrustAnchors | null,
): Promise<LedgerAudit> {
  if (commit !== undefined) return auditCommit(source, commit, anchors)
  const known = source.copy.read()
  const { repository, tip, snapshot, branches } = source
  const audit = await verifyLedger({
    repository,
    tip,
    snapshot,
    branches,
    anchors,
    remembered: known,
    // A timeline shows all moves, not only those since the last audit.
    fromStart: full || format === 'html',
    now: Date.now(),
    seenAt: source.seenAt,
    readReleaseLog: parseReleaseLog,
  })
  if (audit.remember !== null) await remember(source, audit.remember)
  return audit
}

/** What was found stands, whether or not it can be remembered: a clone may be where nobody can write. */
async function remember({ copy, keep }: AuditSource, audit: Remembered): Promise<void> {
  try {
    copy.write(audit)
    await keep(audit.tip)
  } catch (error) {
    const isOfSystem = typeof (error as NodeJS.ErrnoException).syscall === 'string'
    if (!isOfSystem && !(error instanceof HeadgateError)) throw error
    note(
      `headgate: this audit cannot be remembered in ${printable(copy.file, 400)}: ${printable((error as Error).message, 400)}\n` +
        '  what it found stands; the next one begins where this one began',
    )
  }
}

async function hasGrown({ tip, branches }: AuditSource, options: VerifyOptions): Promise<boolean> {
  const again = await openAuditSource(thisCaller(), { ...options, mayBeGone: true })
  again.close()
  return again.tip !== tip || again.branches?.release !== branches?.release
}

async function render(report: AuditReport, format: VerifyFormat): Promise<string> {
  switch (format) {
    case 'text':
      return textReport(report)
    case 'json':
      return jsonText(report, 2)
    case 'sarif':
      return (await import('../../cli/reports/sarif-report.ts')).sarifReport(report)
    case 'junit':
      return (await import('../../cli/reports/junit-report.ts')).junitReport(report)
    case 'html':
      return (await import('../../cli/reports/html-report.ts')).htmlReport(report)
  }
}

function readTrust(file: string): TrustAnchors {
  return parseTrustAnchors(readWhole(file, 'the trust file', MAX_TRUST_BYTES).toString('utf8'))
}

function readWhole(file: string, what: string, maxBytes: number): Buffer {
  try {
    if (statSync(file).size <= maxBytes) return readFileSync(file)
  } catch (cause) {
    throw new HeadgateError('usage', `${what} ${printable(file, 300)} cannot be read`, {
      hint: 'name a file that exists',
      cause,
    })
  }
  throw new HeadgateError('data', `${what} ${printable(file, 300)} has more than ${maxBytes} bytes`)
}

export function parseDate(text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (Number.isFinite(ms)) return ms
  throw new HeadgateError('usage', `"${printable(text, 60)}" is no date`, {
    hint: 'such as 2026-01-31, or 2026-01-31T12:00:00Z',
  })
}
