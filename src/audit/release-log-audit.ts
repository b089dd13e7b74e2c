/**
 * The release log on the staging branch: append-only along first-parent history, from where the first policy found the
 * branch. The steps are judged by `decideStaging`, the judge of every push.
 */
import { decideStaging } from '../core/decide.ts'
import { isZeroOid, type Oid, shortOid } from '../core/oid.ts'
import { gatherStagingMove } from '../git/gather-facts.ts'
import type { GitRepository } from '../git/repository.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { Findings } from './finding.ts'
import type { PolicyInForce } from './policy-in-force.ts'
import { movedCommits } from './replay.ts'

/** From here on the branch was kept by this policy. */
type Mark = { readonly tip: Oid; readonly seq: number; readonly policy: PolicyInForce['policy'] }

/** A policy a day for years. */
const MAX_MARKS = 1000

export class ReleaseLogAudit {
  readonly #repository: GitRepository
  readonly #findings: Findings
  readonly #before: Oid | null
  readonly #marks: Mark[] = []
  /** A policy was applied before the branch was there: the first tip that is known then is the mark. */
  #waiting = false
  #verifiedTo: Oid | null
  readonly #unchecked: string[] = []

  /** `before` is the tip up to which an earlier audit has looked. */
  constructor(repository: GitRepository, findings: Findings, before: Oid | null) {
    this.#repository = repository
    this.#findings = findings
    this.#before = before
    this.#verifiedTo = before
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
    this.#marks.push({ tip, seq: record.seq, policy: inForce.policy })
  }

  /** `tip` is the staging branch as it is now. */
  async end(tip: Oid | null, inForce: PolicyInForce, isFresh: boolean): Promise<void> {
    if (tip === null) return
    const start = this.#before === null ? [] : [{ tip: this.#before, seq: 0, policy: inForce.policy }]
    const marks = [...start, ...this.#marks]
    for (const [index, mark] of marks.entries()) {
      const next = marks[index + 1]
      // Another branch has another log; where it begins is its own first mark.
      if (next !== undefined && next.policy.staging !== mark.policy.staging) continue
      if (mark.policy.staging !== inForce.policy.staging) continue
      await this.#judge(mark, next?.tip ?? tip, isFresh)
    }
    this.#verifiedTo = tip
  }

  async #judge({ tip: from, seq, policy }: Mark, to: Oid, isFresh: boolean): Promise<void> {
    if (from === to) return
    for (const oid of [from, to]) {
      if ((await this.#repository.objects().info(oid))?.type === 'commit') continue
      // That it is gone from the branch is the staging history's to tell.
      if (!isFresh)
        this.#unchecked.push(`the release log up to ${shortOid(to)}: ${shortOid(oid)} is not here`)
      return
    }
    const ref = `refs/heads/${policy.staging}`
    const facts = await gatherStagingMove(this.#repository, { ref, from, to }, from, policy.releaseLog)
    for (const { rule, found } of decideStaging(facts)) {
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
}
