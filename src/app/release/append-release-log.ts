/**
 * Entries of the release log as commits on the staging branch, or on a branch that is reviewed before it gets there. The
 * ledger says what must stand in the log and the log says what does, so that this can be run again at any time.
 */

import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid, zeroOidLike } from '../../core/oid.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { branchRef } from '../../core/refs.ts'
import { appendEntries, type LogItem } from '../../core/release-log.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import { type LandedMove, landedMoves } from '../../guard/landed-moves.ts'
import { releaseEntry } from '../../guard/release-entry.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../clone/guarded-place.ts'
import { lookAtGuarded } from '../clone/guarded-remote.ts'
import { pushRef } from '../clone/push-ref.ts'
import { remoteOption, shownRemote } from '../clone/shown-remote.ts'
import { whenSettled } from '../clone/when-settled.ts'
import { commitFile, readLogFile } from './log-commit.ts'
import { type Logged, loggedRecords } from './logged-records.ts'

export type LogTarget = {
  readonly place: GuardedPlace
  /** Short name of a branch other than the staging branch; undefined for the staging branch. */
  readonly logBranch: string | undefined
}

/** Which of the moves that have no entry get one. */
export type Wanted =
  /** Every move that the ledger knows. */
  | { readonly kind: 'all' }
  /** This one, and those between it and the newest that has an entry. */
  | { readonly kind: 'since'; readonly record: number }

export type AppendedLog = {
  readonly branch: string
  /** Null where nothing was missing. */
  readonly commit: Oid | null
  readonly entries: readonly LogItem[]
}

export type AppendEvent =
  /** Somebody pushed to the branch meanwhile, and the entry is written anew on top of that. */
  | { readonly kind: 'log-branch-moved'; readonly branch: string }
  /** The server did not say so, and the branch has the entry all the same. */
  | { readonly kind: 'log-written-unsaid' }

export type TellAppend = (event: AppendEvent) => void

/** On a busy branch an operator loses a race or two; after this many a person should look. */
const ATTEMPTS = 30

/**
 * Appends what is missing. Each attempt looks at the branch anew, so that nothing of others is lost and no entry is
 * written twice. Throws 'refused' where the branch does not take it, 'unavailable' where others are always faster.
 */
export async function appendReleaseLog(
  client: ClientRepository,
  repository: GitRepository,
  target: LogTarget,
  wanted: Wanted,
  tell: TellAppend,
): Promise<AppendedLog> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const view = await lookAtGuarded(client, repository, target.place.reads)
    const place = await findPlace(client, repository, view, target)
    const path = view.inForce.policy.releaseLog
    const file = await readLogFile(client, repository, place.base, path)
    const entries = await missingEntries(
      view,
      wanted,
      await loggedRecords(client, repository, view, file.bytes),
    )
    if (entries.length === 0) return { branch: place.branch, commit: null, entries }
    const commit = await commitFile(client, repository, {
      parent: place.base,
      path,
      file: { mode: file.mode, bytes: appendEntries(file.bytes, entries) },
      message: commitMessage(entries),
    }).catch((error) => {
      throw error instanceof HeadgateError ? explainFailure(error, place.branch, target) : error
    })
    const ref = branchRef(place.branch)
    const outcome = await pushRef(client.caller, {
      place: target.place,
      ref,
      from: place.at,
      to: commit,
    })
    if (outcome.kind === 'moved') return { branch: place.branch, commit, entries }
    // Who is late is refused by git, by headgate or by another hook, each in its own words: where the branch is, tells.
    if (outcome.kind === 'refused' && (await isAt(client, target, ref, place.at)))
      throw explainFailure(outcome.error, place.branch, target)
    if (outcome.kind === 'unknown') {
      await requireWritten(client, repository, { target, ref, commit, error: outcome.error })
      tell({ kind: 'log-written-unsaid' })
      return { branch: place.branch, commit, entries }
    }
    tell({ kind: 'log-branch-moved', branch: place.branch })
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 100 * Math.min(attempt, 10)))
  }
  throw new HeadgateError(
    'unavailable',
    'others keep moving the branch; the release log entry is not written',
    {
      hint: catchUp(target),
    },
  )
}

async function isAt(client: ClientRepository, { place }: LogTarget, ref: string, at: Oid): Promise<boolean> {
  return ((await client.remoteBranch(place.reads, ref)) ?? zeroOidLike(at)) === at
}

/** Looks for a commit whose push ended without the server's word. Throws 'unavailable' where nobody can tell. */
async function requireWritten(
  client: ClientRepository,
  repository: GitRepository,
  push: {
    readonly target: LogTarget
    readonly ref: string
    readonly commit: Oid
    readonly error: HeadgateError
  },
): Promise<void> {
  const { target, ref, commit, error } = push
  const { remote, reads } = target.place
  const look = async () => {
    const at = await client.remoteBranch(reads, ref)
    if (at === null) return null
    await client.fetchRefs(reads, [ref])
    return (await repository.isAncestor(commit, at)) ? commit : null
  }
  const seen = await whenSettled(look, { isOver: false })
  if (seen.kind === 'found') return
  const why = seen.kind === 'unseen' ? seen.error.message : `${shownRemote(remote)} does not have it so far`
  throw new HeadgateError(
    'unavailable',
    `${error.message}\nwhether the release log entry is written is not known: ${why}`,
    { hint: catchUp(target) },
  )
}

/** Appends an entry for every landed move that has none. */
export async function catchUpReleaseLog(
  caller: Caller,
  { remote, logBranch }: { readonly remote: string; readonly logBranch: string | undefined },
  tell: TellAppend,
): Promise<AppendedLog> {
  const client = new ClientRepository(caller)
  const repository = await client.open()
  try {
    const target = { place: await guardedPlace(client, remote), logBranch }
    return await appendReleaseLog(client, repository, target, { kind: 'all' }, tell)
  } finally {
    repository.close()
  }
}

/** The records that have entries already, on the staging branch or where new ones are written. */
export async function loggedSoFar(
  client: ClientRepository,
  repository: GitRepository,
  view: RemoteView,
  target: LogTarget,
): Promise<Logged> {
  const place = await findPlace(client, repository, view, target)
  const file = await readLogFile(client, repository, place.base, view.inForce.policy.releaseLog)
  return loggedRecords(client, repository, view, file.bytes)
}

type Place = {
  readonly branch: string
  /** Where the branch is; zeros where it is still to be made. */
  readonly at: Oid
  /** The commit that the entry goes on top of. */
  readonly base: Oid
}

async function findPlace(
  client: ClientRepository,
  repository: GitRepository,
  view: RemoteView,
  { place: { reads }, logBranch }: LogTarget,
): Promise<Place> {
  const { policy } = view.inForce
  const refs = refsOf(policy)
  const staging = view.refs.get(refs.staging)
  if (staging === undefined) {
    throw new HeadgateError('configuration', `there is no ${printable(policy.staging)} to write the log on`)
  }
  if (logBranch === undefined || logBranch === policy.staging)
    return { branch: policy.staging, at: staging, base: staging }
  if (logBranch === policy.release) {
    throw new HeadgateError('usage', `the log cannot be written on ${printable(policy.release)}`, {
      hint: `--log-branch names a branch that is merged into ${printable(policy.staging)}`,
    })
  }
  const ref = branchRef(logBranch)
  const at = await client.remoteBranch(reads, ref)
  if (at === null) return { branch: logBranch, at: zeroOidLike(staging), base: staging }
  await client.fetchRefs(reads, [ref])
  // What has been merged is done with: the next entry begins where the staging branch is now.
  const merged = await repository.isAncestor(at, staging)
  return { branch: logBranch, at, base: merged ? staging : at }
}

/** Entries for what is wanted and not logged, oldest first. */
async function missingEntries(view: RemoteView, wanted: Wanted, logged: Logged): Promise<LogItem[]> {
  const { release } = refsOf(view.inForce.policy)
  const entries: LogItem[] = []
  let next: LandedMove | null = null
  for await (const move of landedMoves(view.snapshot, release, view.refs.get(release) ?? null)) {
    const isLogged = logged.has(move.seq)
    const isLast = wanted.kind === 'since' && move.seq < wanted.record && (isLogged || logged.size === 0)
    if (isLast && !isLogged) break
    const entry = logged.get(move.seq) === true ? null : await releaseEntry(view, move, next)
    if (entry !== null && !isLogged) entries.unshift(entry)
    // Its entry said "not recorded", and by now it is.
    else if (entry !== null && entry.smoke !== null) {
      const { commit, smoke, record } = entry
      entries.unshift({ kind: 'smoke', commit, smoke, record })
    }
    if (isLast) break
    next = move
  }
  return entries
}

/** As the message of the commit names it. */
export function itemName({ kind, commit }: LogItem): string {
  return kind === 'smoke' ? `smoke of ${shortOid(commit)}` : `${kind} to ${shortOid(commit)}`
}

function commitMessage(entries: readonly LogItem[]): string {
  const what = entries.map(itemName)
  const subject = what.length <= 2 ? `Release log: ${what.join(', ')}` : `Release log: ${what.length} entries`
  return `${subject}\n\n${entries.map(({ record }) => `Ledger record ${record}`).join('\n')}`
}

function explainFailure(error: HeadgateError, branch: string, target: LogTarget): HeadgateError {
  const message = `the release log entry is not written on ${printable(branch, 80)}: ${error.message}`
  const hint =
    error.code === 'refused' && target.logBranch === undefined
      ? `where ${printable(branch, 80)} takes only reviewed changes: headgate log --append --log-branch NAME`
      : catchUp(target)
  return new HeadgateError(error.code, message, { hint, cause: error })
}

function catchUp({ place: { remote }, logBranch }: LogTarget): string {
  const at = remoteOption(remote)
  const branch = logBranch === undefined ? '' : ` --log-branch ${shellWord(logBranch)}`
  return `catch up later with: headgate log --append${branch}${at}`
}
