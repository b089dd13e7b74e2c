/** `headgate verify`: fetches, audits, reports, remembers. */
import { readFileSync } from 'node:fs'
import type { AuditRule } from '../audit/finding.ts'
import { type AuditReport, reportOf } from '../audit/report.ts'
import { checkServed } from '../audit/served-check.ts'
import { parseTrustAnchors, type TrustAnchors } from '../audit/trust-anchors.ts'
import { verifyCommit } from '../audit/verify-commit.ts'
import { type LedgerAudit, verifyLedger } from '../audit/verify-ledger.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { isOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { type AuditSource, openAuditSource } from './audit-source.ts'
import { ClientRepository } from './client-repository.ts'
import { print } from './output.ts'
import { textReport } from './reports/text-report.ts'

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
}

const SERVED: readonly AuditRule[] = ['served']
/** What an audit of one commit says nothing about. */
const ONE_COMMIT: readonly AuditRule[] = [
  'copy',
  'chain',
  'tree',
  'state',
  'clock',
  'policy',
  'statement',
  'release-ref',
  'staging-ref',
  'release-log',
  'installation',
]

/** A move may land between two fetches; then the ledger has grown, and is looked at once more. */
const LOOKS = 3

export async function verify(options: VerifyOptions): Promise<void> {
  const anchors = options.trust === undefined ? null : readTrust(options.trust)
  const since = options.since === undefined ? null : parseDate(options.since)
  const { audit, findings } = await auditRemote(options, anchors)
  const report = reportOf(audit, {
    remote: options.remote,
    now: Date.now(),
    since,
    unchecked: [...(options.served ? [] : SERVED), ...(options.commit === undefined ? [] : ONE_COMMIT)],
    findings,
  })
  print(await render(report, options.format))
  process.exitCode = EXIT_CODES[report.outcome]
}

async function auditRemote(options: VerifyOptions, anchors: TrustAnchors | null) {
  for (let look = 1; ; look++) {
    const source = await openAuditSource(options)
    try {
      const audit = await auditSource(source, options, anchors)
      const isMoved = audit.findings.some(
        ({ rule, grade }) => rule === 'release-ref' && grade === 'violation',
      )
      if (isMoved && !options.offline && look < LOOKS && (await hasGrown(source, options))) continue
      const findings = options.served ? await checkServed(audit) : []
      return { audit, findings }
    } finally {
      source.close()
    }
  }
}

async function auditCommit(
  source: AuditSource,
  name: string,
  anchors: TrustAnchors | null,
): Promise<LedgerAudit> {
  const { repository, tip, snapshot, branches } = source
  if (snapshot === null) {
    throw new HeadgateError('data', "the ledger's own files at its tip cannot be read", {
      hint: 'an audit of the whole ledger says more: headgate verify',
    })
  }
  const commit = isOid(name) ? name : await new ClientRepository().resolveCommit(name)
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
  })
  if (audit.remember !== null) {
    source.copy.write(audit.remember)
    await source.keep(audit.remember.tip)
  }
  return audit
}

async function hasGrown({ tip }: AuditSource, options: VerifyOptions): Promise<boolean> {
  const again = await openAuditSource(options)
  again.close()
  return again.tip !== tip
}

async function render(report: AuditReport, format: VerifyFormat): Promise<string> {
  switch (format) {
    case 'text':
      return textReport(report)
    case 'json':
      return JSON.stringify(report, null, 2)
    case 'sarif':
      return (await import('./reports/sarif-report.ts')).sarifReport(report)
    case 'junit':
      return (await import('./reports/junit-report.ts')).junitReport(report)
    case 'html':
      return (await import('./reports/html-report.ts')).htmlReport(report)
  }
}

function readTrust(file: string): TrustAnchors {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new HeadgateError('usage', `the trust file ${printable(file, 300)} cannot be read`, {
      hint: "--trust takes a file with the server's seal-key.pub in it",
      cause,
    })
  }
  return parseTrustAnchors(text)
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
