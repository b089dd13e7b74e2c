/**
 * Everything the ledger says about one commit, without reading the rest: each record's form, place, seal and signature,
 * and each move to it decided again. Whether the chain holds, only an audit of the whole ledger tells.
 */
import { HeadgateError } from '../core/errors.ts'
import type { HistoryRecord } from '../core/history.ts'
import type { Oid } from '../core/oid.ts'
import { emptyState } from '../core/state.ts'
import { CommitAncestry } from '../git/commit-ancestry.ts'
import type { GitRepository } from '../git/repository.ts'
import { gatherHistory, isSubmitted } from '../guard/gather-history.ts'
import { parsePolicyFiles, readPolicyOf } from '../guard/policy-in-force.ts'
import { checkSeal, checkServerEnvelope, parseSeal, SealKeys } from '../guard/seal-check.ts'
import { commitOfRecord, entryOf } from '../ledger/audit-log.ts'
import type { LedgerRecord, Snapshot } from '../ledger/ledger.ts'
import { LedgerTree, parseEntry } from '../ledger/ledger-tree.ts'
import { parseSignatures } from '../signing/envelope-verify.ts'
import type { SshKey } from '../signing/ssh-key.ts'
import { type AuditedMove, closeMove, moveOf } from './audited-move.ts'
import { checkAuthorization } from './authorization-check.ts'
import { CommitHistories } from './commit-histories.ts'
import { type AuditRule, Findings, NO_KEY } from './finding.ts'
import { parseSealKey, type TrustAnchors } from './trust-anchors.ts'
import type { Branches, LedgerAudit } from './verify-ledger.ts'

export type CommitRecord = {
  readonly record: number
  readonly at: string
  readonly by: string
  readonly kind: string
  /** Where a run was made; null where it does not say, and of everything else. */
  readonly url: string | null
  /** Who signed it, by the keys of that time; null where no trusted key did. */
  readonly signer: string | null
}

export async function verifyCommit(input: {
  readonly repository: GitRepository
  readonly tip: Oid
  readonly snapshot: Snapshot
  readonly branches: Branches | null
  readonly anchors: TrustAnchors | null
  readonly commit: Oid
}): Promise<LedgerAudit & { readonly about: readonly CommitRecord[] }> {
  const { repository, tip, snapshot, branches, anchors, commit } = input
  const findings = new Findings()
  const records = await snapshot.about(commit)
  if (records.length === 0) {
    throw new HeadgateError('refused', `the ledger says nothing about ${commit}, and that proves nothing`, {
      hint: 'headgate log lists the commits that moved',
    })
  }
  const { about } = await gatherHistory(snapshot, commit)
  const signers = new Map(about.map((record) => [record.seq, record.signer]))
  const known = anchors?.sealKeys ?? []
  const isVouched = known.length > 0
  const seals = new SealKeys(isVouched ? known : await namedKeys(repository, tip, snapshot))
  const tips = [branches?.staging, branches?.release].filter((name) => typeof name === 'string')
  const ancestry = new CommitAncestry(repository, tips)
  const histories = new CommitHistories(async (_, seq) => before(about, seq), false)
  let moves: AuditedMove[] = []
  for (const record of records) {
    const sealedBy = await checkRecord(record, signers.get(record.seq), seals, anchors, findings)
    const move = moveOf(record)
    if (move !== null) {
      moves.push(move)
      await replayOne(input, record, sealedBy, findings, histories, ancestry)
    }
    moves = moves.map((known) => closeMove(known, record))
  }
  const files = await snapshot.policyInForce()
  return {
    findings: findings.all(),
    head: snapshot.head,
    state: snapshot.state,
    inForce: files === null ? null : parsePolicyFiles(files),
    records: { now: records.length, before: 0 },
    moves,
    sealKey: seals.current === null ? null : { fingerprint: seals.current.fingerprint, isVouched },
    stoppedAt: null,
    unchecked: [
      { rules: REST, what: `all records but the ${records.length} about ${commit.slice(0, 7)}` },
      ...(isVouched ? [] : [NO_KEY]),
    ],
    remember: null,
    about: records.map(({ seq, at, by, statement }) => {
      const signer = signers.get(seq)
      return {
        record: seq,
        at,
        by,
        kind: statement.kind,
        url: statement.kind === 'evidence' ? (statement.predicate.headgate.baseUrl ?? null) : null,
        signer: signer?.trusted === true ? signer.principal : null,
      }
    }),
  }
}

/** What nothing is said about: it takes all records, or the branches. */
const REST: readonly AuditRule[] = [
  'copy',
  'chain',
  'tree',
  'message',
  'state',
  'clock',
  'policy',
  'statement',
  'outcome',
  'release-ref',
  'staging-ref',
  'release-log',
  'installation',
]

async function checkRecord(
  record: LedgerRecord,
  signer: HistoryRecord['signer'] | undefined,
  seals: SealKeys,
  anchors: TrustAnchors | null,
  findings: Findings,
): Promise<string | null> {
  const { seq, at, statement } = record
  const seal = checkSeal(parseSeal(record))
  const key = seal.key?.fingerprint ?? null
  const add = (rule: 'seal' | 'signature' | 'copy', found: string, fix: string) =>
    findings.add({ grade: 'violation', rule, record: seq, at, commit: statement.commit, key, found, fix })
  const ask = 'ask the server admin, and verify the whole ledger: headgate verify --full'
  const objection = seal.key === null ? null : seals.objectionTo(seal.key)
  if (seal.problem !== null) add('seal', `its seal does not hold: ${seal.problem}`, ask)
  else if (objection !== null) add('seal', `it is sealed by ${key}, and ${objection}`, ask)
  const pinned = anchors?.records.get(seq)
  if (pinned !== undefined && pinned !== record.hash)
    add('copy', `it has the hash ${record.hash}, and the trust file says ${pinned}`, ask)
  if (isSubmitted(statement.kind)) {
    if (signer?.trusted !== true)
      add('signature', `the ${statement.kind} is not signed by a trusted key: ${signer?.reason}`, ask)
  } else if (seal.key !== null) {
    const problem = checkServerEnvelope(parseSignatures(record.envelope), seal.key)
    if (problem !== null) add('signature', `the server's ${statement.kind} does not hold: ${problem}`, ask)
  }
  return key
}

/** The move, decided by the state in the ledger commit before it. */
async function replayOne(
  { repository, tip, snapshot }: Parameters<typeof verifyCommit>[0],
  record: LedgerRecord,
  sealedBy: string | null,
  findings: Findings,
  histories: CommitHistories,
  ancestry: CommitAncestry,
): Promise<void> {
  const { seq, at, statement } = record
  try {
    const parent = await commitOfRecord(repository, tip, snapshot.head.seq, seq - 1)
    const tree = parent === null ? null : await LedgerTree.open(() => repository.objects(), parent)
    if (tree !== null && tree.head.seq !== seq - 1)
      throw new HeadgateError('data', `the ledger commit before it is not that of record ${seq - 1}`)
    const inForce = tree === null ? null : await readPolicyOf(tree)
    if (inForce === null) throw new HeadgateError('data', 'no policy was in force')
    const state = tree?.state ?? emptyState
    const afterPolicy = state.policies.at(-1)?.seq === seq - 1
    await checkAuthorization({ record, sealedBy, inForce, state, afterPolicy, findings }, histories, ancestry)
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code === 'unavailable') throw error
    findings.add({
      grade: 'violation',
      rule: 'replay',
      record: seq,
      at,
      commit: statement.commit,
      key: sealedBy,
      found: `it cannot be decided again: ${error.message}`,
      fix: 'verify the whole ledger: headgate verify --full',
    })
  }
}

function before(about: readonly HistoryRecord[], seq: number): HistoryRecord[] {
  return about.filter((record) => record.seq < seq)
}

/** The seal keys that the policies name, in order: only the ledger itself vouches for them. */
async function namedKeys(repository: GitRepository, tip: Oid, { state, head }: Snapshot): Promise<SshKey[]> {
  const lines: string[] = []
  for (const { seq } of state.policies.slice(-MAX_POLICIES)) {
    const entry = await entryOf(repository, tip, head.seq, seq)
    const statement = entry === null ? null : parseEntry(entry.path, entry.bytes).statement
    if (statement?.kind === 'policy' && !lines.includes(statement.predicate.sealKey))
      lines.push(statement.predicate.sealKey)
  }
  return lines.map((line) => parseSealKey(line))
}

/** Each costs a walk of the ledger's commits. */
const MAX_POLICIES = 20
