import { parseSigners } from '../src/audit/parse-signers.ts'
import type { PolicyInForce } from '../src/audit/policy-in-force.ts'
import { HeadgateError } from '../src/core/errors.ts'
import type { Oid } from '../src/core/oid.ts'
import type { Policy } from '../src/core/policy.ts'
import { printable } from '../src/core/printable.ts'
import { elapsedMs } from '../src/git/elapsed.ts'
import { type GitRepository, openRepository } from '../src/git/repository.ts'
import { GitLedger } from '../src/ledger/git-ledger.ts'
import type { Ledger, PolicyFiles, Snapshot } from '../src/ledger/ledger.ts'
import { guardedBranches } from './guarded-branches.ts'
import { requireNeverGuarded } from './guarded-list.ts'
import { readSealKey, type SealKey } from './seal-key.ts'
import { readSettings, type ServerSettings } from './settings.ts'

/** A repository with headgate installed, opened by a hook, the service or an admin's command. */
export type GuardedRepository = {
  readonly settings: ServerSettings
  /** Sees the objects of the push that is being judged. */
  readonly repository: GitRepository
  readonly ledger: Ledger
  readonly sealKey: SealKey
  /** What a policy's text says. Throws HeadgateError 'configuration' that lists what is wrong with it. */
  readonly readPolicy: (text: string) => Policy
  /** The policy that was parsed last: it changes once a month. */
  readonly parsed: { last?: PolicyInForce }
  /** Runs one attempt of `untilDone`; the service lets one of them at a time look at a repository. */
  inTurn<T>(attempt: () => Promise<T>): Promise<T>
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

/** `readPolicy` is given, because reading YAML against schemas is half of the program, and a hook can mostly do without. */
export async function openGuarded(
  gitDirectory: string,
  readPolicy: GuardedRepository['readPolicy'],
): Promise<GuardedRepository> {
  const settings = readSettings(gitDirectory)
  const repository = await openRepository(gitDirectory, { gitPath: settings.git })
  const sealKey = readSealKey(gitDirectory)
  const ledger = new GitLedger(repository, sealKey.seal)
  return {
    settings,
    repository,
    ledger,
    sealKey,
    readPolicy,
    parsed: {},
    inTurn: (attempt) => attempt(),
    close: () => repository.close(),
  }
}

/**
 * The same, with the objects of the push that is being judged. The ledger stays outside: what it writes must never land
 * in the quarantine and vanish with it. Closing it leaves `guarded` open.
 */
export function inQuarantine(guarded: GuardedRepository, path: string): GuardedRepository {
  const repository = guarded.repository.inQuarantine(path)
  return { ...guarded, repository, close: () => repository.close() }
}

export async function viewServer(guarded: GuardedRepository): Promise<ServerView> {
  const { ledger, repository } = guarded
  const snapshot = await ledger.snapshot()
  const inForce = parsePolicyOnce(guarded, await snapshot.policyInForce())
  if (inForce === null) requireNeverGuarded(repository.commonDirectory)
  // The refs are read after the ledger: a move that the ledger already knows as landed is then on disk, too.
  const names = inForce === null ? [] : guardedBranches(inForce.policy)
  for (const move of snapshot.state.open) if (!names.includes(move.ref)) names.push(move.ref)
  const found = await repository.refs(names)
  for (const [name, { symref }] of found) {
    if (symref === undefined) continue
    // It moves whenever its target does, under a name that nobody guards: no move of it can be judged.
    const git = 'git -c core.hooksPath=/dev/null'
    const known = snapshot.state.landed[name]?.to ?? 'COMMIT'
    throw new HeadgateError('configuration', `${name} was made a symbolic ref to ${printable(symref)}`, {
      hint: `the server admin makes it a branch again: ${git} symbolic-ref --delete ${name}, then ${git} update-ref ${name} ${known}`,
    })
  }
  return { snapshot, inForce, refs: new Map([...found].map(([name, ref]) => [name, ref.oid])) }
}

function parsePolicyOnce(
  { readPolicy, parsed }: GuardedRepository,
  files: PolicyFiles | null,
): PolicyInForce | null {
  if (files === null) return null
  const { last } = parsed
  if (
    last?.version === files.version &&
    last.files.policy === files.policy &&
    last.files.allowedSigners === files.allowedSigners
  ) {
    return last
  }
  const policy = readPolicy(files.policy)
  const inForce = { version: files.version, policy, signers: parseSigners(files), files }
  parsed.last = inForce
  return inForce
}

/** How long a push waits for others before it is told to come back: people still look, and hosts' limits are longer. */
const PATIENCE_MS = 10_000

/** One look at everything: an answer, or why another look is needed. */
export type Attempt<T> =
  | { readonly done: T }
  /** `pauseMs`: nothing changes earlier. */
  | { readonly again: string; readonly pauseMs?: number }

export const LEDGER_MOVED: Attempt<never> = { again: 'others keep writing to the ledger' }

/**
 * Runs `attempt` until it has an answer. Each attempt must look at everything anew: what it decided on may have changed.
 * Throws HeadgateError 'unavailable' with the last reason when that never ends.
 */
export async function untilDone<T>(
  { inTurn }: GuardedRepository,
  attempt: () => Promise<Attempt<T>>,
): Promise<T> {
  const start = elapsedMs()
  for (let count = 0; ; count++) {
    const result = await inTurn(attempt)
    if ('done' in result) return result.done
    if (elapsedMs() - start > PATIENCE_MS) {
      throw new HeadgateError('unavailable', result.again, { hint: 'push again in a moment' })
    }
    // Jitter, so that two that lost together do not meet again; it grows, because many may be waiting.
    const pause = (result.pauseMs ?? 0) + Math.random() * Math.min(20 + 10 * count, 300)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
