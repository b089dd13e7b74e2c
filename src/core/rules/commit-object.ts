import type { ReleaseRule } from '../decide.ts'
import { isZeroOid, shortOid } from '../oid.ts'
import { promotionOptions } from './promotion-options.ts'

/** The release branch holds commits only. */
export const commitObjectRule: ReleaseRule = ({ facts, policy }) => {
  if (isZeroOid(facts.to) || facts.objectType === 'commit') return []
  const what =
    facts.objectType === 'missing' ? 'not an object of this repository' : `a ${facts.objectType} object`
  const push = `git push ${promotionOptions(policy)}origin`
  return [
    {
      rule: 'commit-object',
      found: [`${shortOid(facts.to)} is ${what}, and ${policy.release} holds commits only`],
      fix:
        facts.objectType === 'tag'
          ? ['push the commit that the tag names:', `  ${push} 'TAG^{commit}:${facts.ref}'`]
          : [`push a commit of ${policy.staging}:`, `  ${push} COMMIT:${facts.ref}`],
    },
  ]
}
