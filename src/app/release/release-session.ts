/**
 * What promotion and rollback have in common: a guarded remote that is looked at anew after every step, and its
 * release log. What was done is read from the ledger and from the log, never remembered: whoever runs the
 * command again, on whatever machine, goes on where it stopped.
 */

import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import type { Environment, Policy } from '../../core/policy/policy.ts'
import { shellWord } from '../../core/printable.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import { type LandedMove, landedMoves } from '../../guard/landed-moves.ts'
import { hasEntry } from '../../guard/release-entry.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../clone/guarded-place.ts'
import { lookAtGuarded, requireHistory } from '../clone/guarded-remote.ts'
import { keyHolder } from '../clone/key-holder.ts'
import { requireBaseUrl, requireKey } from '../requirements.ts'
import {
  type AppendEvent,
  type AppendedLog,
  appendReleaseLog,
  type LogTarget,
  loggedSoFar,
} from './append-release-log.ts'

export type SessionOptions = {
  readonly remote: string
  readonly key: string | undefined
  /** Whether the smoke test's result is to be recorded. */
  readonly record: boolean
  /** Signs the smoke test's result; `key` unless told. */
  readonly smokeKey: string | undefined
  readonly waitMs: number
  /** Where production is reached from here, if that is not what the policy says. */
  readonly url: string | undefined
  readonly logBranch: string | undefined
}

/** What production says of a move: `untested` where nobody can ask, or somebody else has moved on. */
export type Tested =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly symptoms: string }
  | { readonly kind: 'untested' }

/** What came of a promotion or a rollback. */
export type ReleaseResult = {
  /** Where the release branch is; null where it is not there. */
  readonly release: Oid | null
  readonly lastMove: LandedMove | null
  /** Of the last move that was tested. */
  readonly production: Tested
  /** Null where the release log was not written to. */
  readonly log: AppendedLog | null
  /** Whether production failed its smoke test on the way, also where a rollback has helped. */
  readonly failed: boolean
}

export type SessionEvent =
  /** Somebody else's push of the release branch, which is waited for. */
  | { readonly kind: 'push-under-way'; readonly branch: string; readonly by: string }
  | { readonly kind: 'log-written'; readonly path: string; readonly written: AppendedLog }
  | AppendEvent

/** Why the smoke test will run and its result not be recorded. */
export type Unrecorded = 'no-key' | 'not-wanted'

/** More of them are counted when they are written. */
const MAX_UNLOGGED = 20

/** Another push that is under way settles within seconds. */
const UNDER_WAY_ATTEMPTS = 10
const UNDER_WAY_PAUSE_MS = 1000

export class ReleaseSession {
  readonly client: ClientRepository
  readonly repository: GitRepository
  readonly options: SessionOptions
  readonly place: GuardedPlace
  view: RemoteView
  /** What production said of the last move that it was asked about. */
  tested: Tested = { kind: 'untested' }
  #written: AppendedLog | null = null
  readonly #tell: (event: SessionEvent) => void

  private constructor(
    client: ClientRepository,
    repository: GitRepository,
    options: SessionOptions,
    place: GuardedPlace,
    view: RemoteView,
    tell: (event: SessionEvent) => void,
  ) {
    this.client = client
    this.repository = repository
    this.options = options
    this.place = place
    this.view = view
    this.#tell = tell
  }

  static async open(
    caller: Caller,
    options: SessionOptions,
    tell: (event: SessionEvent) => void,
  ): Promise<ReleaseSession> {
    for (const key of [options.key, options.smokeKey])
      if (key !== undefined) requireKey(key, caller.environment)
    if (options.url !== undefined) requireBaseUrl('--url', options.url)
    const client = new ClientRepository(caller)
    const repository = await client.open()
    try {
      requireHistory(repository, options.remote)
      const place = await guardedPlace(client, options.remote)
      const view = await lookAtGuarded(client, repository, place.reads)
      return new ReleaseSession(client, repository, options, place, view, tell)
    } catch (error) {
      repository.close()
      throw error
    }
  }

  close(): void {
    this.repository.close()
  }

  get policy(): Policy {
    return this.view.inForce.policy
  }

  get production(): Environment | undefined {
    const { production } = this.policy.environments
    const { url } = this.options
    return production === undefined || url === undefined ? production : { ...production, url }
  }

  get #logTarget(): LogTarget {
    return { place: this.place, logBranch: this.options.logBranch }
  }

  get releaseRef(): string {
    return refsOf(this.policy).release
  }

  /** Where the release branch was when it was looked at last. */
  get release(): Oid | null {
    return this.view.refs.get(this.releaseRef) ?? null
  }

  async look(): Promise<RemoteView> {
    this.view = await lookAtGuarded(this.client, this.repository, this.place.reads)
    return this.view
  }

  /** Looks until no push of the release branch is under way any more, for some seconds. */
  async lookWhenSettled(): Promise<void> {
    for (let attempt = 1; attempt <= UNDER_WAY_ATTEMPTS; attempt++) {
      await this.look()
      const pending = this.view.snapshot.state.open.find(
        ({ ref, to, at }) =>
          ref === this.releaseRef && to !== this.release && Date.now() - Date.parse(at) < 10_000,
      )
      if (pending === undefined) return
      if (attempt === 1) this.#tell({ kind: 'push-under-way', branch: this.policy.release, by: pending.by })
      await new Promise((resolve) => setTimeout(resolve, UNDER_WAY_PAUSE_MS))
    }
  }

  async lastMove(): Promise<LandedMove | null> {
    const moves = landedMoves(this.view.snapshot, this.releaseRef, this.release)
    return (await moves.next()).value ?? null
  }

  /** The key of the command, or the one that the caller's environment names. */
  get key(): string | undefined {
    return this.options.key ?? (this.client.caller.environment.HEADGATE_KEY || undefined)
  }

  /** The key that signs what production's smoke test says; null where none is trusted for that. */
  smokeKey(): string | null {
    const named = this.options.smokeKey ?? this.key
    if (named === undefined || !this.options.record) return null
    const key = requireKey(named, this.client.caller.environment)
    const holder = keyHolder(key, this.view.inForce.signers, Date.now())
    return holder === null || holder.may('headgate-evidence') ? key : null
  }

  /** Why the smoke test will not be recorded; null where it will be, or none can be run. */
  unrecorded(): Unrecorded | null {
    const production = this.production
    if (production === undefined || production.servedCommit === null || this.smokeKey() !== null) return null
    return this.options.record ? 'no-key' : 'not-wanted'
  }

  /** Without a record of its smoke test a release never is a known-good one, and nobody notices until it is needed. */
  requireSmokeKey(): void {
    if (!this.options.record || this.unrecorded() === null) return
    throw new HeadgateError(
      'usage',
      'the production smoke could not be recorded: no key that may sign evidence was named',
      {
        hint: 'name it with --key FILE (or --smoke-key FILE, or HEADGATE_KEY); --no-record leaves the record to somebody else',
      },
    )
  }

  /** Where a relay guards, the operator's signature stands for the push: without a key nothing can be asked for. */
  requireRequestKey(): void {
    if (this.policy.guard === 'relay') requireKey(this.key, this.client.caller.environment)
  }

  /** What came of it all; `failed`: whether production failed its smoke test. */
  async result(failed: boolean): Promise<ReleaseResult> {
    const { release, tested: production } = this
    return { release, lastMove: await this.lastMove(), production, log: this.#written, failed }
  }

  /** Whether git knows by whom the commit with the log's entry is. */
  async hasAuthor(): Promise<boolean> {
    try {
      for (const who of ['GIT_AUTHOR_IDENT', 'GIT_COMMITTER_IDENT']) await this.client.git('var', who)
      return true
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      return false
    }
  }

  /** The landed moves since the newest one that has an entry, newest first; a few of them. */
  async unlogged(): Promise<LandedMove[]> {
    const logged = await loggedSoFar(this.client, this.repository, this.view, this.#logTarget)
    const found: LandedMove[] = []
    for await (const move of landedMoves(this.view.snapshot, this.releaseRef, this.release)) {
      // As when they are written: a log without entries begins with the next one.
      if (logged.has(move.seq) || logged.size === 0 || found.length === MAX_UNLOGGED) break
      if (hasEntry(move)) found.push(move)
    }
    return found
  }

  /** Whether the move has its entry in the release log. */
  async isLogged({ seq }: LandedMove): Promise<boolean> {
    return (await this.logged()).has(seq)
  }

  /** The records of the moves that have entries. */
  logged(): ReturnType<typeof loggedSoFar> {
    return loggedSoFar(this.client, this.repository, this.view, this.#logTarget)
  }

  /** Writes what is missing in the release log, up to the move with this record. */
  async writeLog(record: number): Promise<AppendedLog> {
    const { client, repository } = this
    const wanted = { kind: 'since', record } as const
    const written = await appendReleaseLog(client, repository, this.#logTarget, wanted, this.#tell)
    this.#written = written
    this.#tell({ kind: 'log-written', path: this.policy.releaseLog, written })
    return written
  }

  /** `headgate NAME COMMIT`, with the options that say where and with which keys: to be pasted as it is. */
  async command(name: string, commit: Oid, more: readonly string[] = []): Promise<string> {
    const { remote, logBranch, key, smokeKey, url } = this.options
    const given: readonly (readonly [string, string | undefined])[] = [
      ['--remote', remote === 'origin' ? undefined : remote],
      ['--log-branch', logBranch],
      ['--key', key],
      ['--smoke-key', smokeKey],
      ['--url', url],
    ]
    const options = given.flatMap(([option, value]) => (value === undefined ? [] : [option, value]))
    return ['headgate', name, await this.client.abbreviate(commit), ...more, ...options]
      .map(shellWord)
      .join(' ')
  }

  /** `headgate rollback COMMIT` with words for the record. */
  rollbackCommand(
    commit: Oid,
    { trigger, symptoms }: { trigger: string; symptoms: string },
  ): Promise<string> {
    return this.command('rollback', commit, ['--trigger', trigger, '--symptoms', symptoms])
  }
}
