/**
 * The audit of a whole ledger, or of what came since the last one: every record, every signature, every decision, and
 * the branches as they are now. It reads the ledger once, in order, in bounded memory.
 */
import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import { shortRef } from '../core/explain.ts'
import type { Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { emptyState, type LedgerState } from '../core/state.ts'
import { CommitAncestry } from '../git/commit-ancestry.ts'
import { isPartial, missingObject } from '../git/missing-object.ts'
import type { GitRepository } from '../git/repository.ts'
import { gatherHistory } from '../guard/gather-history.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import { auditCommits } from '../ledger/audit-log.ts'
import { EMPTY_HEAD, type Head, type Snapshot } from '../ledger/ledger.ts'
import { stateFile } from '../ledger/ledger-tree.ts'
import { keyLine } from '../signing/key-line.ts'
import type { IsGenuine } from '../signing/sshsig.ts'
import { verifyBatch } from '../signing/verify-batch.ts'
import {
  isCovered,
  nothingRead,
  objectionToTip,
  openStart,
  pinnedAfter,
  sealKeysOf,
  stillThere,
  withoutLedger,
} from './audit-start.ts'
import type { AuditedMove } from './audited-move.ts'
import { checkFormerRelease, checkReleaseRef } from './branch-check.ts'
import { ChainCheck } from './chain-check.ts'
import { CommitHistories } from './commit-histories.ts'
import { type Finding, Findings, NO_KEY, type Unchecked } from './finding.ts'
import { FormerBranches } from './former-branches.ts'
import { GuardForm } from './guard-form.ts'
import { LedgerFiles } from './ledger-files.ts'
import { PolicyBook } from './policy-book.ts'
import { type Begun, RecordAudit } from './record-audit.ts'
import { ReleaseLogAudit } from './release-log-audit.ts'
import { compareEntries, type ReadReleaseLog } from './release-log-entries.ts'
import type { Remembered } from './remembered.ts'
import { StagingHistory } from './staging-history.ts'
import type { TrustAnchors } from './trust-anchors.ts'

/** The guarded branches as they are on the remote, or as this clone knows them. */
export type Branches = {
  readonly staging: Oid | null
  readonly release: Oid | null
  /** Whether they were fetched just now. */
  readonly isFresh: boolean
  /** Those that earlier policies named, by their full names. */
  readonly former?: ReadonlyMap<string, Oid | null>
}

export type VerifyInput = {
  readonly repository: GitRepository
  /** What the ledger's ref names; null where there is none. */
  readonly tip: Oid | null
  /** The ledger at `tip`; null where its state file cannot be read. */
  readonly snapshot: Snapshot | null
  /** Null where they are not known: then nothing is said about them. */
  readonly branches: Branches | null
  readonly anchors: TrustAnchors | null
  readonly remembered: Remembered | null
  /** Whether to read all of it, also what was verified before. */
  readonly fromStart: boolean
  /** The auditor's clock, ms since the epoch. */
  readonly now: number
  /** When the ledger was asked for, by the same clock; null where it was fetched at another time. */
  readonly seenAt: number | null
  /** Reads the entries of the release log; without it they are not compared with the ledger. */
  readonly readReleaseLog?: ReadReleaseLog
}

export type LedgerAudit = {
  readonly findings: readonly Finding[]
  readonly head: Head
  readonly state: LedgerState
  readonly inForce: PolicyInForce | null
  /** Records read now, and those that were verified before. */
  readonly records: { readonly now: number; readonly before: number }
  /** Moves that were authorized in the records read now. */
  readonly moves: readonly AuditedMove[]
  readonly sealKey: { readonly fingerprint: string; readonly isVouched: boolean } | null
  /** The record from which on nothing was decided again; null if all was. */
  readonly stoppedAt: number | null
  /** What was not looked at. */
  readonly unchecked: readonly Unchecked[]
  /** What to remember; null if there is a violation. */
  readonly remember: Remembered | null
}

/** Records whose signatures are checked together: enough to keep every thread busy, few enough to hold. */
const BATCH = 1024
const MAX_BATCH_BYTES = 8 * 1024 * 1024

export async function verifyLedger(input: VerifyInput): Promise<LedgerAudit> {
  const { repository, branches, now, tip } = input
  const objection = await objectionToTip(repository, tip)
  if (tip === null || objection !== null) return withoutLedger(input, objection ?? '')
  const findings = new Findings()
  const copy = await stillThere({ ...input, tip }, findings)
  const isGoingOn = copy?.branches !== undefined && !input.fromStart && isCovered(input.anchors, copy)
  const remembered = isGoingOn ? copy : null
  const start = remembered === null ? null : await openStart(input, remembered)
  const chain = new ChainCheck(findings, {
    last: remembered?.head ?? EMPTY_HEAD,
    latest: remembered?.latest ?? 0,
    pinned: pinnedAfter(input.anchors, remembered?.head.seq ?? 0),
    absent: copy === null || copy.seenAt === null ? null : { after: copy.head.seq, at: copy.seenAt },
    now,
  })
  const isFresh = branches?.isFresh === true
  const tips = [branches?.staging, branches?.release].filter((tip) => typeof tip === 'string')
  // What was released when the last audit ended is behind what was moved since.
  const released = Object.values(start?.state.landed ?? {}).map(({ to }) => to)
  const ancestry = new CommitAncestry(
    repository,
    await present(repository, tips),
    await present(repository, released),
  )
  ancestry.expect(QUESTIONS_A_MOVE * (movesIn(input.snapshot?.state) - movesIn(start?.state)))
  const staging = new StagingHistory(findings, ancestry, isFresh, remembered?.branches?.seen ?? [])
  const { former: known = [], enforced = [] } = remembered?.branches ?? {}
  const former = new FormerBranches(findings, known, enforced)
  const form = new GuardForm(findings, remembered?.isWeaker ?? false)
  const releaseLog = new ReleaseLogAudit(repository, ancestry, findings, {
    before: remembered?.stagingTip ?? null,
    tip: branches?.staging ?? null,
    lastPolicy: input.snapshot?.state.policies.at(-1)?.version ?? null,
  })
  const policies = new PolicyBook(findings)
  const files = new LedgerFiles(repository)
  const seals = sealKeysOf(input.anchors, remembered)
  const isVouched = (input.anchors?.sealKeys.length ?? 0) > 0 || remembered?.isVouched === true
  const histories = new CommitHistories(readerOf(input.snapshot), remembered === null)
  if (start !== null) {
    policies.resume(start.policy, remembered?.branches?.statesKeys === true)
    files.resume(start.policy.policy, start.policy.allowedSigners, start.root)
    for (const finding of remembered?.findings ?? []) findings.add(finding)
  }
  const audit = new RecordAudit(
    { findings, chain, policies, seals, files, histories, staging },
    {
      state: start?.state ?? emptyState,
      commit: remembered?.tip ?? null,
      afterPolicy: remembered?.afterPolicy ?? false,
    },
  )

  let batch: Begun[] = []
  let batchBytes = 0
  let checking: { readonly records: readonly Begun[]; readonly checked: Promise<IsGenuine> } | null = null
  const judge = async () => {
    if (checking === null) return
    const isGenuine = await checking.checked
    for (const begun of checking.records) {
      const { state } = audit
      await audit.finish(begun, ancestry, isGenuine)
      former.add(begun.record, begun.inForce, begun.inForceAfter, state)
      form.add(begun.record)
    }
    checking = null
  }
  /** While the signatures of one batch are checked, the next one is read. */
  const next = async () => {
    await judge()
    const checked = verifyBatch(batch.flatMap(({ signatures }) => signatures))
    // The caller that awaits it gets the error; until then it must not count as unhandled.
    checked.catch(() => {})
    checking = { records: batch, checked }
    batch = []
    batchBytes = 0
  }
  try {
    for await (const commit of auditCommits(repository, tip, remembered?.tip ?? null)) {
      const begun = audit.begin(commit)
      if (begun === null) continue
      releaseLog.add(begun.record, begun.inForceAfter)
      batch.push(begun)
      batchBytes += begun.record.bytes.length
      if (batch.length >= BATCH || batchBytes > MAX_BATCH_BYTES) await next()
    }
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'data') throw error
    if (isPartial(repository.commonDirectory)) throw missingObject(repository.commonDirectory, error.message)
    broken(findings, chain.expected, error)
    audit.stop(chain.expected)
  }
  await next()
  await judge()
  chain.end()
  const before = remembered?.head.seq ?? 0
  const isRead = before > 0 || audit.isRead

  // What is only true of the branches as they are now is found anew each time.
  const lasting = findings.all()
  const unasked: string[] = []
  const inForce = policies.current
  if (branches !== null && inForce !== null && audit.stoppedAt === null) {
    checkReleaseRef(findings, audit.state, inForce, branches)
    await staging.end(inForce.policy.staging, branches.staging)
    for (const { role, ref } of former.all) {
      const tip = branches.former?.get(ref)
      if (tip === undefined) unasked.push(ref)
      else if (role === 'staging') await staging.end(shortRef(ref), tip)
      else {
        const onlyEvaluated = !former.enforced.has(ref)
        checkFormerRelease(findings, audit.state, { ref, tip, isFresh, onlyEvaluated })
      }
    }
    await releaseLog.end(branches.staging, inForce)
    await compareEntries(input, inForce, audit.moves, findings)
  }
  const result = {
    findings: findings.all(),
    head: chain.head,
    state: audit.state,
    inForce,
    records: { now: chain.head.seq - before, before },
    moves: audit.moves,
    sealKey: seals.current === null ? null : { fingerprint: seals.current.fingerprint, isVouched },
    stoppedAt: audit.stoppedAt,
    unchecked: [
      ...(isRead ? [] : [nothingRead(findings)]),
      ...(copy === null && findings.count('violation', 'copy') === 0 ? [NO_COPY] : []),
      ...(isVouched ? [] : [NO_KEY]),
      ...absentMoves(findings.count('note', 'replay')),
      ...uncheckedBranches(branches),
      ...unaskedBranches(unasked),
      ...(staging.unknown > 0 ? [absentTips(staging.unknown)] : []),
      ...releaseLog.unchecked.map((what): Unchecked => ({ rules: ['release-log'], what })),
    ],
  }
  if (findings.count('violation') > 0 || audit.end.commit === null) return { ...result, remember: null }
  const { keys, current } = seals.known
  return {
    ...result,
    remember: {
      version: 1,
      tip: audit.end.commit,
      head: chain.head,
      stateDigest: sha256(stateFile(chain.head, audit.state)),
      sealKeys: keys.map((key) => keyLine(key)),
      sealKey: current,
      isVouched,
      seenAt: input.seenAt ?? input.remembered?.seenAt ?? null,
      latest: chain.latest,
      afterPolicy: audit.end.afterPolicy,
      isWeaker: form.isWeaker,
      branches: {
        statesKeys: inForce?.statesKeys === true,
        former: [...former.all],
        enforced: [...former.enforced],
        seen: [...staging.last],
      },
      stagingTip: releaseLog.verifiedTo,
      findings: lasting.flatMap((finding) =>
        finding.grade === 'violation' ? [] : [{ ...finding, grade: finding.grade }],
      ),
      counts: { moves: (remembered?.counts.moves ?? 0) + audit.moves.length },
      verifiedAt: new Date(now).toISOString(),
    },
  }
}

function unaskedBranches(refs: readonly string[]): Unchecked[] {
  if (refs.length === 0) return []
  const names = refs.map((ref) => printable(shortRef(ref), 60)).join(', ')
  return [{ rules: ['release-ref', 'staging-ref'], what: `branches that earlier policies named: ${names}` }]
}

const NO_COPY: Unchecked = { rules: ['copy'], what: 'this ledger was not verified here before' }

function absentTips(count: number): Unchecked {
  return { rules: ['staging-ref'], what: `${count} tips of the staging branch, which are not here` }
}

/** Where a commit is not here, what the server said of it is all there is. */
function absentMoves(count: number): Unchecked[] {
  return count === 0 ? [] : [{ rules: ['replay'], what: 'moves of commits that are not here' }]
}

/** What cannot be said of the branches. Of those that the remote was not asked for, nothing that holds now can be said. */
function uncheckedBranches(branches: Branches | null): Unchecked[] {
  if (branches === null)
    return [
      { rules: ['release-ref', 'staging-ref', 'release-log'], what: 'the branches: no policy names them' },
    ]
  if (!branches.isFresh) {
    const what = 'the branches as they are now: these were fetched before'
    return [{ rules: ['release-ref', 'staging-ref', 'release-log'], what }]
  }
  return branches.staging === null ? [{ rules: ['release-log'], what: 'there is no staging branch' }] : []
}

/**
 * An honest ledger tells of a commit within days, while it is kept in memory. One that makes an auditor read everything
 * again for each record is not read to its end.
 */
const MAX_READ_AGAIN = 200_000

function readerOf(snapshot: Snapshot | null): ConstructorParameters<typeof CommitHistories>[0] {
  let readAgain = 0
  return async (commit, seq) => {
    if (snapshot === null) throw new HeadgateError('data', "the ledger's state file cannot be read")
    if (readAgain > MAX_READ_AGAIN)
      throw new HeadgateError('data', 'too many records had to be read a second time')
    const { about } = await gatherHistory(snapshot, commit)
    readAgain += about.length
    return about.filter((record) => record.seq < seq)
  }
}

/** Is the commit on staging, does it contain the one before, does the staging branch contain what it was before. */
const QUESTIONS_A_MOVE = 3

/** Moves that landed, as the ledger's state counts them. Only how much is prepared depends on it. */
function movesIn(state: LedgerState | undefined): number {
  return Object.values(state?.counts ?? {}).reduce((sum, count) => sum + count, 0)
}

async function present(repository: GitRepository, tips: readonly Oid[]): Promise<Oid[]> {
  const found: Oid[] = []
  for (const tip of tips)
    if ((await repository.objects().info(tip))?.type === 'commit' && !found.includes(tip)) found.push(tip)
  return found
}

function broken(findings: Findings, seq: number, error: HeadgateError): void {
  findings.add({
    grade: 'violation',
    rule: 'record',
    record: seq,
    found: `the ledger cannot be read on: ${error.message}`,
    fix: 'ask the server admin, and compare with the copies of others',
  })
}
