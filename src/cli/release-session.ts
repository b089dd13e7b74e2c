/**
 * What promotion and rollback have in common: a guarded remote that is looked at anew after every step, and the steps
 * after the branch has moved. What was done is read from the ledger and from the log, never remembered: whoever runs the
 * command again, on whatever machine, goes on where it stopped.
 */

import { allowedVariables } from '../app/clone/allowed.ts'
import { ClientRepository } from '../app/clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../app/clone/guarded-place.ts'
import { lookAtGuarded, requireHistory } from '../app/clone/guarded-remote.ts'
import { keyHolder } from '../app/clone/key-holder.ts'
import {
  type AppendedLog,
  appendReleaseLog,
  type LogTarget,
  loggedSoFar,
} from '../app/release/append-release-log.ts'
import { requireBaseUrl, requireKey } from '../app/requirements.ts'
import { HeadgateError } from '../core/errors.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import type { Environment, Policy } from '../core/policy/policy.ts'
import { printable, shellWord } from '../core/printable.ts'
import type { GitRepository } from '../git/repository.ts'
import { refsOf } from '../guard/foresee.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import { type LandedMove, landedMoves } from '../guard/landed-moves.ts'
import { hasEntry, recordedSmoke } from '../guard/release-entry.ts'
import { Interruption } from './interruption.ts'
import { colour, note, plural, print, printJson } from './output.ts'
import { runSmoke, symptomsOf, waitUntilServed } from './production.ts'
import { tellAppend } from './screens/release-log.ts'
import { thisCaller } from './this-caller.ts'

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
  /** Standard output is one JSON value at the end. */
  readonly json: boolean
}

/** What production says of a move: `untested` where nobody can ask, or somebody else has moved on. */
export type Tested =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly symptoms: string }
  | { readonly kind: 'untested' }

const UNTESTED: Tested = { kind: 'untested' }

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
  #tested: Tested = UNTESTED
  #written: AppendedLog | null = null

  private constructor(
    client: ClientRepository,
    repository: GitRepository,
    options: SessionOptions,
    place: GuardedPlace,
    view: RemoteView,
  ) {
    this.client = client
    this.repository = repository
    this.options = options
    this.place = place
    this.view = view
  }

  static async open(options: SessionOptions): Promise<ReleaseSession> {
    for (const key of [options.key, options.smokeKey])
      if (key !== undefined) requireKey(key, thisCaller().environment)
    if (options.url !== undefined) requireBaseUrl('--url', options.url)
    const client = new ClientRepository(thisCaller())
    const repository = await client.open()
    try {
      requireHistory(repository, options.remote)
      const place = await guardedPlace(client, options.remote)
      const view = await lookAtGuarded(client, repository, place.reads)
      return new ReleaseSession(client, repository, options, place, view)
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
      if (attempt === 1)
        note(`a push of ${this.policy.release} by ${printable(pending.by, 60)} is under way; waiting for it`)
      await new Promise((resolve) => setTimeout(resolve, UNDER_WAY_PAUSE_MS))
    }
  }

  async lastMove(): Promise<LandedMove | null> {
    const moves = landedMoves(this.view.snapshot, this.releaseRef, this.release)
    return (await moves.next()).value ?? null
  }

  /** The key that signs what production's smoke test says; null where none is trusted for that. */
  smokeKey(): string | null {
    const named = this.options.smokeKey ?? this.options.key ?? (process.env.HEADGATE_KEY || undefined)
    if (named === undefined || !this.options.record) return null
    const key = requireKey(named, thisCaller().environment)
    const holder = keyHolder(key, this.view.inForce.signers, Date.now())
    return holder === null || holder.may('headgate-evidence') ? key : null
  }

  /** What to say of the smoke test before anything is pushed. */
  smokeRemark(): string | null {
    const production = this.production
    if (production === undefined || production.servedCommit === null || this.smokeKey() !== null) return null
    const why = this.options.record ? 'no key that may sign evidence was named (--smoke-key)' : '--no-record'
    return `the production smoke will run and will not be recorded: ${why}`
  }

  /** Without a record of its smoke test a release never is a known-good one, and nobody notices until it is needed. */
  requireSmokeKey(): void {
    if (!this.options.record || this.smokeRemark() === null) return
    throw new HeadgateError(
      'usage',
      'the production smoke could not be recorded: no key that may sign evidence was named',
      {
        hint: 'name it with --key FILE (or --smoke-key FILE, or HEADGATE_KEY); --no-record leaves the record to somebody else',
      },
    )
  }

  /** A result, for people. */
  say(text: string): void {
    if (this.options.json) note(text)
    else print(text)
  }

  /** The results, for programs. */
  async report(): Promise<void> {
    if (!this.options.json) return
    const last = await this.lastMove()
    const { seq, kind, from, to, by, authorizedAt, landedAt } = last ?? {}
    const log = this.#written
    printJson({
      release: this.release,
      lastMove: last === null ? null : { record: seq, kind, from, to, by, authorizedAt, landedAt },
      production: this.#tested,
      log: log === null ? null : { ...log, entries: log.entries.map(({ record }) => record) },
    })
  }

  /** Waits for production, tests it, records that. `goOn` is the command that continues after an interruption. */
  async testProduction(commit: Oid, goOn: string): Promise<Tested> {
    this.#tested = await this.#test(commit, goOn)
    return this.#tested
  }

  async #test(commit: Oid, goOn: string): Promise<Tested> {
    const move = await this.lastMove()
    const production = this.production
    if (production === undefined) {
      note('the policy knows no production environment: nothing to wait for, and no smoke test')
      return UNTESTED
    }
    if (move === null || move.to !== commit) return this.#movedOn(commit)
    const recorded = await recordedSmoke(this.view, move)
    if (recorded !== null && recorded.result !== 'FAILED') {
      note(
        `the production smoke passed already (record ${recorded.record}, by ${printable(recorded.by, 60)})`,
      )
      return { kind: 'passed' }
    }
    if (production.servedCommit === null) {
      note('production does not report its commit: run the smoke test once it is deployed:')
      note(`  headgate gate --mode prod --commit ${shortOid(commit)} --record --key FILE`)
      return UNTESTED
    }
    const where = `${this.policy.release} is at ${shortOid(commit)}; go on with: ${goOn}`
    const interruption = new Interruption(`interrupted; ${where}`)
    const { signal } = interruption
    try {
      const { waitMs } = this.options
      const isCurrent = () => this.#isReleased(commit)
      const variables = { values: process.env, allowed: await allowedVariables(this.client) }
      if (!(await waitUntilServed(production, commit, { variables, waitMs, signal, isCurrent })))
        return this.#movedOn(commit)
      const { client, policy, place } = this
      const key = this.smokeKey()
      const run = await runSmoke(client, { policy, production, commit, place, key, variables, signal })
      return run.result === 'FAILED' ? { kind: 'failed', symptoms: symptomsOf(run) } : { kind: 'passed' }
    } catch (error) {
      if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
      await this.look()
      if (this.release !== commit) return this.#movedOn(commit)
      throw new HeadgateError('unavailable', error.message, {
        hint: where,
        cause: error,
      })
    } finally {
      interruption.end()
    }
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
    const written = await appendReleaseLog(
      client,
      repository,
      this.#logTarget,
      { kind: 'since', record },
      tellAppend,
    )
    this.#written = written
    const path = printable(this.policy.releaseLog, 120)
    if (written.commit === null) note(`${path} has the entry already`)
    else {
      const entries = plural(written.entries.length, 'entry', 'entries')
      note(`${path}: ${entries} appended on ${printable(written.branch, 80)}, ${shortOid(written.commit)}`)
    }
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

  /** Whether the commit is the release still. A remote that cannot be asked now says nothing new. */
  async #isReleased(commit: Oid): Promise<boolean> {
    try {
      await this.look()
    } catch (error) {
      if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
    }
    return this.release === commit
  }

  #movedOn(commit: Oid): Tested {
    const now = this.release === null ? 'gone' : `at ${shortOid(this.release)}`
    note(
      colour(
        'yellow',
        `${this.policy.release} has moved on from ${shortOid(commit)}, it is ${now}: its smoke test is not run`,
        process.stderr,
      ),
    )
    return UNTESTED
  }
}
