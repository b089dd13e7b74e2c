/** The full names of the branches that a policy guards. */
import type { Policy } from '../src/core/policy.ts'

export function stagingRef(policy: Policy): string {
  return `refs/heads/${policy.staging}`
}

export function releaseRef(policy: Policy): string {
  return `refs/heads/${policy.release}`
}

export function guardedBranches(policy: Policy): string[] {
  return [stagingRef(policy), releaseRef(policy)]
}
