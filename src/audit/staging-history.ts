/** The staging branch as the records saw it: each tip must hold the one before, or history was rewritten. */
import { isZeroOid, type Oid, shortOid } from '../core/oid.ts'
import type { CommitAncestry } from '../git/commit-ancestry.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { Findings } from './finding.ts'
import type { PolicyInForce } from './policy-in-force.ts'
import { movedCommits } from './replay.ts'

/** A policy was applied when the staging branch was here; the release log is append-only from here on. */
export type StagingMark = { readonly seq: number; readonly tip: Oid | null }

export type SeenStaging = { readonly branch: string; readonly tip: Oid; readonly seq: number }

export class StagingHistory {
  readonly #findings: Findings
  readonly #ancestry: CommitAncestry
  /** Whether the branches here are those of the remote, so that a commit that is not here is not there. */
  readonly #isFresh: boolean
  #last: SeenStaging | null
  #unknown = 0
  /** In evaluate mode nobody kept the branch from being rewritten. */
  #wasEvaluating = false

  constructor(findings: Findings, ancestry: CommitAncestry, isFresh: boolean, last: SeenStaging | null) {
    this.#findings = findings
    this.#ancestry = ancestry
    this.#isFresh = isFresh
    this.#last = last
  }

  get last(): SeenStaging | null {
    return this.#last
  }

  async add(record: LedgerRecord, inForce: PolicyInForce | null): Promise<void> {
    const tip =
      record.statement.kind === 'policy' ? record.statement.commit : (movedCommits(record)?.staging ?? null)
    if (tip === null || isZeroOid(tip) || inForce === null) return
    await this.#follow({ branch: inForce.policy.staging, tip, seq: record.seq }, inForce, record.at)
  }

  /** The branch as it is on the remote; null where it does not exist. */
  async end(tip: Oid | null, inForce: PolicyInForce): Promise<void> {
    const { staging } = inForce.policy
    if (tip !== null) return this.#follow({ branch: staging, tip, seq: 0 }, inForce, null)
    if (this.#last?.branch !== staging || !this.#isFresh) return
    this.#object(this.#last, `${staging} is gone; it was at ${shortOid(this.#last.tip)}`, null)
  }

  /** Tips that could not be looked at. */
  get unknown(): number {
    return this.#unknown
  }

  async #follow(next: SeenStaging, { policy }: PolicyInForce, at: string | null): Promise<void> {
    const last = this.#last
    const evaluating = policy.enforcement === 'evaluate'
    this.#last = next.seq === 0 ? last : next
    if (last === null || last.branch !== next.branch) {
      this.#wasEvaluating = evaluating
      return
    }
    const held = await this.#ancestry.contains(last.tip, next.tip)
    const tolerated = this.#wasEvaluating || evaluating
    this.#wasEvaluating = evaluating
    if (held === true) return
    if (held === null && !this.#isFresh) {
      this.#unknown += 1
      return
    }
    const now = next.seq === 0 ? 'now' : `when record ${next.seq} was made`
    const why = held === null ? 'which is not to be found any more' : 'which does not contain that'
    const found = `${next.branch} was at ${shortOid(last.tip)} when record ${last.seq} was made, and ${now} it was at ${shortOid(next.tip)}, ${why}: it was rewritten`
    this.#object(next.seq === 0 ? last : next, found, at, tolerated)
  }

  #object({ seq, tip }: SeenStaging, found: string, at: string | null, tolerated = false): void {
    this.#findings.add({
      grade: tolerated ? 'exception' : 'violation',
      rule: 'staging-ref',
      record: seq,
      at,
      commit: tip,
      found,
      fix: 'find out who rewrote it behind the guard; the proofs of the commits that are gone prove nothing now',
    })
  }
}
