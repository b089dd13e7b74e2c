/** One move of the release branch where a relay makes it: the operator asks for it, and the relay answers. */
import { randomUUID } from 'node:crypto'
import { HeadgateError } from '../../core/errors.ts'
import { type Oid, zeroOidLike } from '../../core/oid.ts'
import { requestWords } from '../../core/request.ts'
import { statementPayload } from '../../core/statement.ts'
import type { PushOutcome } from '../clone/push-ref.ts'
import { requireKey } from '../requirements.ts'
import { type SubmitEvent, signAndSubmit } from '../statements/submit.ts'
import type { ReleaseSession } from './release-session.ts'

/** Long enough for a relay that runs from a timer; what was asked for longer ago is not wanted any more. */
const VALID_MS = 15 * 60_000

/** `pushOptions`: what a push would say. Afterwards the session's view is new. */
export async function requestMove(
  session: ReleaseSession,
  to: Oid,
  pushOptions: readonly string[],
  tell: (event: SubmitEvent) => void,
): Promise<PushOutcome> {
  const { client, place, policy, releaseRef } = session
  const key = requireKey(session.options.key, client.caller.environment)
  const now = Date.now()
  const payload = statementPayload('request', policy.repository, to, {
    ref: releaseRef,
    from: session.release ?? zeroOidLike(to),
    to,
    ...requestWords(pushOptions),
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + VALID_MS).toISOString(),
    nonce: randomUUID(),
  })
  try {
    await signAndSubmit(client, { place, kind: 'request', payload, key }, tell)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    if (error.code === 'unavailable') return { kind: 'unknown', error }
    await session.look()
    if (error.code === 'refused') return { kind: 'refused', error, words: [] }
    throw error
  }
  await session.look()
  return { kind: 'moved', words: [] }
}
