import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import { assessEvidence, servedObjection } from '../evidence.ts'
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
          ? `${commit} was a release, but no production smoke that it passed is recorded, and the policy says rollback.target: ${policy.rollback.target}`
          : `${commit} never landed on ${policy.release}`,
      ],
      fix: [
        'go back to another release; the ledger lists every commit that landed:',
        '  git fetch origin refs/headgate/ledger',
        '  git log --oneline --grep=landed FETCH_HEAD',
      ],
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
  // A smoke that another build passed says nothing. One that cannot tell what it tested counts, also where staging must
  // tell: it cannot be made up for once the commit has left production.
  const mode = policy.evidence.servedCommit === 'ignore' ? 'ignore' : 'if-reported'
  return standing.some(
    ({ record }) =>
      record.statement.predicate.result !== 'FAILED' && servedObjection(record, facts.to, mode) === null,
  )
}

function wasLanded({ facts, history }: ReleaseCase): boolean {
  return movesTo(history.about, facts.ref, facts.to).some((move) => move.outcome === 'landed')
}
