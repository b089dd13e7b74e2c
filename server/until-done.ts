/** Looking, deciding and writing, until there is an answer; with a turn at the ledger where there is something to write. */
import { HeadgateError } from '../src/core/errors.ts'
import { elapsedMs } from '../src/git/elapsed.ts'
import type { GuardedRepository } from './guarded-repository.ts'

/** How long a push waits for others before it is told to come back. */
const PATIENCE_MS = 60_000
/** Who waits longer than this is told, and told again that often. */
const TELL_AFTER_MS = 2_000
const TELL_AGAIN_MS = 10_000
/** In a turn only those who do not queue can be in the way. */
const APPENDS_IN_TURN = 50

/** One look at everything: an answer, or why another look is needed. */
export type Attempt<T> =
  | { readonly done: T }
  /** `pauseMs`: nothing changes earlier. */
  | { readonly again: string; readonly pauseMs?: number }
  | typeof NEEDS_TURN

/** There is something to append: look again when it is our turn, for only then does the head stay what it is. */
export const NEEDS_TURN = { needsTurn: true } as const

export const LEDGER_MOVED: Attempt<never> = { again: 'others keep writing to the ledger' }

/**
 * Runs `attempt` until it has an answer. Each attempt must look at everything anew: what it decided on may have changed.
 * It appends only where `hasTurn`; there it must not read again what can be large, for others wait. Throws HeadgateError
 * 'unavailable' with the last reason when that takes more than a minute. `mustAppend`: the caller knows already that
 * there is something to append, and reads nothing large, so that the first look may be one in turn.
 */
export async function untilDone<T>(
  { queue, tell }: Pick<GuardedRepository, 'queue' | 'tell'>,
  attempt: (hasTurn: boolean) => Promise<Attempt<T>>,
  { mustAppend = false }: { readonly mustAppend?: boolean } = {},
): Promise<T> {
  const start = elapsedMs()
  let waitingFor: string | null = null
  // The first look may take its time on a busy machine: nobody waits for others then.
  let since: number | undefined
  let tellAt = TELL_AFTER_MS
  const telling = setInterval(() => {
    if (waitingFor === null || since === undefined || elapsedMs() - since < tellAt) return
    tellAt += TELL_AGAIN_MS
    tell(`headgate: waiting, at most a minute: ${waitingFor}`)
  }, 500)
  try {
    for (let count = 0; ; count++) {
      waitingFor = null
      let result = mustAppend ? NEEDS_TURN : await attempt(false)
      if (result === NEEDS_TURN) {
        waitingFor = 'others write to the ledger, and are served in turn'
        since ??= elapsedMs()
        const turn = await queue.take(PATIENCE_MS - (elapsedMs() - start))
        if (turn === null)
          throw tooLong('others write to the ledger, and no turn came within a minute', STOPPED)
        waitingFor = null
        try {
          for (let appends = 0; appends < APPENDS_IN_TURN; appends++) {
            result = await attempt(true)
            if (result !== LEDGER_MOVED) break
          }
        } finally {
          turn.end()
        }
      }
      if ('done' in result) return result.done
      if (!('again' in result)) throw new TypeError('an attempt that has its turn asked for one')
      if (elapsedMs() - start > PATIENCE_MS) throw tooLong(result.again)
      waitingFor = result.again
      since ??= elapsedMs()
      // Jitter, so that two that lost together do not meet again; it grows, because many may be waiting.
      const pause = (result.pauseMs ?? 0) + Math.random() * Math.min(20 + 10 * count, 300)
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  } finally {
    clearInterval(telling)
  }
}

const STOPPED =
  'push again in a moment; where that does not help, a process on the server is stopped and holds headgate/seal-key.pem: fuser(1) names it'

function tooLong(why: string, hint = 'push again in a moment'): HeadgateError {
  return new HeadgateError('unavailable', why, { hint })
}
