/** Whether a promotion that fails in production could be rolled back without asking anybody: better known before it. */

import { HeadgateError } from '../core/errors.ts'
import { explainRef } from '../core/explain.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import { judgeRollback } from '../guard/rollback-targets.ts'
import { plural } from './output.ts'
import type { ReleaseSession } from './release-session.ts'
import { approvalsToGet, mayGoAlone } from './rollback-approval.ts'

/** Throws 'refused' with what is missing. Approvals may be given in advance: they name both commits, and time out. */
export async function requireAutoRollback(session: ReleaseSession, commit: Oid): Promise<void> {
  const { repository, view, releaseRef, release, client } = session
  if (release === null) {
    throw new HeadgateError('usage', '--auto-rollback has nowhere to go back to: this is the first release', {
      hint: 'leave it out',
    })
  }
  // As if the promotion had landed; only the ledger does not know of it yet.
  const landed: RemoteView = { ...view, refs: new Map([...view.refs, [releaseRef, commit]]) }
  const option = await judgeRollback(repository, landed, release, Date.now())
  if (option === null) return
  const obstacles = option.obstacles.filter(({ rule }) => rule !== 'drift')
  if (obstacles.length > 0) {
    const reasons = explainRef({ ...option.foresight.report, objections: obstacles })
    throw new HeadgateError(
      'refused',
      [`--auto-rollback could not go back to ${shortOid(release)}`, ...reasons].join('\n'),
      { hint: 'promote without it, or make the release known-good first; nothing was pushed' },
    )
  }
  const getting = approvalsToGet(session, option)
  if (getting.kind === 'none' || mayGoAlone(getting)) return
  const [from, to] = [await client.abbreviate(commit), await client.abbreviate(release)]
  const names = getting.who.map((name) => printable(name, 60)).join(', ')
  throw new HeadgateError(
    'refused',
    [
      `--auto-rollback needs ${plural(getting.missing, 'approval')} more, by ${names}, given in advance:`,
      `  headgate approve --from ${from} --to ${to} --reason 'in case its smoke fails' --key FILE`,
    ].join('\n'),
    { hint: 'nothing was pushed; promote again once it is approved, or without --auto-rollback' },
  )
}
