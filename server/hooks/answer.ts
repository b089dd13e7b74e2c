/** One answer to one hook, the same whether the service or a process of the hook's own gives it. */
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { debugging, type Listener } from '../../src/git/debug.ts'
import { verifyQuarantine } from '../../src/git/environment.ts'
import { type GuardedRepository, inQuarantine } from '../guarded-repository.ts'
import { recordLanded } from '../record-landed.ts'
import { postReceive } from './post-receive.ts'
import { preReceive } from './pre-receive.ts'
import { withTargets } from './push-targets.ts'
import { prepared } from './reference-transaction.ts'
import type { HookAnswer, HookRequest } from './request.ts'

/** Who waits for the answer. */
export type Asker = {
  /** Whether somebody still waits: nothing is permitted to those who left. */
  isAwaited(): Promise<boolean>
  /** A line for the pusher, while there is no answer yet. */
  tell(text: string): void
}

/** A pipe holds 64 KiB: a pusher who does not read must not stop a hook that has its turn at the ledger. */
const MAX_DEBUG_BYTES = 32 * 1024

/** Where the server admin wants it, the pusher hears what is done for this push, and nothing of another one. */
export function answerHook(
  repository: GuardedRepository,
  request: HookRequest,
  clock: () => number,
  asker: Asker,
): Promise<HookAnswer> {
  const work = () => answer(repository, request, clock, asker)
  return repository.settings.debug ? debugging(bounded(asker), work) : work()
}

function bounded({ tell }: Asker): Listener {
  let left = MAX_DEBUG_BYTES
  return (line) => {
    if (left < 0) return
    left -= Buffer.byteLength(line) + 1
    try {
      tell(left < 0 ? 'headgate: debug: the rest is left out' : line)
    } catch {
      // What cannot be said changes no decision.
    }
  }
}

async function answer(
  repository: GuardedRepository,
  request: HookRequest,
  clock: () => number,
  asker: Asker,
): Promise<HookAnswer> {
  const guarded = { ...repository, tell: asker.tell }
  const { phase, updates, namespace, quarantine } = request
  switch (phase) {
    case 'prepared':
      return prepared(guarded, updates)
    case 'committed':
      // Hooks of earlier versions ask then, too.
      await recordLanded(guarded, clock)
      return { accepted: true, text: '' }
    case 'post-receive':
      return postReceive(guarded, await withTargets(guarded.repository, updates, namespace), clock)
    case 'pre-receive': {
      const { commonDirectory } = guarded.repository
      const verified = verifyQuarantine(quarantine, join(realpathSync(commonDirectory), 'objects'))
      const judging = verified === null ? guarded : inQuarantine(guarded, verified)
      try {
        const push = {
          updates: await withTargets(judging.repository, updates, namespace),
          identity: {
            value: request.pusher,
            login: request.login,
            certificate: { blob: request.certificate, nonceStatus: request.certificateNonce },
          },
          pushOptions: request.pushOptions,
          isAwaited: asker.isAwaited,
        }
        return await preReceive(judging, push, clock)
      } finally {
        if (judging !== guarded) judging.close()
      }
    }
  }
}
