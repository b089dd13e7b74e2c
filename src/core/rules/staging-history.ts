import type { StagingMove } from '../facts.ts'
import { isZeroOid, shortOid } from '../oid.ts'
import type { Objection } from '../verdict.ts'
import { movedMeanwhile } from './moved-meanwhile.ts'

/** The staging branch is neither deleted nor rewritten, else evidence and releases hang in the air. */
export function stagingHistoryRule(facts: StagingMove): readonly Objection[] {
  const branch = facts.ref.replace(/^refs\/heads\//, '')
  if (isZeroOid(facts.to)) {
    return [
      {
        rule: 'staging-history',
        found: [`this push deletes ${branch}, which evidence and releases refer to`],
        fix: [`leave ${branch} in place; its history can only grow`],
      },
    ]
  }
  if (facts.objectType !== 'commit') {
    const what =
      facts.objectType === 'missing' ? 'not an object of this repository' : `a ${facts.objectType} object`
    return [
      {
        rule: 'staging-history',
        found: [`${shortOid(facts.to)} is ${what}, and ${branch} holds commits only`],
        fix: ['push a commit:', `  git push origin COMMIT:${facts.ref}`],
      },
    ]
  }
  if (isZeroOid(facts.from) || facts.fastForward) return []
  if (facts.claimedFrom !== facts.from) {
    return [
      {
        rule: 'staging-history',
        found: [movedMeanwhile(branch, facts)],
        fix: [
          'fetch first and bring your work up to date, then push again:',
          `  git pull --rebase origin ${branch}`,
        ],
      },
    ]
  }
  return [
    {
      rule: 'staging-history',
      found: [
        `${shortOid(facts.from)} -> ${shortOid(facts.to)} would rewrite ${branch}: commits that it has now would be gone`,
      ],
      fix: [
        'undo with a new commit instead (git revert), or bring your work up to date, then push without force:',
        `  git pull --rebase origin ${branch}`,
      ],
    },
  ]
}
