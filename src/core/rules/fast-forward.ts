import type { ReleaseRule } from '../decide.ts'
import { isZeroOid, shortOid } from '../oid.ts'
import { wasKnownGood } from './known-good.ts'
import { movedMeanwhile } from './moved-meanwhile.ts'

/** The release branch moves forward only, unless an approved rollback takes it back. */
export const fastForwardRule: ReleaseRule = (input) => {
  const { facts, policy, approvals, kind } = input
  if (isZeroOid(facts.to) || facts.objectType !== 'commit') return []
  if (facts.claimedFrom !== facts.from) {
    return [
      {
        rule: 'fast-forward',
        found: [movedMeanwhile(policy.release, facts)],
        fix: ['fetch first, look at what was released meanwhile, then push again:', '  git fetch origin'],
      },
    ]
  }
  if (kind !== 'rollback') return []
  const approved = approvals.valid.length >= policy.rollback.approvals
  if (approved && wasKnownGood(input)) return []
  const [from, to] = [shortOid(facts.from), shortOid(facts.to)]
  return [
    {
      rule: 'fast-forward',
      found: [
        `${from} -> ${to} is not a fast-forward: ${to} does not contain what ${policy.release} has now`,
      ],
      fix: [
        `promote a commit of ${policy.staging} that contains ${from}; or, to go back to a release that worked, get the rollback approved, then:`,
        `  git push --force-with-lease=${policy.release}:${from} origin ${to}:${facts.ref}`,
      ],
    },
  ]
}
