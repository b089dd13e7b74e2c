import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import type { Stray } from '../facts.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'
import type { Objection } from '../verdict.ts'

const LISTED_STRAYS = 5
/** With id and indentation as wide as a line of prose may be. */
const SUBJECT_LENGTH = 57

/** What is released must be on the staging branch, as that stood on the server before the push. */
export const onStagingRule: ReleaseRule = (input) => {
  const { facts, policy } = input
  if (facts.objectType !== 'commit' || facts.onStaging) return []
  if (facts.staging === null) {
    return [
      {
        rule: 'on-staging',
        found: [`there is no ${policy.staging} on the server yet, so nothing can have passed staging`],
        fix: [`push ${policy.staging} first:`, `  git push origin ${policy.staging}`],
      },
    ]
  }
  const [tip] = facts.strays
  const merged = tip !== undefined && tip.parents.length > 1 && tip.parents.includes(facts.from)
  return [merged ? mergeOntoRelease(input, tip) : directCommits(input)]
}

function mergeOntoRelease({ facts, policy }: ReleaseCase, tip: Stray): Objection {
  const parents = tip.parents.map((parent) =>
    parent === facts.from
      ? `${shortOid(parent)} (${policy.release})`
      : parent === facts.staging
        ? `${shortOid(parent)} (${policy.staging})`
        : shortOid(parent),
  )
  const others = facts.strays.slice(1)
  return {
    rule: 'on-staging',
    found: [
      `${shortOid(facts.to)} is a merge commit that was made onto ${policy.release}; its parents are ${parents.join(' and ')}`,
      `${policy.staging} does not contain it, so staging never ran this tree`,
      ...(others.length === 0 ? [] : [`${policy.staging} also lacks:`, ...listed(others)]),
    ],
    fix: [
      `promote a commit of ${policy.staging} itself, without a merge:`,
      `  git push origin COMMIT:${policy.release}`,
    ],
  }
}

function directCommits({ facts, policy }: ReleaseCase): Objection {
  return {
    rule: 'on-staging',
    found: [
      `${shortOid(facts.to)} is not on ${policy.staging}; as it stood before this push, ${policy.staging} lacks:`,
      ...listed(facts.strays),
    ],
    fix: [
      `bring the work to ${policy.staging}, let staging prove it, then promote that commit:`,
      `  git push origin COMMIT:${policy.staging}`,
    ],
  }
}

function listed(strays: readonly Stray[]): string[] {
  const more = strays.length - LISTED_STRAYS
  return [
    ...strays
      .slice(0, LISTED_STRAYS)
      .map(({ oid, subject }) => `  ${shortOid(oid)} ${printable(subject, SUBJECT_LENGTH)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ]
}
