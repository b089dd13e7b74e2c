/** Numbers, links, pinned hashes and the server's clock: what one record owes to the one before it. */
import { CLOCK_SKEW_MS } from '../core/evidence.ts'
import type { Head, LedgerRecord } from '../ledger/ledger.ts'
import type { Finding, Findings } from './finding.ts'

export class ChainCheck {
  readonly #findings: Findings
  readonly #pinned: ReadonlyMap<number, string>
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
      readonly now: number
    },
  ) {
    this.#findings = findings
    this.#last = options.last
    this.#latest = options.latest
    this.#pinned = options.pinned
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
    // Its place in the chain is its number, whatever it says itself.
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
    const pinned = this.#pinned.get(record.seq)
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

  /** Pinned records that the ledger does not reach. */
  end(): void {
    for (const [seq, hash] of this.#pinned) {
      if (seq <= this.#last.seq) continue
      const found = `the trust file names record ${seq} (${hash}), and the ledger ends with ${this.#last.seq}`
      this.#findings.add({ grade: 'violation', rule: 'copy', record: seq, found, fix: REWRITTEN })
    }
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
    if (at > this.#now + CLOCK_SKEW_MS) {
      add(
        `it was recorded at ${record.at}, which is still to come`,
        'compare the clock of the server, and the one here, with the time',
      )
    }
    if (at > this.#latest) this.#latest = at
  }
}

const REWRITTEN =
  'the ledger was changed after it was written: compare with the copies of others, and ask the server admin'
