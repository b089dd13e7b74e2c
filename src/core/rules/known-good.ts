import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import { assessEvidence } from '../evidence.ts'
import { movesTo } from '../history.ts'
import { shortOid } from '../oid.ts'

/** A rollback goes only to a commit that was a release before and, by policy, worked in production. */
export const knownGoodRule: ReleaseRule = (input) => {
  const { facts, policy, kind } = input
  if (kind !== 'rollback' || facts.objectType !== 'commit' || wasKnownGood(input)) return []
  const commit = shortOid(facts.to)
  return [
    {
      rule: 'known-good',
      found: [
        wasLanded(input)
          ? `${commit} was a release, but no passing production smoke is recorded for it`
          : `${commit} was never a landed release`,
      ],
      fix: [
        `choose an earlier release; they are the commits that landed in:  git log refs/headgate/ledger`,
      ].concat(
        policy.rollback.target === 'smoke-passed' ? ['(policy: rollback.target is smoke-passed)'] : [],
      ),
    },
  ]
}

export function wasKnownGood(input: ReleaseCase): boolean {
  const { policy, facts, history, now } = input
  if (!wasLanded(input)) return false
  if (policy.rollback.target === 'landed') return true
  const { production } = policy.environments
  if (production === undefined) return false
  const { standing } = assessEvidence(production, facts.to, policy, history, now)
  return standing.some((run) => run.statement.predicate.result !== 'FAILED')
}

function wasLanded({ facts, history }: ReleaseCase): boolean {
  return movesTo(history.about, facts.ref, facts.to).some((move) => move.outcome === 'landed')
}
