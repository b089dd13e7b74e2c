import type { Terms } from '../policy/policy.ts'

/** The options of a `git push` that promotes, each with a blank after it: a note where the policy wants one. */
export function promotionOptions({ promotion }: Terms): string {
  return promotion.notes === 'required' ? "-o note='TEXT' " : ''
}
