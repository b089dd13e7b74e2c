/** The full names of refs that mean something to headgate, each made in one place. */
import type { Terms } from './policy/policy.ts'

/** The ledger of a guarded repository. */
export const LEDGER_REF = 'refs/headgate/ledger'

/** Where a host's rules protect branches only, its ledger is a branch. */
export const LEDGER_BRANCH = 'refs/heads/headgate/ledger'

/** What a relay did not take is answered below this, by the hour and the digest of the envelope, for a day. */
export const ANSWERS = 'refs/headgate/answers/'

/** Submissions are pushed below this, each by the digest of its envelope. */
export const INBOX = 'refs/headgate/inbox/'

/** Everything under refs/headgate/ is headgate's own, and the branch that may be the ledger of a host. */
export function isReserved(ref: string): boolean {
  if (ref === LEDGER_BRANCH || ref.startsWith(`${LEDGER_BRANCH}/`)) return true
  return ref === 'refs/headgate' || ref.startsWith('refs/headgate/')
}

/** The ref of a branch that is named without `refs/heads/`, as a policy names it. */
export function branchRef(name: string): string {
  return `refs/heads/${name}`
}

/** The ref that people mean: a full name, or that of a branch. */
export function fullRef(name: string): string {
  return name.startsWith('refs/') ? name : branchRef(name)
}

export function stagingRef({ staging }: Pick<Terms, 'staging'>): string {
  return branchRef(staging)
}

export function releaseRef({ release }: Pick<Terms, 'release'>): string {
  return branchRef(release)
}

/** The branches that a policy guards: the one that proves, and the one that moves. */
export function guardedBranches(policy: Pick<Terms, 'staging' | 'release'>): string[] {
  return [stagingRef(policy), releaseRef(policy)]
}
