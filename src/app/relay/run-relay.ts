/** `headgate relay`: looks at hosts, once or until it is ended. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HeadgateError } from '../../core/errors.ts'
import type { Relay, RelayEvent } from '../../relay/relay.ts'
import { relayOnce } from '../../relay/relay-once.ts'
import { watchHost } from '../../relay/watch.ts'
import type { Caller } from '../caller.ts'
import { openRelay } from './relay-folder.ts'

export type RunRelayEvent =
  | { readonly kind: 'event'; readonly host: string; readonly event: RelayEvent }
  | { readonly kind: 'failed'; readonly host: string; readonly error: HeadgateError }

/** What the looks came to; `failed` counts hosts that could not be served. */
export type RelayRun = {
  readonly moved: number
  readonly refused: number
  readonly recorded: number
  readonly failed: number
}

export async function runRelayOnce(
  caller: Caller,
  folders: readonly string[],
  tell: (event: RunRelayEvent) => void,
): Promise<RelayRun> {
  const run = { moved: 0, refused: 0, recorded: 0, failed: 0 }
  for (const folder of folders) {
    let relay: Relay | undefined
    try {
      relay = await openTelling(caller, folder, (event) => {
        if (event.kind === 'event') count(run, event.event)
        tell(event)
      })
      await relayOnce(relay)
    } catch (error) {
      if (!(error instanceof HeadgateError) || folders.length === 1) throw error
      run.failed += 1
      tell({ kind: 'failed', host: relay?.host.url ?? folder, error })
    } finally {
      relay?.cache.close()
    }
  }
  return run
}

function count(run: { moved: number; refused: number; recorded: number }, event: RelayEvent): void {
  if (event.kind === 'moved') run.moved += 1
  else if (event.kind === 'refused') run.refused += 1
  else if (event.kind === 'recorded') run.recorded += event.count
}

/** Until `ended`; `woken` gives a new signal for each pause, which cuts it short. */
export async function watchHosts(
  caller: Caller,
  folders: readonly string[],
  options: { readonly everyMs: number; readonly ended: AbortSignal; readonly woken: () => AbortSignal },
  tell: (event: RunRelayEvent) => void,
): Promise<void> {
  await Promise.all(folders.map((folder) => watchFolder(caller, folder, options, tell)))
}

/** A host that cannot be reached at first is tried again, and holds up no other. */
async function watchFolder(
  caller: Caller,
  folder: string,
  options: Parameters<typeof watchHosts>[2],
  tell: (event: RunRelayEvent) => void,
): Promise<void> {
  const { everyMs, ended, woken } = options
  while (!ended.aborted) {
    let relay: Relay | undefined
    try {
      relay = await openTelling(caller, folder, tell)
      const failed = ({ host }: Relay, error: HeadgateError) =>
        tell({ kind: 'failed', host: host.url, error })
      await watchHost(relay, { ...options, events: { failed } })
    } catch (error) {
      if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
      tell({ kind: 'failed', host: folder, error })
      await sleep(Math.max(everyMs, 10_000), undefined, { signal: AbortSignal.any([ended, woken()]) }).catch(
        () => {},
      )
    } finally {
      relay?.cache.close()
    }
  }
}

async function openTelling(
  caller: Caller,
  folder: string,
  tell: (event: RunRelayEvent) => void,
): Promise<Relay> {
  let host = ''
  const relay = await openRelay(caller, folder, { tell: (event) => tell({ kind: 'event', host, event }) })
  host = relay.host.url
  return relay
}
