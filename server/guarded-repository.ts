import { viewLine } from '../src/core/decision-lines.ts'
import { HeadgateError } from '../src/core/errors.ts'
import type { Oid } from '../src/core/oid.ts'
import type { Terms } from '../src/core/policy/policy.ts'
import { parsePolicyJson } from '../src/core/policy/policy-json.ts'
import { printable } from '../src/core/printable.ts'
import { guardedBranches, LEDGER_REF } from '../src/core/refs.ts'
import { formerBranches } from '../src/core/state.ts'
import { gitWithoutHooks } from '../src/git/configured-hooks.ts'
import { debug } from '../src/git/debug.ts'
import { type GitRepository, openRepository } from '../src/git/repository.ts'
import type { ServerView } from '../src/guard/guarded-view.ts'
import { parseSigners } from '../src/guard/parse-signers.ts'
import type { TermsInForce } from '../src/guard/policy-in-force.ts'
import type { SealKey } from '../src/guard/seal-key.ts'
import { GitLedger } from '../src/ledger/git-ledger.ts'
import type { Ledger, PolicyFiles, RefValue } from '../src/ledger/ledger.ts'
import { POLICY_JSON_FILE, policyPath } from '../src/ledger/ledger-tree.ts'
import { readGuardedNames, requireNeverGuarded } from './guarded-list.ts'
import { LedgerQueue } from './ledger-queue.ts'
import { readSealKey, sealKeyPath } from './seal-key.ts'
import { readSettings, type ServerSettings } from './settings.ts'

/** A repository with headgate installed, opened by a hook, the service or an admin's command. */
export type GuardedRepository = {
  readonly settings: ServerSettings
  /** Sees the objects of the push that is being judged. */
  readonly repository: GitRepository
  readonly ledger: Ledger
  readonly sealKey: SealKey
  /** What a policy's text says. Rejects with HeadgateError 'configuration' that lists what is wrong with it. */
  readonly readPolicy: (text: string) => Promise<Terms>
  /** The policy that was parsed last: it changes once a month. */
  readonly parsed: { last?: TermsInForce }
  /** Where those who append wait for each other. */
  readonly queue: LedgerQueue
  /** Says something to whoever waits for an answer, while it is not there yet. */
  tell(text: string): void
  /** Ends the git processes that reading needs. */
  close(): void
}

/** `readPolicy` is given: a hook has no reader of YAML at hand, and nearly never needs one. */
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
    queue: new LedgerQueue(sealKeyPath(repository.commonDirectory)),
    tell: () => {},
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
  // One question for all of them, which the list mostly knows already.
  const listed = [...readGuardedNames(repository.commonDirectory)].filter((name) => name !== LEDGER_REF)
  const { snapshot, refs: first } = await ledger.snapshotWith(listed)
  const inForce = await parsePolicyOnce(guarded, await snapshot.policyInForce())
  if (inForce === null) requireNeverGuarded(repository.commonDirectory)
  const names = new Set([
    ...(inForce === null ? [] : guardedBranches(inForce.policy)),
    ...formerBranches(snapshot.state).map(({ ref }) => ref),
    ...snapshot.state.open.map(({ ref }) => ref),
  ])
  const others = [...names].filter((name) => !listed.includes(name))
  const more = others.length === 0 ? new Map<string, RefValue>() : await repository.refs(others)
  const refs = new Map<string, Oid>()
  for (const [name, { oid, symref }] of [...first, ...more]) {
    if (!names.has(name)) continue
    refs.set(name, oid)
    if (symref === undefined) continue
    // It moves whenever its target does, under a name that nobody guards: no move of it can be judged.
    const git = gitWithoutHooks(repository.commonDirectory)
    const known = snapshot.state.landed[name]?.to ?? 'COMMIT'
    throw new HeadgateError('configuration', `${name} was made a symbolic ref to ${printable(symref)}`, {
      hint: `the server admin makes it a branch again: ${git} symbolic-ref --delete ${name}, then ${git} update-ref ${name} ${known}`,
    })
  }
  debug(() => viewLine(snapshot.head, inForce, refs))
  return { snapshot, inForce, refs }
}

async function parsePolicyOnce(
  { readPolicy, parsed }: GuardedRepository,
  files: PolicyFiles | null,
): Promise<TermsInForce | null> {
  if (files === null) return null
  const { last } = parsed
  if (
    last?.version === files.version &&
    last.files.policy === files.policy &&
    last.files.json === files.json &&
    last.files.allowedSigners === files.allowedSigners
  ) {
    return last
  }
  const policy = termsOf(files) ?? (await readPolicy(files.policy))
  const inForce = { version: files.version, policy, signers: parseSigners(files), files }
  parsed.last = inForce
  return inForce
}

/** Null where only the text tells. */
function termsOf({ version, json }: PolicyFiles): Terms | null {
  if (json === undefined) return null
  try {
    return parsePolicyJson(json)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    const { code, message, hint = '' } = error
    throw new HeadgateError(code, `the ledger's ${policyPath(version, POLICY_JSON_FILE)} ${message}`, {
      hint,
    })
  }
}
