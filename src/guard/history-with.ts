import type { History, HistoryRecord } from '../core/history.ts'
import type { Oid } from '../core/oid.ts'
import { advanceState, isOnDisk } from '../core/state.ts'
import { gatherHistory } from './gather-history.ts'
import { type ServerView, stateOf } from './guarded-view.ts'
import { anticipate, type Submission } from './submissions.ts'

/** The ledger's history with the submissions of one push or one look, as if they were recorded already. */
export async function historyWith(
  view: ServerView,
  to: Oid,
  submissions: readonly Submission[],
  now: number,
): Promise<History> {
  const recorded = await gatherHistory(view.snapshot, to, view.inForce)
  const about: HistoryRecord[] = [...recorded.about]
  const at = new Date(now).toISOString()
  // The records that are added begin with the outcomes of what has landed.
  let state = stateOf(view, now)
  let seq =
    view.snapshot.head.seq + view.snapshot.state.open.filter((move) => isOnDisk(move, view.refs)).length
  for (const submission of submissions) {
    const record = anticipate(submission, ++seq, now, submission.principal)
    state = advanceState(state, { seq, at, by: submission.principal, statement: submission.statement })
    if (submission.statement.commit === to) about.push(record)
  }
  return { state, about }
}
