/** The entries of the release log against the ledger, both ways. Who reads the entries is passed in. */
import type { Oid } from '../core/oid.ts'
import { shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { AUDIT_LIMITS } from '../git/gather-log-steps.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { Snapshot } from '../ledger/ledger.ts'
import { type AuditedMove, closeMove, moveOf } from './audited-move.ts'
import type { Findings } from './finding.ts'
import type { VerifyInput } from './verify-ledger.ts'

/** What an entry says of a move. */
export type LoggedMove = {
  readonly kind: string
  readonly commit: Oid
  /** Null where the release branch was created. */
  readonly from: Oid | null
  /** When it was authorized, RFC 3339. */
  readonly at: string
  readonly operator: string
  readonly waived: readonly string[]
  readonly approvedBy: readonly string[]
  /** The authorization's record. */
  readonly record: number
}

/** Reads a log. What is meant as an entry and cannot be read is a problem. */
export type ReadReleaseLog = (bytes: Uint8Array) => {
  readonly entries: readonly { readonly line: number; readonly entry: LoggedMove }[]
  readonly amendments: readonly { readonly line: number; readonly amendment: LoggedSmoke }[]
  readonly problems: readonly { readonly line: number; readonly message: string }[]
}

/** What completes an entry: a run against production that was recorded after it was written. */
export type LoggedSmoke = {
  readonly commit: Oid
  /** The authorization's record. */
  readonly record: number
  readonly smoke: { readonly record: number; readonly result: string }
}

/** Far above a log that people read; what is larger is not one. */
const MAX_LOG_BYTES = AUDIT_LIMITS.logBytes

/** The log at the tip of the staging branch, where there is one. */
export async function compareEntries(
  { repository, branches, snapshot, readReleaseLog }: VerifyInput,
  { policy }: PolicyInForce,
  moves: readonly AuditedMove[],
  findings: Findings,
): Promise<void> {
  const tip = branches?.staging ?? null
  if (readReleaseLog === undefined || tip === null) return
  const path = policy.releaseLog
  const { size = 0 } = (await repository.objects().info(`${tip}:${path}`)) ?? {}
  if (size > MAX_LOG_BYTES) {
    findings.add({
      grade: policy.enforcement === 'evaluate' ? 'exception' : 'violation',
      rule: 'release-log',
      record: null,
      commit: tip,
      found: `${printable(path)} has ${size} bytes, and up to ${MAX_LOG_BYTES} are read: its entries were not compared`,
      fix: 'a policy that names another file as releaseLog begins a new log',
    })
    return
  }
  const file = await repository.objects().read(`${tip}:${path}`, MAX_LOG_BYTES)
  if (file?.type !== 'blob') return
  await compareReleaseLog(readReleaseLog(file.body), { path, moves, snapshot, findings })
}

async function compareReleaseLog(
  log: ReturnType<ReadReleaseLog>,
  {
    path,
    moves,
    snapshot,
    findings,
  }: {
    readonly path: string
    /** The moves of the records that were read now. */
    readonly moves: readonly AuditedMove[]
    /** For moves that were verified before. */
    readonly snapshot: Snapshot | null
    readonly findings: Findings
  },
): Promise<void> {
  const known = new Map(moves.map((move) => [move.record, move]))
  const logged = new Map<number, number>()
  const add = (line: number, entry: LoggedMove | LoggedSmoke | null, found: string) =>
    findings.add({
      grade: 'violation',
      rule: 'release-log',
      record: entry?.record ?? null,
      at: entry !== null && 'at' in entry ? entry.at : null,
      commit: entry?.commit ?? null,
      found: `${printable(path)}:${line}: ${found}`,
      fix: 'the ledger is what counts: say below the entry what is wrong with it, and find out who wrote it',
    })
  for (const { line, message } of log.problems) add(line, null, `the entry ${printable(message, 300)}`)
  for (const { line, entry } of log.entries) {
    const earlier = logged.get(entry.record)
    if (earlier !== undefined)
      add(line, entry, `record ${entry.record} has an entry in line ${earlier} already`)
    logged.set(entry.record, earlier ?? line)
    const move = known.get(entry.record) ?? (await recordedMove(snapshot, entry))
    const objection = objectionTo(entry, move)
    if (objection !== null) add(line, entry, objection)
  }
  for (const { line, amendment } of log.amendments) {
    const objection = await objectionToSmoke(amendment, logged, snapshot)
    if (objection !== null) add(line, amendment, objection)
  }
  // Entries may be written later, and a log may begin later than the ledger: only a gap tells of something left out.
  const numbers = [...logged.keys()]
  const [first, last] = [Math.min(...numbers), Math.max(...numbers)]
  for (const { record, kind, at, to, outcome } of moves) {
    if (record <= first || record >= last || logged.has(record)) continue
    if (kind === 'bootstrap' || outcome !== 'landed') continue
    findings.add({
      grade: 'note',
      rule: 'release-log',
      record,
      at,
      commit: to,
      found: `${printable(path)} has no entry of this ${kind}, and has some before and after it`,
      fix: 'it was pushed without one: add what should be known of it',
    })
  }
}

function objectionTo(entry: LoggedMove, move: AuditedMove | null): string | null {
  const what = `record ${entry.record}`
  if (move === null) return `${what} is no move of the ledger`
  if (move.outcome !== 'landed') return `the move of ${what} has not landed`
  if (move.kind !== entry.kind) return `${what} is a ${move.kind}, not a ${printable(entry.kind, 40)}`
  if (move.to !== entry.commit)
    return `${what} moved to ${shortOid(move.to)}, not to ${shortOid(entry.commit)}`
  const from = /^0+$/.test(move.from) ? null : move.from
  if (from !== entry.from)
    return `${what} moved from ${from ?? 'nothing'}, not from ${entry.from ?? 'nothing'}`
  if (Date.parse(move.at) !== Date.parse(entry.at))
    return `${what} was made at ${move.at}, not at ${printable(entry.at, 40)}`
  const operator = printable(entry.operator, 80)
  if (move.by !== operator) return `${what} was pushed by ${move.by}, not by ${operator}`
  const waived = namesOf(move.waived)
  if (waived !== namesOf(entry.waived)) return `${what} waived ${waived}, not ${namesOf(entry.waived)}`
  const approvedBy = namesOf(move.approvedBy)
  if (approvedBy === namesOf(entry.approvedBy)) return null
  return `${what} was approved by ${approvedBy}, not by ${namesOf(entry.approvedBy)}`
}

function namesOf(names: readonly string[]): string {
  return [...new Set(names.map((name) => printable(name, 80)))].join(', ') || 'nobody'
}

/** Evidence is recorded about the commit that was moved to, after the move. */
async function objectionToSmoke(
  { commit, record, smoke }: LoggedSmoke,
  logged: ReadonlyMap<number, number>,
  snapshot: Snapshot | null,
): Promise<string | null> {
  if (!logged.has(record)) return `record ${record} has no entry that this could complete`
  if (snapshot === null) return null
  const about = await snapshot.about(commit)
  const move = about.find(({ seq }) => seq === record)
  const run = about.find(({ seq }) => seq === smoke.record)?.statement
  if (move === undefined || moveOf(move)?.to !== commit)
    return `record ${record} moved nothing to ${shortOid(commit)}`
  if (run?.kind !== 'evidence' || run.predicate.headgate.environment !== 'production')
    return `record ${smoke.record} is no run against production of ${shortOid(commit)}`
  const { result } = run.predicate
  if (smoke.record < record) return `record ${smoke.record} is older than the move`
  return result === smoke.result ? null : `record ${smoke.record} is a run that ${result}`
}

async function recordedMove(
  snapshot: Snapshot | null,
  { commit, record }: LoggedMove,
): Promise<AuditedMove | null> {
  const about = (await snapshot?.about(commit)) ?? []
  const authorization = about.find(({ seq }) => seq === record)
  const move = authorization === undefined ? null : moveOf(authorization)
  return move === null ? null : about.reduce((known, other) => closeMove(known, other), move)
}
