import type { ReleaseMove } from '../facts.ts'
import { isZeroOid } from '../oid.ts'
import type { Terms } from '../policy.ts'

/** The release branch as `git push origin COMMIT:...` takes it: git finds a short name only where the branch is there. */
export function destination({ from, ref }: ReleaseMove, { release }: Terms): string {
  return isZeroOid(from) ? ref : release
}

/** The options of a `git push` that promotes, each with a blank after it: a note where the policy wants one. */
export function promotionOptions({ promotion }: Terms): string {
  return promotion.notes === 'required' ? "-o note='TEXT' " : ''
}
