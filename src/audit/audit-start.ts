/** Where an audit begins: what is known from elsewhere and from before, and whether there is a ledger at all. */
import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import { emptyState } from '../core/state.ts'
import type { GitRepository } from '../git/repository.ts'
import { SealKeys } from '../guard/seal-check.ts'
import { LedgerTree, stateFile } from '../ledger/ledger-tree.ts'
import { keyLine } from '../signing/key-line.ts'
import { AUDIT_RULES, type AuditRule, Findings, type Unchecked } from './finding.ts'
import type { Remembered } from './remembered.ts'
import { missingRecords, parseSealKey, type TrustAnchors } from './trust-anchors.ts'
import type { LedgerAudit, VerifyInput } from './verify-ledger.ts'

/** What the name of a ledger stands for where that is no ledger commit, in words; null where it is one. */
export async function objectionToTip(repository: GitRepository, tip: Oid | null): Promise<string | null> {
  if (tip === null) return 'there is no ledger'
  const type = (await repository.objects().info(tip))?.type ?? null
  if (type === 'commit') return null
  return `the ledger's ref names ${type === null ? 'what is not here' : `a ${type}`}, not a ledger commit`
}

/** Where no record could be read, no rule was checked but those that have a finding. */
export function nothingRead(findings: Findings): Unchecked {
  const rules = (Object.keys(AUDIT_RULES) as AuditRule[]).filter(
    (rule) => findings.count('violation', rule) === 0,
  )
  return { rules, what: 'there is no record to read' }
}

/** What an audit says where there is no ledger to read. Nothing that was expected of it is there. */
export async function withoutLedger(
  { repository, remembered, anchors }: VerifyInput,
  objection: string,
): Promise<LedgerAudit> {
  const findings = new Findings()
  if (remembered !== null)
    missesCopy(remembered, (await repository.objects().info(remembered.tip)) !== null, findings)
  missingRecords(anchors?.records ?? new Map(), 0, findings)
  findings.add({
    grade: 'violation',
    rule: 'record',
    found: `${objection}: no record is there to verify`,
    fix: 'ask the server admin, and compare with the copies of others',
  })
  return {
    findings: findings.all(),
    head: { seq: 0, hash: '' },
    state: emptyState,
    inForce: null,
    records: { now: 0, before: 0 },
    moves: [],
    sealKey: null,
    stoppedAt: null,
    unchecked: [nothingRead(findings)],
    remember: null,
  }
}

/** The copy that was verified last, if the ledger extends it; a violation and null if not. */
export async function stillThere(
  { repository, remembered, tip }: Pick<VerifyInput, 'repository' | 'remembered'> & { readonly tip: Oid },
  findings: Findings,
): Promise<Remembered | null> {
  if (remembered === null) return null
  const known = await repository.objects().info(remembered.tip)
  if (known?.type === 'commit' && (await repository.isAncestor(remembered.tip, tip))) return remembered
  missesCopy(remembered, known !== null, findings)
  return null
}

/** Says that what was verified last is not in the ledger any more, or that there is none. */
function missesCopy({ head, tip, verifiedAt }: Remembered, isKept: boolean, findings: Findings): void {
  const { seq, hash } = head
  findings.add({
    grade: 'violation',
    rule: 'copy',
    record: seq,
    found: `the ledger was rewritten, shortened or taken away: it does not hold what was verified at ${verifiedAt}, up to record ${seq} with the hash ${hash} (ledger commit ${shortOid(tip)})`,
    fix: `ask the server admin; the copy that was verified last is ${isKept ? 'kept here, and' : 'gone from here, but'} others may have theirs`,
  })
}

/** Whether what the auditor knows from elsewhere leaves nothing to look for in what was verified before. */
export function isCovered(anchors: TrustAnchors | null, { sealKeys, head }: Remembered): boolean {
  if (anchors === null) return true
  const named = anchors.sealKeys.map((key) => keyLine(key))
  const pinned = [...anchors.records.keys()].some((seq) => seq <= head.seq)
  return !pinned && (named.length === 0 || sealKeys.every((line) => named.includes(line)))
}

export async function openStart({ repository }: Pick<VerifyInput, 'repository'>, remembered: Remembered) {
  const tree = await LedgerTree.open(() => repository.objects(), remembered.tip)
  const policy = await tree.policyInForce()
  const same = sha256(stateFile(tree.head, tree.state)) === remembered.stateDigest
  if (!same || policy === null) {
    throw new HeadgateError('data', 'what is remembered of the last audit does not fit the ledger it names', {
      hint: 'verify from the beginning: headgate verify --full',
    })
  }
  return { state: tree.state, policy, root: await rootOf(repository, remembered.tip) }
}

/** The id of a commit's tree. */
async function rootOf(repository: GitRepository, commit: Oid): Promise<Oid> {
  const root = await repository.objects().info(`${commit}^{tree}`)
  if (root === null) throw new HeadgateError('data', `the tree of ledger commit ${commit} is missing`)
  return root.oid
}

export function sealKeysOf(anchors: TrustAnchors | null, remembered: Remembered | null): SealKeys {
  const named = anchors?.sealKeys ?? []
  if (remembered === null) return new SealKeys(named)
  const known = remembered.sealKeys.map((line) => parseSealKey(line))
  // The keys that the auditor names count; without any, those that sealed before.
  if (named.length === 0) return new SealKeys(known, remembered.sealKey)
  const last = known[remembered.sealKey]
  return new SealKeys(
    named,
    Math.max(
      0,
      named.findIndex((key) => last !== undefined && key.blob.equals(last.blob)),
    ),
  )
}

export function pinnedAfter(anchors: TrustAnchors | null, seq: number): Map<number, string> {
  return new Map([...(anchors?.records ?? [])].filter(([number]) => number > seq))
}
