/** Numbers, links, pinned hashes and the server's clock: what must hold between a record and the one before it. */
import { CLOCK_SKEW_MS } from '../core/evidence.ts'
import type { Head, LedgerRecord } from '../ledger/ledger.ts'
import type { Finding, Findings } from './finding.ts'
import { missingRecords, REWRITTEN } from './trust-anchors.ts'

/** No record with a number above `after` was in the ledger at the time `at` of the auditor's clock, ms since the epoch. */
type Absent = { readonly after: number; readonly at: number }

export class ChainCheck {
  readonly #findings: Findings
  /** Pinned records that were not seen yet, by their numbers. */
  readonly #pinned: Map<number, string>
  readonly #absent: Absent | null
  readonly #now: number
  #last: Head
  #latest: number

  /** `last` is where an earlier audit ended, at time `latest`. `now` is the auditor's own clock, ms since the epoch. */
  constructor(
    findings: Findings,
    options: {
      readonly last: Head
      readonly latest: number
      readonly pinned: ReadonlyMap<number, string>
      readonly absent: Absent | null
      readonly now: number
    },
  ) {
    this.#findings = findings
    this.#last = options.last
    this.#latest = options.latest
    this.#pinned = new Map(options.pinned)
    this.#absent = options.absent
    this.#now = options.now
  }

  /** The number that the next record must have. */
  get expected(): number {
    return this.#last.seq + 1
  }

  get head(): Head {
    return this.#last
  }

  /** The latest time that a record told, ms since the epoch. */
  get latest(): number {
    return this.#latest
  }

  /** A record that cannot be read still takes its number. */
  skip(): void {
    this.#last = { seq: this.#last.seq + 1, hash: '' }
  }

  /** False if the chain is broken here; it goes on from this record then. */
  next(record: LedgerRecord): boolean {
    const before = this.#last
    this.#last = { seq: record.seq, hash: record.hash }
    this.#checkClock(record)
    // Its place in the chain is its number, even where the record says another.
    const place = before.seq + 1
    const add = (rule: Finding['rule'], found: string, fix: string) =>
      this.#findings.add({
        grade: 'violation',
        rule,
        record: place,
        at: record.at,
        commit: record.statement.commit,
        found,
        fix,
      })
    const pinned = this.#pinned.get(place)
    if (record.seq === place) this.#pinned.delete(place)
    if (pinned !== undefined && pinned !== record.hash)
      add('copy', `it has the hash ${record.hash}, and the trust file says ${pinned}`, REWRITTEN)
    if (record.seq !== place) {
      add(
        'chain',
        record.seq > before.seq
          ? `record ${record.seq} stands where record ${place} belongs: ${record.seq - place} missing`
          : `record ${record.seq} stands where record ${place} belongs`,
        REWRITTEN,
      )
      return false
    }
    if (before.hash !== '' && record.previous !== before.hash) {
      const which = before.seq === 0 ? 'a record before the first one' : `another record ${before.seq}`
      add('chain', `it continues ${which} (${record.previous}) than the one here`, REWRITTEN)
      return false
    }
    return true
  }

  /** Pinned records that the ledger does not have. */
  end(): void {
    missingRecords(this.#pinned, this.#last.seq, this.#findings)
  }

  #checkClock(record: LedgerRecord): void {
    const at = Date.parse(record.at)
    const add = (found: string, fix: string) =>
      this.#findings.add({
        grade: 'violation',
        rule: 'clock',
        record: record.seq,
        at: record.at,
        commit: record.statement.commit,
        found,
        fix,
      })
    if (at < this.#latest - CLOCK_SKEW_MS) {
      const earlier = new Date(this.#latest).toISOString()
      add(
        `the clock went back: ${record.at} comes after ${earlier}`,
        'ages, expiry and freezes are measured by it: ask the server admin why, and look at the moves between',
      )
    }
    if (this.#absent !== null && record.seq > this.#absent.after && at < this.#absent.at - CLOCK_SKEW_MS) {
      const seen = new Date(this.#absent.at).toISOString()
      add(
        `it says ${record.at}, and was not in the ledger yet when that was verified here at ${seen}`,
        'it was dated back, or one of the clocks was wrong: ask the server admin, and look at what it permits',
      )
    }
    if (at > this.#now + CLOCK_SKEW_MS) {
      add(
        `it was recorded at ${record.at}, which is still to come`,
        'compare the clock of the server, and the one here, with the time',
      )
    }
    if (at > this.#latest) this.#latest = at
  }
}
