/** Whether a promotion that fails in production could be rolled back without asking anybody: better known before it. */

import { HeadgateError } from '../../core/errors.ts'
import { explainRef, type RefReport } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { plural } from '../../core/plural.ts'
import { printable } from '../../core/printable.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import { judgeRollback } from '../../guard/rollback-targets.ts'
import type { ReleaseSession } from './release-session.ts'
import { approvalsToGet, mayGoAlone } from './rollback-approval.ts'

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

/** The way back from `commit` to what is released now, as if the promotion had landed. */
export async function gatherWayBack(session: ReleaseSession, commit: Oid): Promise<WayBack> {
  const { repository, view, releaseRef, release, client } = session
  if (release === null) return { kind: 'none' }
  // Only the ledger does not know of the promotion yet.
  const landed: RemoteView = { ...view, refs: new Map([...view.refs, [releaseRef, commit]]) }
  const option = await judgeRollback(repository, landed, release, Date.now())
  if (option === null) return { kind: 'open' }
  const obstacles = option.obstacles.filter(({ rule }) => rule !== 'drift')
  if (obstacles.length > 0)
    return { kind: 'closed', release, report: { ...option.foresight.report, objections: obstacles } }
  const getting = approvalsToGet(session, option)
  if (getting.kind === 'none' || mayGoAlone(getting)) return { kind: 'open' }
  const [from, to] = [await client.abbreviate(commit), await client.abbreviate(release)]
  return { kind: 'unapproved', from, to, missing: getting.missing, who: getting.who }
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
