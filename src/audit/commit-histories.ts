/** What the records before a move say about its commit, for one move after another, in bounded memory. */

import type { HistoryRecord } from '../core/history.ts'
import type { Oid } from '../core/oid.ts'
import { isSameVoice, type Voice } from '../core/single-use.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import { MAX_RECORDS_ABOUT } from '../ledger/ledger-tree.ts'

/** Bytes of records that are kept; parsed, they take some times as much. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024

type Kept = {
  records: HistoryRecord[]
  bytes: number
  /** Whether these are all records about the commit so far. */
  isWhole: boolean
}

export class CommitHistories {
  /** The one that was looked at last is the last. */
  readonly #kept = new Map<Oid, Kept>()
  readonly #forgotten = new Set<Oid>()
  readonly #readBefore: (commit: Oid, seq: number) => Promise<readonly HistoryRecord[]>
  readonly #fromStart: boolean
  #bytes = 0

  /**
   * `readBefore` reads the records about a commit with a lower number from the ledger itself. `fromStart`: whether every
   * record of the ledger passes through `add`.
   */
  constructor(
    readBefore: (commit: Oid, seq: number) => Promise<readonly HistoryRecord[]>,
    fromStart: boolean,
  ) {
    this.#readBefore = readBefore
    this.#fromStart = fromStart
  }

  /** Adds the next record about a commit; `bytes` is its size. */
  add(commit: Oid, record: HistoryRecord, bytes: number): void {
    const kept = this.#touch(commit)
    // One more than is judged tells that there were too many.
    if (kept.records.length > MAX_RECORDS_ABOUT) return
    kept.records.push(record)
    kept.bytes += bytes
    this.#bytes += bytes
    for (const [oldest, { bytes: freed }] of this.#kept) {
      if (this.#bytes <= MAX_KEPT_BYTES || oldest === commit) break
      this.#kept.delete(oldest)
      this.#forgotten.add(oldest)
      this.#bytes -= freed
    }
  }

  /** All records about the commit with a number below `seq`, in order. Throws as `readBefore` does. */
  async about(commit: Oid, seq: number): Promise<readonly HistoryRecord[]> {
    const kept = this.#touch(commit)
    if (!kept.isWhole) {
      const older = await this.#readBefore(commit, kept.records[0]?.seq ?? seq)
      kept.records = [...older, ...kept.records]
      kept.isWhole = true
    }
    return kept.records
  }

  /**
   * The number of an earlier record with the same statement by the same signer, where that was before this audit began;
   * null if there is none.
   */
  async earlier({ seq, statement }: LedgerRecord, signer: Voice): Promise<number | null> {
    if (this.#fromStart) return null
    const same = (await this.about(statement.commit, seq)).find(
      (record) =>
        record.statement.payloadDigest === statement.payloadDigest &&
        record.signer.trusted &&
        isSameVoice(record.signer, signer),
    )
    return same?.seq ?? null
  }

  #touch(commit: Oid): Kept {
    const known = this.#kept.get(commit)
    const kept = known ?? {
      records: [],
      bytes: 0,
      isWhole: this.#fromStart && !this.#forgotten.has(commit),
    }
    this.#kept.delete(commit)
    this.#kept.set(commit, kept)
    return kept
  }
}
