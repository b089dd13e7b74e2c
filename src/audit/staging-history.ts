/** The staging branch as the records saw it: each tip must hold the one before, or history was rewritten. */
import { isZeroOid, type Oid, shortOid } from '../core/oid.ts'
import type { Terms } from '../core/policy/policy.ts'
import { stagingRef } from '../core/refs.ts'
import type { CommitAncestry } from '../git/commit-ancestry.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { Findings } from './finding.ts'
import { movedCommits } from './replay.ts'

/** A policy was applied when the staging branch was here; the release log is append-only from here on. */
export type StagingMark = { readonly seq: number; readonly tip: Oid | null }

export type SeenStaging = {
  readonly branch: string
  readonly tip: Oid
  readonly seq: number
  /** Whether every policy since then only evaluated: then the server let the branch be rewritten. */
  readonly onlyEvaluated: boolean
}

export class StagingHistory {
  readonly #findings: Findings
  readonly #ancestry: CommitAncestry
  /** Whether the branches here are those of the remote, so that a commit that is not here is not there. */
  readonly #isFresh: boolean
  /** Where each branch that ever was the staging branch was seen last. */
  readonly #last: Map<string, SeenStaging>
  #unknown = 0

  constructor(findings: Findings, ancestry: CommitAncestry, isFresh: boolean, last: readonly SeenStaging[]) {
    this.#findings = findings
    this.#ancestry = ancestry
    this.#isFresh = isFresh
    this.#last = new Map(last.map((seen) => [seen.branch, seen]))
  }

  get last(): readonly SeenStaging[] {
    return [...this.#last.values()]
  }

  /** `inForce` after the record. What was rewritten before a policy was so under the policies before it. */
  async add(record: LedgerRecord, inForce: PolicyInForce | null): Promise<void> {
    if (inForce === null) return
    const isPolicy = record.statement.kind === 'policy'
    const accepted = acceptedBy(record, inForce.policy)
    const tip = isPolicy ? record.statement.commit : (accepted ?? movedCommits(record)?.staging ?? null)
    const onlyEvaluated = inForce.policy.enforcement === 'evaluate'
    if (tip !== null && !isZeroOid(tip)) {
      const branch = inForce.policy.staging
      await this.#follow(branch, tip, record, accepted !== null)
      this.#last.set(branch, { branch, tip, seq: record.seq, onlyEvaluated })
    }
    if (!isPolicy || onlyEvaluated) return
    for (const seen of this.#last.values()) this.#last.set(seen.branch, { ...seen, onlyEvaluated })
  }

  /** A branch as it is on the remote; null where it does not exist. */
  async end(branch: string, tip: Oid | null): Promise<void> {
    if (tip !== null) return this.#follow(branch, tip, null)
    const last = this.#last.get(branch)
    if (last === undefined || !this.#isFresh) return
    this.#object(last, `${branch} is gone; it was at ${shortOid(last.tip)}`, null)
  }

  /** Tips that could not be looked at. */
  get unknown(): number {
    return this.#unknown
  }

  /** `record` tells where the branch is; null where the remote does. */
  async #follow(branch: string, tip: Oid, record: LedgerRecord | null, accepted = false): Promise<void> {
    const last = this.#last.get(branch)
    if (last === undefined) return
    const held = await this.#ancestry.contains(last.tip, tip)
    if (held === true) return
    if (held === null && !this.#isFresh) {
      this.#unknown += 1
      return
    }
    const now = record === null ? 'now' : `when record ${record.seq} was made`
    const why = held === null ? 'which is not to be found any more' : 'which does not contain that'
    const found = `${branch} was at ${shortOid(last.tip)} when record ${last.seq} was made, and ${now} it was at ${shortOid(tip)}, ${why}: it was rewritten`
    const at = record?.at ?? null
    this.#object(
      { tip: record === null ? last.tip : tip, seq: record?.seq ?? last.seq },
      found,
      at,
      last.onlyEvaluated || accepted,
    )
  }

  #object(
    { seq, tip }: Pick<SeenStaging, 'seq' | 'tip'>,
    found: string,
    at: string | null,
    tolerated = false,
  ): void {
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

/** Where an operator's note says that the staging branch of a relayed host is; null for every other record. */
function acceptedBy({ statement }: LedgerRecord, policy: Terms): Oid | null {
  if (statement.kind !== 'drift' || statement.predicate.ref !== stagingRef(policy)) return null
  return statement.predicate.found
}
