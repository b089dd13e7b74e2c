/** Whether a promotion that fails in production could be rolled back without asking anybody: better known before it. */

import { HeadgateError } from '../../core/errors.ts'
import { explainRef, type RefReport } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { plural } from '../../core/plural.ts'
import { printable } from '../../core/printable.ts'

export type WayBack =
  | { readonly kind: 'open' }
  /** This is the first release. */
  | { readonly kind: 'none' }
  | { readonly kind: 'closed'; readonly release: Oid; readonly report: RefReport }
  | {
      readonly kind: 'unapproved'
      /** Both commits as short as they can be pasted. */
      readonly from: string
      readonly to: string
      readonly missing: number
      readonly who: readonly string[]
    }

/** What is missing for a rollback by itself; approvals may be given in advance: they name both commits, and time out. */
export function lackOfWayBack(wayBack: WayBack): HeadgateError | null {
  switch (wayBack.kind) {
    case 'open':
      return null
    case 'none':
      return new HeadgateError(
        'usage',
        '--auto-rollback has nowhere to go back to: this is the first release',
        { hint: 'leave it out' },
      )
    case 'closed':
      return new HeadgateError(
        'refused',
        [
          `--auto-rollback could not go back to ${shortOid(wayBack.release)}`,
          ...explainRef(wayBack.report),
        ].join('\n'),
        { hint: 'promote without it, or make the release known-good first; nothing was pushed' },
      )
    case 'unapproved': {
      const { from, to, missing, who } = wayBack
      const names = who.map((name) => printable(name, 60)).join(', ')
      return new HeadgateError(
        'refused',
        [
          `--auto-rollback needs ${plural(missing, 'approval')} more, by ${names}, given in advance:`,
          `  headgate approve --from ${from} --to ${to} --reason 'in case its smoke fails' --key FILE`,
        ].join('\n'),
        { hint: 'nothing was pushed; promote again once it is approved, or without --auto-rollback' },
      )
    }
  }
}
