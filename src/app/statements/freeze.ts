/** A freeze: promotions are refused until a time. */
import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import { releaseRef } from '../../core/refs.ts'
import { statementPayload } from '../../core/statement.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { shownRemote } from '../clone/shown-remote.ts'
import { requireDuration, requireKey, requireReason } from '../requirements.ts'
import { type StatementOptions, viewRelease } from './guarded-release.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type Frozen = {
  /** False where there was no freeze to end, so that nothing was to be recorded. */
  readonly recorded: boolean
  readonly ref: string
  /** Short name of the release branch. */
  readonly branch: string
  /** Where that is. */
  readonly commit: Oid
  /** RFC 3339; null where nothing is frozen any more. */
  readonly until: string | null
}

/** Freezes for a duration; null ends the freeze in force. */
export async function freeze(
  caller: Caller,
  options: StatementOptions & { readonly duration: string | null },
  tell: (event: SubmitEvent) => void,
): Promise<Frozen> {
  const { duration, remote } = options
  const key = requireKey(options.key, caller.environment)
  const reason = requireReason(options.reason)
  const lastingMs = duration === null ? 0 : requireDuration('for', duration)
  const client = new ClientRepository(caller)
  const { place, policy, state, release } = await viewRelease(client, remote)
  if (release === null) {
    throw new HeadgateError(
      'configuration',
      `there is no ${policy.release} on ${shownRemote(remote)} yet, and a freeze speaks of its tip`,
      { hint: 'freeze it after the first promotion' },
    )
  }
  const now = Date.now()
  const frozen = { ref: releaseRef(policy), branch: policy.release, commit: release }
  if (duration === null && (state.freeze === null || Date.parse(state.freeze.until) <= now))
    return { recorded: false, ...frozen, until: null }
  const until = new Date(now + lastingMs).toISOString()
  const payload = statementPayload('freeze', policy.repository, release, {
    until,
    reason,
    issuedAt: new Date(now).toISOString(),
  })
  await signAndSubmit(client, { place, kind: 'freeze', payload, key }, tell)
  return { recorded: true, ...frozen, until: duration === null ? null : until }
}
