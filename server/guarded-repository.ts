import { type PolicyInForce, parsePolicyFiles } from '../src/audit/policy-in-force.ts'
import { HeadgateError } from '../src/core/errors.ts'
import type { Oid } from '../src/core/oid.ts'
import type { Policy } from '../src/core/policy.ts'
import { type GitRepository, openRepository } from '../src/git/repository.ts'
import { GitLedger } from '../src/ledger/git-ledger.ts'
import type { Ledger, Snapshot } from '../src/ledger/ledger.ts'
import { readSealKey, type SealKey } from './seal-key.ts'
import { readSettings, type ServerSettings } from './settings.ts'

/** A repository with headgate installed, opened by a hook, the service or an admin's command. */
export type GuardedRepository = {
  readonly settings: ServerSettings
  /** Sees the objects of the push that is being judged. */
  readonly repository: GitRepository
  readonly ledger: Ledger
  readonly sealKey: SealKey
  /** Ends the git processes that reading needs. */
  close(): void
}

/** What the server knows at one moment: the ledger at one head, the policy in force there, the guarded refs on disk. */
export type ServerView = {
  readonly snapshot: Snapshot
  /** Null until an admin applies the first policy: then nothing is guarded but headgate's own refs. */
  readonly inForce: PolicyInForce | null
  readonly refs: ReadonlyMap<string, Oid>
}

export async function openGuarded(gitDirectory: string, quarantinePath?: string): Promise<GuardedRepository> {
  const settings = readSettings(gitDirectory)
  const options = { gitPath: settings.git }
  const repository = await openRepository(gitDirectory, {
    ...options,
    ...(quarantinePath === undefined ? {} : { quarantinePath }),
  })
  const sealKey = readSealKey(gitDirectory)
  // The ledger is opened apart: what it writes must never land in the quarantine and vanish with it.
  const ledgerRepository =
    quarantinePath === undefined ? repository : await openRepository(gitDirectory, options)
  const ledger = new GitLedger(ledgerRepository, sealKey.seal)
  const close = () => {
    repository.close()
    ledgerRepository.close()
  }
  return { settings, repository, ledger, sealKey, close }
}

export async function viewServer({ ledger, repository }: GuardedRepository): Promise<ServerView> {
  const snapshot = await ledger.snapshot()
  const files = await snapshot.policyInForce()
  const inForce = files === null ? null : parsePolicyFiles(files)
  // The refs are read after the ledger: a move that the ledger already knows as landed is then on disk, too.
  const names = inForce === null ? [] : guardedBranches(inForce.policy)
  for (const move of snapshot.state.open) if (!names.includes(move.ref)) names.push(move.ref)
  const found = await repository.refs(names)
  return { snapshot, inForce, refs: new Map([...found].map(([name, ref]) => [name, ref.oid])) }
}

export function stagingRef(policy: Policy): string {
  return `refs/heads/${policy.staging}`
}

export function releaseRef(policy: Policy): string {
  return `refs/heads/${policy.release}`
}

export function guardedBranches(policy: Policy): string[] {
  return [stagingRef(policy), releaseRef(policy)]
}

/** How often a lost race for the ledger's head is tried again before the push is told to come back. */
const MAX_ATTEMPTS = 60

/** One look at everything: an answer, or why another look is needed. */
export type Attempt<T> = { readonly done: T } | { readonly again: string }

export const LEDGER_MOVED: Attempt<never> = { again: 'others keep writing to the ledger' }

/**
 * Runs `attempt` until it has an answer. Each attempt must look at everything anew: what it decided on may have changed.
 * Throws HeadgateError 'unavailable' with the last reason when that never ends.
 */
export async function untilDone<T>(attempt: () => Promise<Attempt<T>>): Promise<T> {
  let reason = ''
  for (let count = 0; count < MAX_ATTEMPTS; count++) {
    const result = await attempt()
    if ('done' in result) return result.done
    reason = result.again
    // Jitter, so that two that lost together do not meet again; it grows, because many may be waiting.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(20 + 10 * count, 300)))
  }
  throw new HeadgateError('unavailable', reason, { hint: 'push again in a moment' })
}
