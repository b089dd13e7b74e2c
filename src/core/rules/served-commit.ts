import type { ReleaseRule } from '../decide.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'

/** Staging must have served the very commit, before and after its gates ran. */
export const servedCommitRule: ReleaseRule = ({ facts, policy, kind, evidence }) => {
  if (kind === 'rollback' || facts.objectType !== 'commit') return []
  const { chosen } = evidence
  // Without a run that proves the commit, the evidence rule speaks.
  if (chosen === null || chosen.shortcomings.length > 0 || chosen.servedObjection === null) return []
  return [
    {
      rule: 'served-commit',
      found: [
        `staging ${printable(chosen.servedObjection)} (record ${chosen.record.seq}, by ${printable(chosen.record.signer.principal, 80)}), so the run may have tested another build`,
        `the policy says evidence.servedCommit: ${policy.evidence.servedCommit}`,
      ],
      fix: [
        `let staging report its full commit id, wait until it serves ${shortOid(facts.to)}, and run the gates again:`,
        `  headgate gate --mode staging --commit ${shortOid(facts.to)} --record --key FILE`,
      ],
    },
  ]
}
