import { setTimeout as pause } from 'node:timers/promises'
import type { Oid } from '../core/oid.ts'
import type { Environment } from '../core/policy/policy.ts'
import type { BaseUrl } from './base-url.ts'
import { readServedCommit } from './served-commit.ts'

/** A deploy takes minutes; asking more often than this would not end it sooner. */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 5000

export type WaitOptions = {
  readonly base: BaseUrl
  readonly source: NonNullable<Environment['servedCommit']>
  /** Sent along with every look. */
  readonly headers: Readonly<Record<string, string>>
  readonly commit: Oid
  readonly waitMs: number
  readonly signal: AbortSignal
  /** Told what every look found, as long as that is not the commit. */
  readonly onLook: (found: string) => void
  /** Whether the commit that is served instead has left no hope for the one that is waited for. */
  readonly isSuperseded: (served: Oid) => Promise<boolean>
}

/**
 * Looks again and again until the environment serves the commit, for `waitMs` at most. It says nothing about the
 * outcome: the run that follows reads the commit itself. Returns early where `signal` says so, and where something newer is
 * served that contains the commit.
 */
export async function waitForCommit(options: WaitOptions): Promise<void> {
  const { commit, signal } = options
  const endMs = performance.now() + options.waitMs
  let pauseMs = FIRST_PAUSE_MS
  while (!signal.aborted) {
    const served = await readServedCommit(options.base, options.source, options.headers, signal)
    if (signal.aborted || (served.kind === 'reported' && served.commit === commit)) return
    const remainingMs = endMs - performance.now()
    if (served.kind === 'reported' && (await options.isSuperseded(served.commit))) return
    options.onLook(served.kind === 'reported' ? `it serves ${served.commit}` : served.reason)
    if (remainingMs <= 0) return
    await pause(Math.min(pauseMs, remainingMs), undefined, { signal }).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)
  }
}
