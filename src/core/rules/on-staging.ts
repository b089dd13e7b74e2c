import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import type { Stray } from '../facts.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'
import type { Objection } from '../verdict.ts'

const LISTED_STRAYS = 5

/** What is released must be on the staging branch, as that stood on the server before the push. */
export const onStagingRule: ReleaseRule = (input) => {
  const { facts, policy } = input
  if (facts.objectType !== 'commit' || facts.onStaging) return []
  if (facts.staging === null) {
    return [
      {
        rule: 'on-staging',
        found: [`there is no ${policy.staging} on the server yet, so nothing can have passed staging`],
        fix: [`push ${policy.staging} first: git push origin ${policy.staging}`],
      },
    ]
  }
  const [tip] = facts.strays
  return [tip !== undefined && tip.parents.length > 1 ? mergeOntoRelease(input, tip) : directCommits(input)]
}

function mergeOntoRelease({ facts, policy }: ReleaseCase, tip: Stray): Objection {
  const parents = tip.parents.map((parent) =>
    parent === facts.from
      ? `${shortOid(parent)} (${policy.release})`
      : parent === facts.staging
        ? `${shortOid(parent)} (${policy.staging})`
        : shortOid(parent),
  )
  return {
    rule: 'on-staging',
    found: [
      `${shortOid(facts.to)} is a merge commit that was made onto ${policy.release}; its parents are ${parents.join(' and ')}`,
      `${policy.staging} does not contain it, so staging never ran this tree`,
    ],
    fix: [
      `promote the commit of ${policy.staging} itself, without a merge:`,
      `  git push origin COMMIT:${policy.release}`,
    ],
  }
}

function directCommits({ facts, policy }: ReleaseCase): Objection {
  const listed = facts.strays
    .slice(0, LISTED_STRAYS)
    .map((stray) => `  ${shortOid(stray.oid)} ${printable(stray.subject, 60)}`)
  const more = facts.strays.length - listed.length
  return {
    rule: 'on-staging',
    found: [
      `${shortOid(facts.to)} is not on ${policy.staging}; ${policy.staging} (as it stood before this push) lacks:`,
      ...listed,
      ...(more > 0 ? [`  and ${more} more`] : []),
    ],
    fix: [
      `bring the work to ${policy.staging}, let staging prove it, then promote that commit:`,
      `  git push origin HEAD:${policy.staging}`,
    ],
  }
}
