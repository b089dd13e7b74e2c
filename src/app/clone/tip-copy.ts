/**
 * The tip of a remote's ledger without its history: one commit and its trees, and of the files those that somebody asked
 * for. It answers nearly all questions. Of 2,000 records, 5.2 MB, it is 216 KB.
 *
 * It is a small repository of its own in the clone's git folder, so that the clone stays as deep and as whole as it is.
 * A user who deletes it loses nothing.
 */

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import { makeFolder } from '../../git/own-files.ts'
import { type GitRepository, openRepository } from '../../git/repository.ts'
import { GitLedger } from '../../ledger/git-ledger.ts'
import type { LedgerRecord, PolicyFiles, Snapshot } from '../../ledger/ledger.ts'
import type { LedgerObjects, LedgerRepository, LedgerTreeEntry } from '../../ledger/ledger-repository.ts'
import { copyName } from './remote-copies.ts'

/** Runs git in the clone, with the user's environment. Throws HeadgateError 'unavailable' with git's words. */
export type RunGit = (...args: string[]) => Promise<string>

/**
 * Whether an error of the tip is a reason to fetch the whole ledger, which then has the last word: the host gives no single
 * files, or what lies here is damaged, since git flushes it no more than any fetched ref.
 */
export function isTipsAlone(error: unknown): error is HeadgateError {
  return error instanceof HeadgateError && (error.code === 'unavailable' || error.code === 'data')
}

/** Brings the whole ledger, which `read` needs, and opens it at the copy. */
export type FetchWhole = () => Promise<Snapshot>

/** Each look brings one pack or two. A folder with more is made anew, which takes a moment. */
const MAX_PACKS = 100
/** Files that one fetch asks for: what a command line holds with ease. */
const MAX_ASKED = 500
/** A caller that comes back more often reads the history, and gets all of it at once. */
const MAX_FETCHES = 8

export class TipCopy {
  readonly #git: RunGit
  readonly #remote: string
  readonly #clone: GitRepository
  readonly #directory: string

  constructor(git: RunGit, clone: GitRepository, remote: string) {
    this.#git = git
    this.#remote = remote
    this.#clone = clone
    this.#directory = join(clone.commonDirectory, 'headgate', 'tips', `${copyName(remote)}.git`)
  }

  /**
   * Brings the tip as it is now. Throws what git says, also where the host cannot give less than all: then the whole ledger
   * is to be fetched. `ledger`: what it is called there.
   */
  async fetch(ledger: string): Promise<void> {
    await this.#prepare()
    await this.#fetch('--depth=1', '--', this.#remote, `+${ledger}:${LEDGER_REF}`)
  }

  /** Where it is; null where nothing was fetched, or what was cannot be used. */
  async at(): Promise<Oid | null> {
    if (!existsSync(join(this.#directory, 'HEAD'))) return null
    try {
      const repository = await this.#open()
      return (await repository.refs([LEDGER_REF])).get(LEDGER_REF)?.oid ?? null
    } catch (error) {
      if (error instanceof HeadgateError) return null
      throw error
    }
  }

  async snapshot(whole: FetchWhole): Promise<Snapshot> {
    const repository = await this.#open()
    const objects = new FetchedObjects(repository.objects(), (oids) => this.#bring(oids))
    const tip = (await repository.refs([LEDGER_REF])).get(LEDGER_REF)?.oid
    if (tip !== undefined) await objects.bringFiles(tip)
    const ledger = new GitLedger(withObjects(repository, objects), undefined)
    return new TipSnapshot(await ledger.snapshot(), objects, whole)
  }

  /** Its process ends with this program: while nothing is asked it keeps nothing running. */
  #open(): Promise<GitRepository> {
    return openRepository(this.#directory, { gitPath: this.#clone.gitPath })
  }

  async #prepare(): Promise<void> {
    const packs = join(this.#directory, 'objects', 'pack')
    if (existsSync(packs) && readdirSync(packs).length > 3 * MAX_PACKS)
      rmSync(this.#directory, { recursive: true, force: true })
    if (existsSync(join(this.#directory, 'HEAD'))) return
    makeFolder(join(this.#directory, '..'))
    const format = `--object-format=${this.#clone.objectFormat}`
    await this.#git('init', '--quiet', '--bare', format, this.#directory)
  }

  async #bring(oids: readonly Oid[]): Promise<void> {
    for (let start = 0; start < oids.length; start += MAX_ASKED)
      await this.#fetch('--', this.#remote, ...oids.slice(start, start + MAX_ASKED))
  }

  /** How the remote is reached, and as whom, is what the clone's configuration says. */
  async #fetch(...args: string[]): Promise<void> {
    const settings = [
      `include.path=${join(this.#clone.commonDirectory, 'config')}`,
      // git would write these into the configuration, and every reader there would fetch what is missing.
      `remote.${this.#remote}.promisor=true`,
      `remote.${this.#remote}.partialclonefilter=blob:none`,
      'fetch.writeCommitGraph=false',
      // A host that hears of the tip sends nothing that the tip has.
      'fetch.negotiationAlgorithm=noop',
    ].flatMap((setting) => ['-c', setting])
    await this.#git(
      `--git-dir=${this.#directory}`,
      ...settings,
      ...['fetch', '--quiet', '--refmap=', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'],
      ...['--no-auto-maintenance', '--filter=blob:none'],
      ...args,
    )
  }
}

/** Whether a remote's tip can be fetched alone: git takes the settings that this needs by the name of a remote. */
export function isPlainName(remote: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(remote)
}

/** Objects that are fetched when they are asked for; one fetch brings all that are asked for at one time. */
class FetchedObjects implements LedgerObjects {
  readonly #here: LedgerObjects
  readonly #bring: (oids: readonly Oid[]) => Promise<void>
  #wanted = new Set<Oid>()
  #coming: Promise<void> | undefined
  #fetches = 0

  constructor(here: LedgerObjects, bring: (oids: readonly Oid[]) => Promise<void>) {
    this.#here = here
    this.#bring = bring
  }

  tree(oid: Oid): ReturnType<LedgerObjects['tree']> {
    return this.#here.tree(oid)
  }

  async read(oid: Oid, maxBytes: number): ReturnType<LedgerObjects['read']> {
    const here = await this.#here.read(oid, maxBytes)
    if (here !== null) return here
    await this.#fetched(oid)
    return this.#here.read(oid, maxBytes)
  }

  /** The state, and the policy in force: they are asked for in any case. */
  async bringFiles(tip: Oid): Promise<void> {
    const root = await this.#entries(tip)
    const versions = await this.#entries(root.find(({ name }) => name === 'policies')?.oid)
    const newest = versions.toSorted((a, b) => Number(a.name) - Number(b.name)).at(-1)
    const files = [...root, ...(await this.#entries(newest?.oid))].filter(({ mode }) => mode === '100644')
    const here = await Promise.all(files.map(({ oid }) => this.#here.read(oid, Number.MAX_SAFE_INTEGER)))
    await Promise.all(files.filter((_, index) => here[index] === null).map(({ oid }) => this.#fetched(oid)))
  }

  async #entries(folder: Oid | undefined): Promise<readonly LedgerTreeEntry[]> {
    return (folder === undefined ? null : await this.#here.tree(folder)) ?? []
  }

  /** Whether the caller goes through the ledger, record by record. */
  get isBusy(): boolean {
    return this.#fetches >= MAX_FETCHES
  }

  #fetched(oid: Oid): Promise<void> {
    this.#wanted.add(oid)
    this.#coming ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      const oids = [...this.#wanted]
      this.#wanted = new Set()
      this.#coming = undefined
      this.#fetches += 1
      return this.#bring(oids)
    })
    return this.#coming
  }
}

class TipSnapshot implements Snapshot {
  readonly head: Snapshot['head']
  readonly state: Snapshot['state']
  readonly #tip: Snapshot
  readonly #objects: FetchedObjects
  readonly #fetchWhole: FetchWhole
  #whole: Promise<Snapshot> | undefined

  constructor(tip: Snapshot, objects: FetchedObjects, whole: FetchWhole) {
    this.head = tip.head
    this.state = tip.state
    this.#tip = tip
    this.#objects = objects
    this.#fetchWhole = whole
  }

  policyInForce(): Promise<PolicyFiles | null> {
    return this.#tip.policyInForce()
  }

  policyVersion(version: number): Promise<PolicyFiles | null> {
    return this.#ask((snapshot) => snapshot.policyVersion(version))
  }

  async about(commit: Oid): Promise<readonly LedgerRecord[]> {
    const records = await this.#ask((snapshot) => snapshot.about(commit))
    return records.filter(({ seq }) => seq <= this.head.seq)
  }

  async *read(from: number): AsyncGenerator<LedgerRecord, void, undefined> {
    for await (const record of (await this.#all()).read(from)) {
      if (record.seq > this.head.seq) return
      if (record.seq === this.head.seq && record.hash !== this.head.hash) throw changed()
      yield record
    }
  }

  /** Reads the files of the tip, or the whole ledger where the caller goes through it or the host gives no single file. */
  async #ask<T>(question: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    if (this.#whole === undefined && !this.#objects.isBusy) {
      try {
        return await question(this.#tip)
      } catch (error) {
        if (!isTipsAlone(error)) throw error
      }
    }
    return question(await this.#all())
  }

  async #all(): Promise<Snapshot> {
    this.#whole ??= this.#fetchWhole()
    const whole = await this.#whole
    if (whole.head.seq < this.head.seq) throw changed()
    return whole
  }
}

function changed(): HeadgateError {
  return new HeadgateError('unavailable', 'the ledger was replaced while it was read', {
    hint: 'try again; if that stays, ask the server admin, and compare: headgate verify',
  })
}

function withObjects(repository: GitRepository, objects: LedgerObjects): LedgerRepository {
  return {
    commonDirectory: repository.commonDirectory,
    oidLength: repository.oidLength,
    refs: (names) => repository.refs(names),
    objects: () => objects,
    isAncestor: (ancestor, descendant) => repository.isAncestor(ancestor, descendant),
    blobId: (body) => repository.blobId(body),
    importObjects: (stream) => repository.importObjects(stream),
    moveRef: (...args) => repository.moveRef(...args),
    readInOrder: (oids, maxBytes) => repository.readInOrder(oids, maxBytes),
    stream: (args) => repository.stream(args),
  }
}
