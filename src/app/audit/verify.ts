/** The audit of a remote's ledger: fetched, verified, remembered, and put together into one report. */

import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Unchecked } from '../../audit/finding.ts'
import { checkReceipt, MAX_RECEIPT_BYTES, type ReceiptVerdict } from '../../audit/receipt.ts'
import type { Remembered } from '../../audit/remembered.ts'
import { type AuditReport, reportOf } from '../../audit/report.ts'
import { MAX_TRUST_BYTES, parseTrustAnchors, type TrustAnchors } from '../../audit/trust-anchors.ts'
import { verifyCommit } from '../../audit/verify-commit.ts'
import { type LedgerAudit, verifyLedger } from '../../audit/verify-ledger.ts'
import { HeadgateError } from '../../core/errors.ts'
import { isOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { parseReleaseLog } from '../../core/release-log.ts'
import { withoutSecrets } from '../../core/without-secrets.ts'
import type { Caller } from '../caller.ts'
import { namedHosts } from '../clone/allowed.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { type AuditSource, openAuditSource } from './audit-source.ts'

export type VerifyOptions = {
  readonly remote: string
  /** Whether the copies that are here are all that is looked at. */
  readonly offline: boolean
  /** What was recorded before is neither listed nor judged; ms since the epoch. */
  readonly since: number | null
  /** The one commit that is asked about, as the user names it. */
  readonly commit: string | undefined
  readonly anchors: TrustAnchors | null
  /** Whether production is asked what it serves. */
  readonly served: boolean
  /** Whether records that an earlier audit verified are verified again. */
  readonly fromStart: boolean
}

export type VerifyEvent = {
  /** What was found stands; the next audit begins where this one began. */
  readonly kind: 'not-remembered'
  readonly file: string
  readonly reason: string
}
type Tell = (event: VerifyEvent) => void

const SERVED: Unchecked = { rules: ['served'], what: 'asked with --served only' }
/** A move may land between two fetches; then the ledger has grown, and is looked at once more. */
const LOOKS = 3

export async function verify(caller: Caller, options: VerifyOptions, tell: Tell): Promise<AuditReport> {
  const { audit, served } = await auditRemote(caller, options, tell)
  return reportOf(audit, {
    remote: withoutSecrets(options.remote),
    now: Date.now(),
    since: options.since,
    unchecked: served.unchecked,
    findings: served.findings,
  })
}

async function auditRemote(caller: Caller, options: VerifyOptions, tell: Tell) {
  for (let look = 1; ; look++) {
    const source = await openAuditSource(caller, {
      ...options,
      history: true,
      mayBeGone: options.anchors !== null,
    })
    try {
      const audit = await auditSource(caller, source, options, tell)
      const isMoved = audit.findings.some(
        ({ rule, grade }) => rule === 'release-ref' && grade === 'violation',
      )
      if (isMoved && !options.offline && look < LOOKS && (await hasGrown(caller, source, options))) continue
      return { audit, served: await served(caller, audit, options) }
    } finally {
      source.close()
    }
  }
}

/** Few ask, and what speaks HTTP takes a while to load. */
async function served(caller: Caller, audit: LedgerAudit, options: VerifyOptions) {
  if (!options.served) return { findings: [], unchecked: [SERVED] }
  const { checkServed } = await import('../../audit/served-check.ts')
  return checkServed(audit, await namedHosts(new ClientRepository(caller)))
}

async function auditCommit(
  caller: Caller,
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
  const commit = isOid(name) ? name : await new ClientRepository(caller).resolveCommit(name)
  return verifyCommit({ repository, tip, snapshot, branches, anchors, commit })
}

async function auditSource(
  caller: Caller,
  source: AuditSource,
  { anchors, fromStart, commit }: VerifyOptions,
  tell: Tell,
): Promise<LedgerAudit> {
  if (commit !== undefined) return auditCommit(caller, source, commit, anchors)
  const known = source.copy.read()
  const { repository, tip, snapshot, branches } = source
  const audit = await verifyLedger({
    repository,
    tip,
    snapshot,
    branches,
    anchors,
    remembered: known,
    fromStart,
    now: Date.now(),
    seenAt: source.seenAt,
    readReleaseLog: parseReleaseLog,
  })
  if (audit.remember !== null) await remember(source, audit.remember, tell)
  return audit
}

/** The findings stand, whether or not the audit can be remembered: the caller may have no right to write in this clone. */
async function remember({ copy, keep }: AuditSource, audit: Remembered, tell: Tell): Promise<void> {
  try {
    copy.write(audit)
    await keep(audit.tip)
  } catch (error) {
    const isOfSystem = typeof (error as NodeJS.ErrnoException).syscall === 'string'
    if (!isOfSystem && !(error instanceof HeadgateError)) throw error
    tell({ kind: 'not-remembered', file: copy.file, reason: (error as Error).message })
  }
}

async function hasGrown(
  caller: Caller,
  { tip, branches }: AuditSource,
  options: VerifyOptions,
): Promise<boolean> {
  const again = await openAuditSource(caller, { ...options, mayBeGone: true })
  again.close()
  return again.tip !== tip || again.branches?.release !== branches?.release
}

/** Whether a receipt holds by itself, and by what the auditor knows from elsewhere. */
export function verifyReceipt(
  caller: Caller,
  file: string,
  anchors: TrustAnchors | null,
): Promise<ReceiptVerdict> {
  return checkReceipt(readWhole(caller, file, 'the receipt', MAX_RECEIPT_BYTES), anchors)
}

export function readTrust(caller: Caller, file: string): TrustAnchors {
  return parseTrustAnchors(readWhole(caller, file, 'the trust file', MAX_TRUST_BYTES).toString('utf8'))
}

function readWhole({ folder }: Caller, file: string, what: string, maxBytes: number): Buffer {
  const path = resolve(folder, file)
  try {
    if (statSync(path).size <= maxBytes) return readFileSync(path)
  } catch (cause) {
    throw new HeadgateError('usage', `${what} ${printable(file, 300)} cannot be read`, {
      hint: 'name a file that exists',
      cause,
    })
  }
  throw new HeadgateError('data', `${what} ${printable(file, 300)} has more than ${maxBytes} bytes`)
}
