import type { ReleaseRule } from '../decide.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'

/** A rollback needs enough approvals for exactly this move. */
export const approvalRule: ReleaseRule = ({ facts, policy, kind, approvals }) => {
  if (kind !== 'rollback' || facts.objectType !== 'commit') return []
  const needed = policy.rollback.approvals
  if (approvals.valid.length >= needed) return []
  const [from, to] = [shortOid(facts.from), shortOid(facts.to)]
  const have = approvals.valid.map((approval) => printable(approval.signer.principal, 80))
  const approvers = policy.rollback.approvers.map((name) => printable(name, 80)).join(', ')
  return [
    {
      rule: 'approval',
      found: [
        `going back from ${from} to ${to} needs ${needed} valid approval${needed === 1 ? '' : 's'} and has ${have.length}${have.length === 0 ? '' : ` (${have.join(', ')})`}`,
        ...approvals.invalid.slice(0, 5).map((line) => `not counted: ${printable(line)}`),
      ],
      fix: [
        `an approver${policy.rollback.approverMayPush ? '' : ' other than the pusher'} (${approvers}) signs one, then push again:`,
        `  headgate approve --from ${from} --to ${to} --reason TEXT --key FILE`,
      ],
    },
  ]
}
