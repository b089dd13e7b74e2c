import type { ReleaseRule } from '../decide.ts'
import { shortOid } from '../oid.ts'
import type { Terms } from '../policy/policy.ts'
import { pushOption } from '../push-option.ts'
import type { MoveKind } from '../verdict.ts'
import { promotionOptions } from './promotion-options.ts'

/** A promotion says what it is about. Approvals and overrides have a reason of their own, which somebody signed. */
export const noteRule: ReleaseRule = ({ facts, policy, kind }) => {
  if (!wantsNote(policy, kind) || pushOption(facts.pushOptions, 'note') !== null) return []
  const commit = shortOid(facts.to)
  const found = facts.pushOptions.some((option) => option.startsWith('note='))
    ? 'the note of this push says nothing'
    : 'the push has no note'
  return [
    {
      rule: 'note',
      found: [`${found}, and the policy says promotion.notes: required`],
      fix: [
        'say in a line what goes out and why:',
        `  git push ${promotionOptions(policy)}origin ${commit}:${facts.ref}`,
        `  headgate promote ${commit} --note 'TEXT'`,
      ],
    },
  ]
}

export function wantsNote({ promotion }: Terms, kind: MoveKind): boolean {
  return promotion.notes === 'required' && kind === 'promotion'
}
