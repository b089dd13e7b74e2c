import type { ReleaseRule } from '../decide.ts'
import { isZeroOid, shortOid } from '../oid.ts'
import { wasKnownGood } from './known-good.ts'

/** The release branch moves forward only, unless an approved rollback takes it back. */
export const fastForwardRule: ReleaseRule = (input) => {
  const { facts, policy, approvals, kind } = input
  if (isZeroOid(facts.to) || facts.objectType !== 'commit') return []
  if (facts.claimedFrom !== facts.from) {
    const stands = isZeroOid(facts.from) ? 'does not exist' : `stands at ${shortOid(facts.from)}`
    const said = isZeroOid(facts.claimedFrom)
      ? 'that it does not exist'
      : `that it is at ${shortOid(facts.claimedFrom)}`
    return [
      {
        rule: 'fast-forward',
        found: [`${policy.release} moved meanwhile: it ${stands}, and this push believes ${said}`],
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
        `  git push --force-with-lease=${policy.release}:${from} origin ${to}:${policy.release}`,
      ],
    },
  ]
}
