/**
 * Branches that earlier policies named. Whoever applies a policy must not take a branch out of the guard with it: a former
 * release branch stays where it is, and a former staging branch is not rewritten, until an operator retires it.
 */

import { HeadgateError } from '../core/errors.ts'
import { shortRef } from '../core/explain.ts'
import type { Policy } from '../core/policy/policy.ts'
import { releaseRef, stagingRef } from '../core/refs.ts'
import { type FormerBranch, formerBranches } from '../core/state.ts'
import type { Snapshot } from '../ledger/ledger.ts'
import { parsePolicyFiles } from './policy-in-force.ts'

/**
 * What stays guarded beside the branches of `policy`, which is to come into force. Throws HeadgateError 'configuration' if
 * it gives a branch that is still guarded as one thing another part to play.
 */
export async function formerOf(snapshot: Snapshot, policy: Policy): Promise<readonly FormerBranch[]> {
  const own = branchesOf(policy)
  const all = [...formerBranches(snapshot.state)]
  for (const { version } of await uncounted(snapshot)) {
    const files = await snapshot.policyVersion(version)
    if (files !== null) all.push(...branchesOf(parsePolicyFiles(files).policy))
  }
  const former = all.filter(
    (branch, index) =>
      !own.some((other) => isSame(other, branch)) &&
      all.findIndex((other) => isSame(other, branch)) === index,
  )
  for (const { role, ref } of own) {
    const earlier = former.find((branch) => branch.ref === ref)
    if (earlier === undefined) continue
    throw new HeadgateError(
      'configuration',
      `${shortRef(ref)} was the ${earlier.role} branch, and this policy makes it the ${role} branch`,
      {
        hint: `apply a policy that names another branch, let an operator retire ${shortRef(ref)} (headgate retire), then apply this one`,
      },
    )
  }
  return former
}

/** The policies whose branches no later record has taken over: the last one, and all where records do not say. */
async function uncounted(snapshot: Snapshot) {
  const { policies } = snapshot.state
  const last = policies.at(-1)
  if (last === undefined) return []
  for await (const { statement } of snapshot.read(last.seq)) {
    if (statement.kind === 'policy' && statement.predicate.former !== undefined) return [last]
    break
  }
  return policies
}

function branchesOf(policy: Policy): FormerBranch[] {
  return [
    { role: 'staging', ref: stagingRef(policy) },
    { role: 'release', ref: releaseRef(policy) },
  ]
}

function isSame(one: FormerBranch, other: FormerBranch): boolean {
  return one.role === other.role && one.ref === other.ref
}
