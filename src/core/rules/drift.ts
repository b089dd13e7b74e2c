import type { ReleaseRule } from '../decide.ts'
import { isZeroOid, shortOid, zeroOidLike } from '../oid.ts'

/** No move while the branch on disk is not where the ledger's last landed move put it. */
export const driftRule: ReleaseRule = ({ facts, history, policy }) => {
  const landed = history.state.landed[facts.ref]
  const expected = landed?.to ?? zeroOidLike(facts.to)
  if (expected === facts.from) return []
  const stands = isZeroOid(facts.from) ? 'does not exist' : `is at ${shortOid(facts.from)}`
  const should =
    landed === undefined
      ? 'no move of it ever landed'
      : `its last landed move (record ${landed.seq}) put it at ${shortOid(expected)}`
  return [
    {
      rule: 'drift',
      found: [`${policy.release} ${stands}, but ${should}: someone moved it behind the guard`],
      fix: [
        'find out who and why; then an operator accepts what is there, with a reason:',
        '  headgate drift --reason TEXT --key FILE',
      ],
    },
  ]
}
