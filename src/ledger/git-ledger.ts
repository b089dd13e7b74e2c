/**
 * The ledger as a ref of the guarded repository: one commit a record on `refs/headgate/ledger`, files as ledger-tree.ts
 * has them. The contract is in ledger.ts.
 */

import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import { LEDGER_REF } from '../core/refs.ts'
import { advanceState, emptyState, type LedgerState } from '../core/state.ts'
import type { Statement } from '../core/statement.ts'
import { readCommits } from './commit-log.ts'
import { commitStream, type NextRecord } from './commit-stream.ts'
import type { Appended, Head, Ledger, NewRecord, PolicyFiles, RefValue, Snapshot, Stale } from './ledger.ts'
import { EMPTY_HEAD } from './ledger.ts'
import type { LedgerRepository, RefAt } from './ledger-repository.ts'
import { LedgerTree } from './ledger-tree.ts'
import { type LedgerRecord, parseRecord, sealRecord } from './record.ts'
import { swapRef } from './swap-ref.ts'

/** Signs a record's bytes with the server's key; the base64 of an SSHSIG blob. */
export type Seal = (bytes: Uint8Array) => string

/** More belong in several appends: a thousand commits take git a second, and others wait meanwhile. */
const MAX_APPENDED = 1000

export class GitLedger implements Ledger {
  readonly #repository: LedgerRepository
  readonly #seal: Seal | undefined
  readonly #ref: string
  /** The tip that was read last. A commit never changes, so that only the ref has to be read again. */
  #last: LedgerTree | undefined

  /** Without `seal` the ledger can only be read. `ref` is another name for copies that were fetched. */
  constructor(repository: LedgerRepository, seal?: Seal, options: { readonly ref?: string } = {}) {
    this.#repository = repository
    this.#seal = seal
    this.#ref = options.ref ?? LEDGER_REF
  }

  async head(): Promise<Head> {
    return headOf(await this.#tip())
  }

  async snapshot(): Promise<Snapshot> {
    return new GitSnapshot(this.#repository, await this.#tip())
  }

  async snapshotWith(branches: Iterable<string>) {
    // git reads refs in the order of their names, and the ledger's comes before all branches.
    const refs = await this.#repository.refs([this.#ref, ...branches])
    return { snapshot: new GitSnapshot(this.#repository, await this.#tipAt(refs)), refs }
  }

  async about(commit: Oid): Promise<readonly LedgerRecord[]> {
    return (await this.snapshot()).about(commit)
  }

  async *read(from: number): AsyncGenerator<LedgerRecord, void, undefined> {
    yield* (await this.snapshot()).read(from)
  }

  async append(
    expectedHead: Head,
    records: readonly NewRecord[],
    held: readonly RefAt[] = [],
  ): Promise<Appended | Stale> {
    if (records.length < 1 || records.length > MAX_APPENDED) {
      throw new RangeError(`an append is of 1 to ${MAX_APPENDED} records, not ${records.length}`)
    }
    if (this.#seal === undefined) {
      throw new HeadgateError(
        'configuration',
        'the ledger is open for reading: there is no key to seal records with',
      )
    }
    // Where the caller decided on what was read last, the swap finds out whether that still holds.
    const isLast = headOf(this.#last ?? null).hash === expectedHead.hash
    const before = isLast ? (this.#last ?? null) : await this.#tip()
    const head = headOf(before)
    if (head.seq !== expectedHead.seq || head.hash !== expectedHead.hash) return { kind: 'stale', head }
    const next = sealAll(head, before?.state ?? emptyState, records, this.#seal)
    const from = before?.commit ?? null

    // Until the swap nothing refers to what is written: a crash leaves objects that `git gc` prunes.
    const tip = (await this.#repository.importObjects(commitStream(from, next))).trim()
    if (!isOid(tip)) throw new HeadgateError('unavailable', 'git fast-import did not name the commit it made')
    // The commit point: before it nobody sees the records, after it they are durable and everybody does. A crash after
    // it only means that the caller does not hear of it; its next snapshot shows them.
    if (!(await swapRef(this.#repository, this.#ref, { from, to: tip, held })))
      return { kind: 'stale', head: await this.head() }
    const appended = next.map(({ record }) => record)
    const { record, state } = next.at(-1)!
    const { seq, hash } = record
    return { kind: 'appended', head: { seq, hash }, records: appended, state, tip }
  }

  async #tip(): Promise<LedgerTree | null> {
    return this.#tipAt(await this.#repository.refs([this.#ref]))
  }

  async #tipAt(refs: ReadonlyMap<string, RefValue>): Promise<LedgerTree | null> {
    const ref = refs.get(this.#ref)
    if (ref === undefined) return null
    if (ref.symref !== undefined) {
      throw new HeadgateError('data', `${this.#ref} is a symbolic ref, which headgate never makes`)
    }
    if (this.#last?.commit !== ref.oid) {
      this.#last = await LedgerTree.open(() => this.#repository.objects(), ref.oid)
    }
    return this.#last
  }
}

class GitSnapshot implements Snapshot {
  readonly head: Head
  readonly state: LedgerState
  readonly #repository: LedgerRepository
  readonly #tree: LedgerTree | null

  constructor(repository: LedgerRepository, tree: LedgerTree | null) {
    this.head = headOf(tree)
    this.state = tree?.state ?? emptyState
    this.#repository = repository
    this.#tree = tree
  }

  async policyInForce(): Promise<PolicyFiles | null> {
    return (await this.#tree?.policyInForce()) ?? null
  }

  async policyVersion(version: number): Promise<PolicyFiles | null> {
    return (await this.#tree?.policyVersion(version)) ?? null
  }

  async about(commit: Oid): Promise<readonly LedgerRecord[]> {
    return (await this.#tree?.about(commit)) ?? []
  }

  async *read(from: number): AsyncGenerator<LedgerRecord, void, undefined> {
    if (!Number.isSafeInteger(from) || from < 1)
      throw new RangeError(`records are numbered from 1, not ${from}`)
    if (this.#tree === null || from > this.head.seq) return
    yield* readCommits(this.#repository, this.#tree.commit, this.head, from)
  }
}

function headOf(tree: LedgerTree | null): Head {
  return tree?.head ?? EMPTY_HEAD
}

/** Numbers, links and seals the records and folds the state over them. Everything that can be wrong is found here. */
function sealAll(head: Head, state: LedgerState, records: readonly NewRecord[], seal: Seal): NextRecord[] {
  const next: NextRecord[] = []
  let previous = head
  let folded = state
  for (const { at, by, envelope, policyJson } of records) {
    const fields = { seq: previous.seq + 1, previous: previous.hash, at, by, envelope }
    // Read back as every reader will: what cannot be read is never written.
    const record = parseRecord(sealRecord(fields, seal).bytes)
    if (record.statement.kind === 'policy') checkPolicy(record.statement, folded)
    folded = advanceState(folded, record)
    previous = { seq: record.seq, hash: record.hash }
    next.push({ record, state: folded, policyJson })
  }
  return next
}

function checkPolicy({ predicate }: Statement<'policy'>, state: LedgerState): void {
  for (const { text, digest } of [predicate.policy, predicate.allowedSigners]) {
    if (!text.isWellFormed() || sha256(text) !== digest.sha256) {
      throw new HeadgateError('data', 'a policy statement has a text that is not the one of its digest')
    }
  }
  const last = state.policies.at(-1)?.version ?? 0
  if (predicate.version <= last) {
    throw new HeadgateError(
      'configuration',
      `policy version ${predicate.version} does not go up: ${last} is in force`,
    )
  }
}
