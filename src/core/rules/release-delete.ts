import type { ReleaseRule } from '../decide.ts'
import { isZeroOid, shortOid } from '../oid.ts'

/** The release branch is never deleted. */
export const releaseDeleteRule: ReleaseRule = ({ facts, policy }) => {
  if (!isZeroOid(facts.to)) return []
  return [
    {
      rule: 'release-delete',
      found: [`this push deletes ${policy.release}, which stands at ${shortOid(facts.from)}`],
      fix: [
        'production is deployed from it, so it can only move; to go back to an earlier release:',
        `  headgate approve --from ${shortOid(facts.from)} --to COMMIT --reason TEXT --key FILE`,
      ],
    },
  ]
}
