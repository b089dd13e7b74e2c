import type { ReleaseRule } from '../decide.ts'
import { isZeroOid } from '../oid.ts'
import { printable } from '../printable.ts'
import { frozenAt } from '../state.ts'

/** No promotions during a freeze; the way back stays open. */
export const frozenRule: ReleaseRule = ({ facts, history, now, kind, policy }) => {
  const freeze = frozenAt(history.state, now)
  if (freeze === null || kind === 'rollback' || isZeroOid(facts.to)) return []
  return [
    {
      rule: 'frozen',
      found: [
        `${policy.release} is frozen until ${freeze.until}: ${printable(freeze.reason)} (record ${freeze.seq}, by ${printable(freeze.by, 80)})`,
      ],
      fix: ['wait, or an operator lifts the freeze:', '  headgate unfreeze --reason TEXT --key FILE'],
    },
  ]
}
