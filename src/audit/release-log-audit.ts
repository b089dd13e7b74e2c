/**
 * The release log on the staging branch: append-only along first-parent history, from where the first policy found the
 * branch. The steps are judged by `decideStaging`, the judge of every push.
 */

import { decideStaging } from '../core/decide.ts'
import type { StagingMove } from '../core/facts.ts'
import { isZeroOid, type Oid, shortOid } from '../core/oid.ts'
import { stagingRef } from '../core/refs.ts'
import type { CommitAncestry } from '../git/commit-ancestry.ts'
import { gatherStagingMove } from '../git/gather-facts.ts'
import { AUDIT_LIMITS } from '../git/gather-log-steps.ts'
import type { GitRepository } from '../git/repository.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { Findings } from './finding.ts'
import { movedCommits } from './replay.ts'

/** From here on the branch was kept by this policy. */
type Mark = { readonly tip: Oid; readonly seq: number; readonly policy: PolicyInForce['policy'] }

/** A policy a day for years. */
const MAX_MARKS = 1000

export type ReleaseLogStart = {
  /** The tip up to which an earlier audit has looked. */
  readonly before: Oid | null
  /** The staging branch as it is now; null where it is not known or does not exist. */
  readonly tip: Oid | null
  /** The version of the last policy, if the ledger is honest. Only time is lost where it is not. */
  readonly lastPolicy: number | null
}

export class ReleaseLogAudit {
  readonly #repository: GitRepository
  readonly #ancestry: CommitAncestry
  readonly #findings: Findings
  readonly #start: ReleaseLogStart
  readonly #marks: Mark[] = []
  /** A policy was applied before the branch was there: the first tip that is known then is the mark. */
  #waiting = false
  #verifiedTo: Oid | null
  readonly #unchecked: string[] = []
  /** The stretch that is likely the last one, looked at while records are judged: git takes its time to list it. */
  #ahead: { readonly mark: Mark; readonly move: Promise<StagingMove | Oid> } | undefined

  constructor(
    repository: GitRepository,
    ancestry: CommitAncestry,
    findings: Findings,
    start: ReleaseLogStart,
  ) {
    this.#repository = repository
    this.#ancestry = ancestry
    this.#findings = findings
    this.#start = start
    this.#verifiedTo = start.before
  }

  get verifiedTo(): Oid | null {
    return this.#verifiedTo
  }

  get unchecked(): readonly string[] {
    return this.#unchecked
  }

  add(record: LedgerRecord, inForce: PolicyInForce | null): void {
    if (inForce === null) return
    const isPolicy = record.statement.kind === 'policy'
    if (!isPolicy && !this.#waiting) return
    const tip = isPolicy ? record.statement.commit : (movedCommits(record)?.staging ?? null)
    const known = tip !== null && !isZeroOid(tip)
    if (isPolicy) this.#waiting = !known
    if (!known || this.#marks.length >= MAX_MARKS) return
    this.#waiting = false
    const mark = { tip, seq: record.seq, policy: inForce.policy }
    this.#marks.push(mark)
    if (inForce.version !== this.#start.lastPolicy || this.#start.tip === null) return
    // Each look starts a process, and a dishonest ledger can have one version a thousand times.
    if (this.#ahead !== undefined) return
    const move = this.#gather(mark, this.#start.tip)
    // The caller that awaits it gets the error.
    move.catch(() => {})
    this.#ahead = { mark, move }
  }

  /** `tip` is the staging branch as it is now. */
  async end(tip: Oid | null, inForce: PolicyInForce): Promise<void> {
    if (tip === null) return
    const { before } = this.#start
    const start = before === null ? [] : [{ tip: before, seq: 0, policy: inForce.policy }]
    const marks = [...start, ...this.#marks]
    for (const [index, mark] of marks.entries()) {
      const next = marks[index + 1]
      // Another branch has another log; where it begins is its own first mark.
      if (next !== undefined && next.policy.staging !== mark.policy.staging) continue
      if (mark.policy.staging !== inForce.policy.staging) continue
      await this.#judge(mark, next?.tip ?? tip)
    }
    this.#verifiedTo = tip
  }

  async #judge(mark: Mark, to: Oid): Promise<void> {
    const { tip: from, seq, policy } = mark
    if (from === to) return
    const isAhead = this.#ahead?.mark === mark && this.#start.tip === to
    const move = await (isAhead ? this.#ahead!.move : this.#gather(mark, to))
    if (typeof move === 'string') {
      // The staging history tells that the branch was rewritten. Of where it was at the last audit no record tells.
      this.#unchecked.push(`the release log up to ${shortOid(to)}: ${shortOid(move)} is not here`)
      return
    }
    for (const { rule, found } of decideStaging(move)) {
      this.#findings.add({
        grade: policy.enforcement === 'evaluate' ? 'exception' : 'violation',
        rule: rule === 'log-append-only' ? 'release-log' : 'staging-ref',
        record: seq === 0 ? null : seq,
        commit: to,
        found: `between ${shortOid(from)} and ${shortOid(to)}: ${found.join(' ')}`,
        fix: `git log -p --first-parent ${shortOid(from)}..${shortOid(to)} -- ${policy.releaseLog}`,
      })
    }
  }

  /** The steps from the mark to `to`; the end of them that is not here, where one is not. */
  async #gather({ tip: from, policy }: Mark, to: Oid): Promise<StagingMove | Oid> {
    for (const oid of [from, to])
      if ((await this.#repository.objects().info(oid))?.type !== 'commit') return oid
    const update = { ref: stagingRef(policy), from, to }
    const isAncestor = async (ancestor: Oid, descendant: Oid) =>
      (await this.#ancestry.contains(ancestor, descendant)) === true
    return gatherStagingMove(this.#repository, update, from, policy.releaseLog, isAncestor, AUDIT_LIMITS)
  }
}
