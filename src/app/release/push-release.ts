/** One move of the release branch as a push, and what became of it: by the server's word or, without one, by looking. */

import { HeadgateError } from '../../core/errors.ts'
import { type Oid, zeroOidLike } from '../../core/oid.ts'
import { landedMoves } from '../../guard/landed-moves.ts'
import { type PushOutcome, pushRef } from '../clone/push-ref.ts'
import { remoteOption } from '../clone/shown-remote.ts'
import { whenSettled } from '../clone/when-settled.ts'
import type { SubmitEvent } from '../statements/submit.ts'
import type { ReleaseSession } from './release-session.ts'
import { requestMove } from './request-move.ts'

export type PushEvent =
  | SubmitEvent
  /** In the server's own lines. */
  | { readonly kind: 'server-said'; readonly lines: readonly string[] }
  /** The server did not say so, and the branch was moved all the same. */
  | { readonly kind: 'moved-unsaid'; readonly branch: string }

/** Pushes exactly this move, or asks the relay for it, where one guards. Afterwards the session's view is new, if the remote can be looked at. */
export async function pushRelease(
  session: ReleaseSession,
  to: Oid,
  options: readonly string[],
  signed: boolean,
  tell: (event: PushEvent) => void,
): Promise<PushOutcome> {
  const { place, policy, releaseRef } = session
  if (policy.guard === 'relay') return requestMove(session, to, options, tell)
  const from = session.release ?? zeroOidLike(to)
  const before = session.view.snapshot.head.seq
  const outcome = await pushRef(session.client.caller, {
    place,
    ref: releaseRef,
    from,
    to,
    options,
    signed,
  })
  if (outcome.kind === 'moved' && outcome.words.length > 0)
    tell({ kind: 'server-said', lines: outcome.words })
  if (outcome.kind !== 'unknown') {
    await session.look()
    return outcome
  }
  const seen = await whenSettled(() => findMove(session, { from, to, before }), { isOver: false })
  if (seen.kind === 'found') {
    tell({ kind: 'moved-unsaid', branch: policy.release })
    return { kind: 'moved', words: [] }
  }
  const why = seen.kind === 'unseen' ? seen.error.message : 'so far it is where it was'
  const { remote } = session.options
  const error = new HeadgateError(
    'unavailable',
    `${outcome.error.message}\nwhether ${policy.release} was moved is not known: ${why}`,
    { hint: `find out: headgate status${remoteOption(remote)}` },
  )
  return { kind: 'unknown', error }
}

/** True where the branch is at the commit, or was moved there after the record `before` and has moved on; else null. */
async function findMove(
  session: ReleaseSession,
  { from, to, before }: { readonly from: Oid; readonly to: Oid; readonly before: number },
): Promise<true | null> {
  await session.look()
  if (session.release === to) return true
  for await (const move of landedMoves(session.view.snapshot, session.releaseRef, session.release)) {
    if (move.seq <= before) break
    if (move.from === from && move.to === to) return true
  }
  return null
}
