import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import { MAX_STRAYS, type Stray } from '../facts.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'
import type { Objection } from '../verdict.ts'
import { promotionOptions } from './promotion-options.ts'

const LISTED_STRAYS = 5
/** An octopus has some; a commit made by hand can have thousands. */
const LISTED_PARENTS = 8
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
  const merge = facts.strays.find(({ parents }, index) => {
    // Further down only a first parent tells: a branch that merged the release into itself was made elsewhere.
    const onto = index === 0 ? parents : parents.slice(0, 1)
    return parents.length > 1 && onto.includes(facts.from)
  })
  return [merge === undefined ? directCommits(input) : mergeOntoRelease(input, merge)]
}

function mergeOntoRelease({ facts, policy }: ReleaseCase, merge: Stray): Objection {
  const distinct = [...new Set(merge.parents)]
  const parents = distinct
    .slice(0, LISTED_PARENTS)
    .map((parent) =>
      parent === facts.from
        ? `${shortOid(parent)} (${policy.release})`
        : parent === facts.staging
          ? `${shortOid(parent)} (${policy.staging})`
          : shortOid(parent),
    )
  const more = distinct.length - parents.length
  const others = facts.strays.filter((stray) => stray !== merge)
  return {
    rule: 'on-staging',
    found: [
      `${shortOid(merge.oid)} is a merge commit that was made onto ${policy.release}; its parents are ${parents.join(' and ')}${more > 0 ? ` and ${more} more` : ''}`,
      `${policy.staging} does not contain it, so staging never ran this tree`,
      ...(others.length === 0 ? [] : [`${policy.staging} also lacks:`, ...listed(others, facts)]),
    ],
    fix: [
      `promote a commit of ${policy.staging} itself, without a merge:`,
      `  git push ${promotionOptions(policy)}origin COMMIT:${facts.ref}`,
    ],
  }
}

function directCommits({ facts, policy }: ReleaseCase): Objection {
  return {
    rule: 'on-staging',
    found: [
      `${shortOid(facts.to)} is not on ${policy.staging}; as it stood before this push, ${policy.staging} lacks:`,
      ...listed(facts.strays, facts),
    ],
    fix: [
      `bring the work to ${policy.staging}, let staging prove it, then promote what ${policy.staging} has then:`,
      `  git fetch origin && git switch --detach origin/${policy.staging}`,
      `  git merge --no-edit ${shortOid(facts.to)} && git push origin HEAD:${policy.staging}`,
    ],
  }
}

function listed(strays: readonly Stray[], facts: ReleaseCase['facts']): string[] {
  const more = strays.length - LISTED_STRAYS
  const atLeast = facts.strays.length < MAX_STRAYS ? '' : 'at least '
  return [
    ...strays
      .slice(0, LISTED_STRAYS)
      .map(({ oid, subject }) => `  ${shortOid(oid)} ${printable(subject, SUBJECT_LENGTH)}`),
    ...(more > 0 ? [`  and ${atLeast}${more} more`] : []),
  ]
}
