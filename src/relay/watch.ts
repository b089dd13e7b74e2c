/** A relay that goes on: it asks each host for its refs at an interval, and works only where these have changed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HeadgateError } from '../core/errors.ts'
import type { Relay } from './relay.ts'
import { refsOfHost, relayOnce } from './relay-once.ts'

export type WatchEvents = {
  /** A host could not be served this time; it is tried again. */
  readonly failed: (relay: Relay, error: HeadgateError) => void
}

/** A host that fails is left alone for longer each time, up to this. */
const LONGEST_PAUSE_MS = 5 * 60_000

/** Until `ended`; `woken` cuts the pause between two looks short. */
export async function watchHost(
  relay: Relay,
  options: {
    readonly everyMs: number
    readonly ended: AbortSignal
    /** A new signal for each pause. */
    readonly woken: () => AbortSignal
    readonly events: WatchEvents
  },
): Promise<void> {
  const { everyMs, ended, woken, events } = options
  let seen = ''
  let failures = 0
  while (!ended.aborted) {
    try {
      const refs = JSON.stringify([...(await refsOfHost(relay))])
      if (refs !== seen) {
        // What came after the last look is not in it.
        seen = JSON.stringify([...(await relayOnce(relay))])
      }
      failures = 0
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      failures += 1
      seen = ''
      events.failed(relay, error)
    }
    const pauseMs =
      failures === 0 ? everyMs : Math.min(everyMs * 2 ** Math.min(failures, 10), LONGEST_PAUSE_MS)
    await sleep(pauseMs, undefined, { signal: AbortSignal.any([ended, woken()]) }).catch(() => {})
  }
}
