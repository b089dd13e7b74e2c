/**
 * Branches that earlier policies named. A policy that names others takes nothing out of the audit: a former release branch
 * stays where its last landed move put it, a former staging branch keeps its history, until an operator retires it.
 */

import { shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { branchRef } from '../core/refs.ts'
import type { FormerBranch, LedgerState } from '../core/state.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { Findings } from './finding.ts'

/** Far above what people name in years, and what one policy record can list. */
const MAX_FORMER = 1000

export class FormerBranches {
  readonly #findings: Findings
  #branches: readonly FormerBranch[]
  /** Branches that a policy with enforcement kept: a later policy that only evaluates does not excuse what moved them then. */
  readonly #enforced: Set<string>

  constructor(findings: Findings, branches: readonly FormerBranch[], enforced: readonly string[]) {
    this.#findings = findings
    this.#branches = branches
    this.#enforced = new Set(enforced)
  }

  get all(): readonly FormerBranch[] {
    return this.#branches
  }

  /** By their full names. */
  get enforced(): ReadonlySet<string> {
    return this.#enforced
  }

  /** `before` and `after`: the policies in force around the record; `state` is that before it. Call it in order. */
  add(
    record: LedgerRecord,
    before: PolicyInForce | null,
    after: PolicyInForce | null,
    state: LedgerState,
  ): void {
    const { statement } = record
    if (statement.kind === 'retire') this.#retire(record, state)
    if (statement.kind !== 'policy' || after === null) return
    const said = statement.predicate.former
    const own = branchesOf(after)
    const kept = without([...this.#branches, ...(before === null ? [] : branchesOf(before))], own)
    const dropped = said === undefined ? [] : without(kept, said)
    if (dropped.length > 0) {
      const names = dropped.map(({ role, ref }) => `${printable(ref, 200)} (${role})`).join(', ')
      this.#findings.add({
        grade: 'violation',
        rule: 'policy',
        record: record.seq,
        at: record.at,
        commit: statement.commit,
        found: `it takes ${names} out of the guard, and no operator had retired that`,
        fix: 'find out who applied this policy, and look at where these branches are',
      })
    }
    const all = [...kept, ...without(said ?? [], own)]
    this.#branches = without(all, []).slice(0, MAX_FORMER)
    for (const { ref } of own) this.#enforced.delete(ref)
    if ([before, after].some((inForce) => inForce?.policy.enforcement === 'enforce'))
      for (const { ref } of this.#branches) this.#enforced.add(ref)
  }

  #retire({ statement, seq, at }: LedgerRecord, { landed }: LedgerState): void {
    if (statement.kind !== 'retire') return
    const { role, ref, found, reason } = statement.predicate
    this.#branches = this.#branches.filter((branch) => branch.ref !== ref || branch.role !== role)
    this.#enforced.delete(ref)
    const expected = landed[ref]?.to
    const moved =
      role === 'staging' || expected === undefined || expected === found
        ? ''
        : `, though its last landed move had put it at ${shortOid(expected)}`
    this.#findings.add({
      grade: 'exception',
      rule: role === 'release' ? 'release-ref' : 'staging-ref',
      record: seq,
      at,
      commit: statement.commit,
      found: `${printable(ref, 200)}, the ${role} branch of an earlier policy, was retired at ${shortOid(found)}${moved}: ${printable(reason, 300)}`,
      fix: 'ask whether the reason holds; nobody guards that branch any more',
    })
  }
}

export function branchesOf({ policy }: PolicyInForce): FormerBranch[] {
  return (['staging', 'release'] as const).map((role) => ({ role, ref: branchRef(policy[role]) }))
}

/** Each once, and none of the others. */
function without(branches: readonly FormerBranch[], others: readonly FormerBranch[]): FormerBranch[] {
  const isIn = (list: readonly FormerBranch[], { role, ref }: FormerBranch) =>
    list.some((other) => other.role === role && other.ref === ref)
  return branches.filter((branch, index) => !isIn(others, branch) && !isIn(branches.slice(0, index), branch))
}
