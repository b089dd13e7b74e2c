/**
 * One record after another, in order. What each record must be by itself and after the one before is checked when it
 * comes; the caller has the signatures of many checked at once; then each is judged by everything before it.
 */
import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import type { HistoryRecord, Signer } from '../core/history.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { Voice } from '../core/single-use.ts'
import { advanceState, type LedgerState } from '../core/state.ts'
import type { Statement, SubmittedKind } from '../core/statement.ts'
import type { CommitAncestry } from '../git/commit-ancestry.ts'
import { isSubmitted } from '../guard/gather-history.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import { checkSeal, checkServerEnvelope, type SealKeys, type SealVerdict } from '../guard/seal-check.ts'
import type { AuditedCommit } from '../ledger/audit-log.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import { parseEntry } from '../ledger/ledger-tree.ts'
import { envelopePart } from '../ledger/record.ts'
import type { SshKey } from '../signing/ssh-key.ts'
import type { IsGenuine } from '../signing/sshsig.ts'
import { type AuditedMove, closeMove, moveOf } from './audited-move.ts'
import { checkAuthorization } from './authorization-check.ts'
import type { ChainCheck } from './chain-check.ts'
import type { CommitHistories } from './commit-histories.ts'
import type { AuditRule, Findings } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import type { PolicyBook } from './policy-book.ts'
import { type RecordSignatures, signaturesOf, signerOf } from './record-signatures.ts'
import type { StagingHistory } from './staging-history.ts'
import { objectionToStatement } from './statement-check.ts'

export type RecordAuditParts = {
  readonly findings: Findings
  readonly chain: ChainCheck
  readonly policies: PolicyBook
  readonly seals: SealKeys
  readonly files: LedgerFiles
  readonly histories: CommitHistories
  readonly staging: StagingHistory
}

/** Where an audit begins: the folded state, the ledger commit it belongs to, and whether that put a policy in force. */
export type AuditStart = {
  readonly state: LedgerState
  readonly commit: Oid | null
  readonly afterPolicy: boolean
}

/** A record whose signatures are to be checked. */
export type Begun = RecordSignatures & {
  readonly commit: AuditedCommit
  readonly record: LedgerRecord
  readonly inForce: PolicyInForce | null
  /** After the record: another one where it is a policy. */
  readonly inForceAfter: PolicyInForce | null
  readonly afterPolicy: boolean
  /** Whether all before it was whole, so that it can be judged by that. */
  readonly isSound: boolean
}

export class RecordAudit {
  readonly #parts: RecordAuditParts
  /** Records of what was submitted, by digest of the statement and by name of the signer, and by key. */
  readonly #statements = new Map<string, number>()
  readonly #moves = new Map<number, AuditedMove>()
  #state: LedgerState
  #isSound = true
  #isRead = false
  #lastCommit: Oid | null
  #afterPolicy: boolean
  #stopped: number | null = null

  constructor(parts: RecordAuditParts, start: AuditStart) {
    this.#parts = parts
    this.#state = start.state
    this.#lastCommit = start.commit
    this.#afterPolicy = start.afterPolicy
  }

  /** Where another audit may go on. */
  get end(): AuditStart {
    return { state: this.#state, commit: this.#lastCommit, afterPolicy: this.#afterPolicy }
  }

  get state(): LedgerState {
    return this.#state
  }

  /** The moves that were authorized, in order. */
  get moves(): readonly AuditedMove[] {
    return [...this.#moves.values()]
  }

  /** The record from which on nothing was judged any more, since the ledger is broken there; null if none. */
  get stoppedAt(): number | null {
    return this.#stopped
  }

  /** Whether any record could be read. */
  get isRead(): boolean {
    return this.#isRead
  }

  /** Says that the ledger cannot be read on from a record. */
  stop(seq: number): void {
    this.#break(seq)
  }

  /** What can be said before any signature is checked. Null if there is no record. Call it in order. */
  begin(commit: AuditedCommit): Begun | null {
    const { chain, policies } = this.#parts
    const seq = chain.expected
    const [parent = null] = commit.parents
    if (parent !== this.#lastCommit)
      this.#object('chain', seq, `ledger commit ${commit.oid} is not on top of the one before`)
    this.#lastCommit = commit.oid
    const record = this.#parse(commit, seq)
    if (record === null) {
      chain.skip()
      this.#break(seq)
      return null
    }
    this.#isRead = true
    if (!chain.next(record)) this.#break(record.seq)
    const inForce = policies.current
    const afterPolicy = this.#afterPolicy
    this.#afterPolicy = record.statement.kind === 'policy'
    const isSound = this.#isSound
    const signed = signaturesOf(record, inForce)
    if (record.seq === 1 && record.statement.kind !== 'policy')
      this.#object('policy', 1, 'the first record puts no policy in force')
    if (!policies.add(record)) this.#break(record.seq + 1)
    const inForceAfter = policies.current
    return { commit, record, inForce, inForceAfter, afterPolicy, isSound, ...signed }
  }

  /** Judges a record by everything before it. Call it in order, each when the one before has ended. */
  async finish(begun: Begun, ancestry: CommitAncestry, isGenuine: IsGenuine): Promise<void> {
    const { commit, record, inForce, inForceAfter, afterPolicy, isSound } = begun
    const { findings, files, histories, staging } = this.#parts
    const seal = checkSeal(begun.seal, isGenuine)
    const signer = this.#signerOf(begun, seal.key, isGenuine)
    const sealedBy = this.#judgeSeal(record, seal)
    const before = this.#state
    const { statement, seq } = record
    if (isSubmitted(statement.kind)) {
      this.#judgeSigner(record, signer, inForce, isSound)
      if (isSound && signer.trusted) await this.#judgeNovelty(record, signer)
    } else if (statement.kind !== 'policy' && inForce !== null && isSound)
      this.#judgeRepository(record, inForce)
    this.#follow(record)
    // After a gap, each later record would be called wrong only because others are missing.
    if (!isSound) return
    this.#judgeOutcome(record, before)
    if (statement.kind === 'authorization' && inForce !== null) {
      const input = { record, sealedBy, inForce, state: before, afterPolicy, findings }
      await checkAuthorization(input, histories, ancestry)
    }
    await staging.add(record, inForceAfter)
    this.#state = advanceState(before, record)
    for (const { rule, found } of await files.check(commit, record, this.#state, inForceAfter))
      this.#object(rule, seq, found, record)
    const at = Date.parse(record.at)
    const { by } = record
    if (isAboutMoves(statement))
      histories.add(
        statement.commit,
        { seq, at, by, statement, envelopeDigest: sha256(envelopePart(record)), signer },
        record.bytes.length,
      )
  }

  #parse(commit: AuditedCommit, seq: number): LedgerRecord | null {
    if (commit.entry === null) {
      this.#object('record', seq, `ledger commit ${commit.oid} ${printable(commit.problem, 300)}`)
      return null
    }
    try {
      return parseEntry(commit.entry.path, commit.entry.bytes)
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      this.#object('record', seq, error.message)
      return null
    }
  }

  #signerOf(
    { record, envelope, inForce }: Begun,
    sealKey: SshKey | null,
    isGenuine: IsGenuine,
  ): Signer & { key?: string | null } {
    const { kind } = record.statement
    if (isSubmitted(kind)) return signerOf(record, envelope, { kind, inForce, isGenuine })
    if (sealKey === null) return SERVER
    const problem = checkServerEnvelope(envelope, sealKey, isGenuine)
    const key = sealKey.fingerprint
    if (problem === null) return { ...SERVER, fingerprint: key, key }
    this.#object('signature', record.seq, `the server's ${kind} does not hold: ${problem}`, record, key)
    return SERVER
  }

  #judgeSeal(record: LedgerRecord, seal: SealVerdict): string | null {
    const { seals } = this.#parts
    const key = seal.key?.fingerprint ?? null
    const object = (found: string) => this.#object('seal', record.seq, found, record, key)
    if (seal.problem !== null || seal.key === null) {
      object(`its seal does not hold: ${seal.problem}`)
      return key
    }
    const named = record.statement.kind === 'policy' ? record.statement.predicate.sealKey : null
    if (named !== null && !named.startsWith(`${seal.key.type} ${seal.key.blob.toString('base64')}`))
      object(`its policy names another seal key than the one that sealed it, ${key}`)
    if (seals.isEmpty) seals.adopt(seal.key)
    const objection = seals.objectionTo(seal.key)
    if (objection !== null) object(`it is sealed by ${key}, and ${objection}`)
    return key
  }

  #judgeSigner(
    record: LedgerRecord,
    signer: Signer & { key?: string | null },
    inForce: PolicyInForce | null,
    isSound: boolean,
  ): void {
    const statement = record.statement as Statement<SubmittedKind>
    const key = signer.key ?? null
    if (!signer.trusted) {
      const found = `the ${statement.kind} is not signed by a trusted key: ${signer.reason}`
      this.#object('signature', record.seq, found, record, key)
      return
    }
    if (inForce === null || !isSound) return
    const at = Date.parse(record.at)
    const { principal } = signer
    const circumstances = { policy: inForce.policy, state: this.#state, principal, at }
    const objection = objectionToStatement(statement, circumstances)
    if (objection !== null)
      this.#object('statement', record.seq, `the ${statement.kind} must not count: ${objection}`, record, key)
    else if (statement.kind === 'drift') {
      this.#parts.findings.add({
        grade: 'exception',
        rule: 'release-ref',
        record: record.seq,
        at: record.at,
        commit: statement.commit,
        key,
        found: `${printable(principal, 80)} accepted that the branch was moved behind the guard, from ${statement.predicate.expected} to ${statement.predicate.found}: ${printable(statement.predicate.reason, 300)}`,
        fix: 'ask whether the reason holds',
      })
    }
  }

  /** The server records a signed statement once, however often it is sent. */
  async #judgeNovelty(record: LedgerRecord, signer: Voice): Promise<void> {
    const { statement, seq } = record
    const names = [signer.principal, signer.fingerprint].map((name) => `${statement.payloadDigest} ${name}`)
    const known = names.map((name) => this.#statements.get(name)).find((one) => one !== undefined)
    const earlier = known ?? (await this.#parts.histories.earlier(record, signer))
    for (const name of names) this.#statements.set(name, seq)
    if (earlier === null) return
    const found = `the same ${statement.kind} by ${printable(signer.principal, 80)}, or by the same key, stands in record ${earlier} already`
    this.#object('statement', seq, found, record)
  }

  #judgeRepository(record: LedgerRecord, { policy }: PolicyInForce): void {
    if (record.statement.repository === policy.repository) return
    const found = `it is about the repository "${printable(record.statement.repository)}", and the policy is for "${printable(policy.repository)}"`
    this.#object('statement', record.seq, found, record)
  }

  #judgeOutcome(record: LedgerRecord, state: LedgerState): void {
    const { statement, seq } = record
    if (statement.kind !== 'outcome') return
    const { authorization, result, observed } = statement.predicate
    const move = state.open.find((open) => open.seq === authorization)
    const object = (found: string) => this.#object('outcome', seq, found, record)
    if (move === undefined) {
      object(`it closes the authorization in record ${authorization}, which is not open`)
      return
    }
    if (statement.commit !== move.to)
      object(`it is about another commit than the authorization in record ${authorization}`)
    if ((result === 'landed') !== (observed === move.to))
      object(`it says ${result}, and that the branch was seen at ${observed}`)
  }

  #follow(record: LedgerRecord): void {
    const move = moveOf(record)
    if (move !== null) this.#moves.set(record.seq, move)
    if (record.statement.kind !== 'outcome') return
    const { authorization } = record.statement.predicate
    const closed = this.#moves.get(authorization)
    if (closed?.outcome === 'open') this.#moves.set(authorization, closeMove(closed, record))
  }

  #break(seq: number): void {
    this.#isSound = false
    this.#stopped ??= seq
  }

  #object(
    rule: AuditRule,
    seq: number,
    found: string,
    record: LedgerRecord | null = null,
    key: string | null = null,
  ): void {
    this.#parts.findings.add({
      grade: 'violation',
      rule,
      record: seq,
      at: record?.at ?? null,
      commit: record?.statement.commit ?? null,
      key,
      found,
      fix: FIXES[rule] ?? FORGED,
    })
  }
}

const SERVER = { trusted: true, principal: 'server', fingerprint: '' } as const

/** No decision about a commit looks at policies, and they are large. */
function isAboutMoves({ kind, commit }: HistoryRecord['statement']): boolean {
  return kind !== 'policy' && !isZeroOid(commit)
}

const FORGED =
  'the record was changed or made up: ask the server admin, and compare with the copies of others'
const FIXES: Partial<Record<AuditRule, string>> = {
  seal: 'ask the server admin for the seal key; if it was replaced, add the new seal-key.pub to the trust file',
  signature: 'nothing may rest on it: find out who brought it, and look at the moves of its commit',
  statement: 'find out how it came into the ledger, and look at the moves of its commit',
  state: 'decisions read it: let the server admin restore the ledger from a copy that verifies',
  outcome: 'compare with the release branch: git log --first-parent, and ask the server admin',
}
