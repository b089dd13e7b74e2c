import type { ReleaseRule } from '../decide.ts'
import { isZeroOid, shortOid } from '../oid.ts'

/** The release branch is never deleted. */
export const releaseDeleteRule: ReleaseRule = ({ facts, policy }) => {
  if (!isZeroOid(facts.to)) return []
  return [
    {
      rule: 'release-delete',
      found: [`this push deletes ${policy.release}, which production is deployed from`],
      fix: [
        'it can only move; to go back to an earlier release, have that approved:',
        `  headgate approve --from ${isZeroOid(facts.from) ? 'COMMIT' : shortOid(facts.from)} --to COMMIT --reason TEXT --key FILE`,
      ],
    },
  ]
}
