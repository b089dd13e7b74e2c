/**
 * The ledger: the append-only, hash-chained log of everything that ever justified a move. Whatever stores it, the chain
 * is the same, and it keeps this contract (test/ledger/ledger-contract.ts holds every storage to it).
 *
 * - Order. Records are numbered from 1 without gaps, and each names the hash of the one before it. There is one order,
 *   and everybody sees a prefix of it. The ledger does not compare times: `at` is what the server's clock said.
 * - Durability. When `append` answers 'appended', the records survive a crash of the process, of git and of the machine.
 *   All records of one call are stored or none.
 * - Retries. `append` compares and swaps: it stores only on the head that the caller decided on. On 'stale' nothing was
 *   written, and only the caller can retry, since what it decided on has changed: take a new snapshot, decide again,
 *   append again. The ledger never retries and never reorders.
 * - Crashes. If the caller dies in `append`, or `append` throws, its records are stored as a whole or not at all, and
 *   readers see a valid chain in either case. HeadgateError 'unavailable' from `append` means that they were not stored
 *   when it was thrown, except where the message says that it could not tell. Callers find out by reading: the next
 *   snapshot shows the records or does not.
 * - Trust. The ledger checks that each record parses, is in its canonical form and in its place. It does not check
 *   signatures, seals or the whole chain: decisions check the signatures that they rest on, auditors check everything.
 */

import type { Envelope } from '../core/envelope.ts'
import type { Oid } from '../core/oid.ts'
import type { LedgerState } from '../core/state.ts'
import type { LedgerRecord } from './record.ts'

export type { LedgerRecord } from './record.ts'

/** The last record: its number and the SHA-256 of its bytes. An empty ledger has number 0 and 64 zeros. */
export type Head = { readonly seq: number; readonly hash: string }

export const EMPTY_HEAD: Head = { seq: 0, hash: '0'.repeat(64) }

/** What a caller wants recorded. The ledger adds the number, the link to the record before, and the server's seal. */
export type NewRecord = {
  /** RFC 3339, UTC, milliseconds, with Z: as `Date.prototype.toISOString` writes it. */
  readonly at: string
  /** The pusher's identity, 1 to 256 characters. */
  readonly by: string
  /** Its signature must be checked already: the ledger takes any statement that parses. */
  readonly envelope: Envelope
  /** Of a policy: what its text says, to be kept beside it. */
  readonly policyJson?: string
}

/** Both files of a policy, byte for byte as they were applied. */
export type PolicyFiles = {
  readonly version: number
  readonly policy: string
  readonly allowedSigners: string
  /** What the first one says, as the server keeps it. Undefined where an older headgate applied it. */
  readonly json?: string
}

export type Appended = {
  readonly kind: 'appended'
  readonly head: Head
  readonly records: readonly LedgerRecord[]
  /** What the ledger says with them. */
  readonly state: LedgerState
  /** Where a ref holds the ledger: the commit that it names with these records as its last. */
  readonly tip: Oid | null
}
/** Where a ref is; for a symbolic one also what it stands for, and zeros if that is not there. */
export type RefValue = { readonly oid: Oid; readonly symref?: string }

export type Stale = { readonly kind: 'stale'; readonly head: Head }

export interface Ledger {
  head(): Promise<Head>

  /** The ledger at one head. Costs the same whatever the ledger's length. */
  snapshot(): Promise<Snapshot>

  /**
   * The same, and where these branches of the repository are, those that exist. They are not older than the snapshot: a
   * move that it knows as landed is on disk. Names are full (`refs/heads/...`).
   */
  snapshotWith(
    branches: Iterable<string>,
  ): Promise<{ readonly snapshot: Snapshot; readonly refs: ReadonlyMap<string, RefValue> }>

  /**
   * Appends 1 to 1000 records if the head is still `expectedHead`. Throws HeadgateError 'data' if a record is not one
   * (nothing is written then), 'configuration' if this ledger was opened without the key that seals records or a policy's
   * version does not go up, and 'unavailable' if the storage failed.
   *
   * With `held` it is one transaction with the repository's refs: the records are stored while the locks of these refs are
   * held and each is where it says (zeros: not there). If one is elsewhere, 'stale', though the head may be the same.
   */
  append(
    expectedHead: Head,
    records: readonly NewRecord[],
    held?: readonly { readonly ref: string; readonly oid: Oid }[],
  ): Promise<Appended | Stale>

  /** All records about a commit, in order, at the present head. Costs the same whatever the ledger's length. */
  about(commit: Oid): Promise<readonly LedgerRecord[]>

  /** All records from number `from` on, in order, up to the head when reading starts. Memory use is bounded. */
  read(from: number): AsyncIterable<LedgerRecord>
}

/** A consistent view: whatever is appended later, all of it is about `head`. */
export interface Snapshot {
  readonly head: Head
  readonly state: LedgerState
  /** The policy in force; null until one was applied. */
  policyInForce(): Promise<PolicyFiles | null>
  /** A policy that is or was in force; null if there never was this version. */
  policyVersion(version: number): Promise<PolicyFiles | null>
  about(commit: Oid): Promise<readonly LedgerRecord[]>
  read(from: number): AsyncIterable<LedgerRecord>
}
