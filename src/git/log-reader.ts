/** The versions of one file along a history, read within a limit of bytes. What was read once is not read again. */
import { HeadgateError } from '../core/errors.ts'
import type { LogVersion } from '../core/facts.ts'
import type { Oid } from '../core/oid.ts'
import { isAppend } from '../core/release-log.ts'
import { type EntryReader, fileAt } from './file-at.ts'
import { missingObject } from './missing-object.ts'
import type { GitRepository } from './repository.ts'
import type { TreeEntry } from './tree.ts'

export type LogLimits = {
  /** Of one version of the log. */
  readonly logBytes: number
  /** Of everything that is read to judge one move; null for no limit. */
  readonly totalBytes: number | null
}

/** Each is compared with the one before it and with the one after it. */
const KEPT_TEXTS = 2

export class LogReader {
  readonly path: string
  readonly #repository: GitRepository
  readonly #limits: LogLimits
  readonly #trees = new Map<Oid, Oid>()
  /** By tree and name; an error is one for everybody who asks. */
  readonly #entries = new Map<string, Promise<TreeEntry | null>>()
  readonly #texts = new Map<Oid, Buffer>()
  #bytes = 0

  constructor(repository: GitRepository, path: string, limits: LogLimits) {
    this.#repository = repository
    this.path = path
    this.#limits = limits
  }

  /** Commits that share a tree share what is in it. */
  knowTree(commit: Oid, tree: Oid): void {
    this.#trees.set(commit, tree)
  }

  /** Nothing more is read. */
  get isExhausted(): boolean {
    const { totalBytes } = this.#limits
    return totalBytes !== null && this.#bytes > totalBytes
  }

  /** Throws HeadgateError 'data' where a tree can be read in two ways, or the limit is reached. */
  versionIn(commit: Oid): Promise<LogVersion> {
    return fileAt(this.#entryOf, this.#trees.get(commit) ?? commit, this.path)
  }

  /** Throws HeadgateError 'data' where a text is too long to be compared. */
  async isAppended(before: LogVersion, after: LogVersion): Promise<boolean> {
    if (after === null || before?.blob === after.blob) return true
    // What is no file is judged by its mode.
    if (!after.mode.startsWith('100')) return before === null
    const text = await this.#text(after.blob)
    if (before === null) return true
    return before.mode.startsWith('100') && isAppend(await this.#text(before.blob), text)
  }

  /** The line ends of `before`, where `after` has others and would append to it otherwise. */
  async changedLineEnds(before: LogVersion, after: LogVersion): Promise<'lf' | 'crlf' | null> {
    if (before === null || after === null) return null
    if (!before.mode.startsWith('100') || !after.mode.startsWith('100')) return null
    const old = (await this.#text(before.blob)).toString('latin1')
    const plain = (text: string) => Buffer.from(text.replaceAll('\r\n', '\n'), 'latin1')
    if (!isAppend(plain(old), plain((await this.#text(after.blob)).toString('latin1')))) return null
    return old.includes('\r\n') ? 'crlf' : 'lf'
  }

  readonly #entryOf: EntryReader = (tree, name) => {
    const key = `${tree} ${name}`
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const reading = this.#readEntry(tree, name)
    this.#entries.set(key, reading)
    return reading
  }

  async #readEntry(tree: Oid, name: string): Promise<TreeEntry | null> {
    const objects = this.#repository.objects()
    if (this.#limits.totalBytes !== null) this.#spend((await objects.info(tree))?.size ?? 0)
    const entries = await objects.tree(tree)
    if (entries === null) throw missingObject(this.#repository.commonDirectory, `the tree ${tree}`)
    return entries.find((candidate) => candidate.name === name) ?? null
  }

  async #text(blob: Oid): Promise<Buffer> {
    const known = this.#texts.get(blob)
    if (known !== undefined) return known
    const objects = this.#repository.objects()
    const { logBytes } = this.#limits
    const size = (await objects.info(blob))?.size ?? 0
    if (size > logBytes)
      throw new HeadgateError(
        'data',
        `it has ${size} bytes, and a release log has at most ${logBytes} (${logBytes / 1024 / 1024} MiB); a policy that names another file as releaseLog begins a new one`,
      )
    this.#spend(size)
    const object = await objects.read(blob, logBytes)
    if (object === null)
      throw missingObject(this.#repository.commonDirectory, `object ${blob} of the release log`)
    for (const [oldest] of this.#texts) if (this.#texts.size >= KEPT_TEXTS) this.#texts.delete(oldest)
    this.#texts.set(blob, object.body)
    return object.body
  }

  #spend(bytes: number): void {
    const { totalBytes } = this.#limits
    this.#bytes += bytes
    if (totalBytes !== null && this.isExhausted)
      throw new HeadgateError(
        'data',
        `there is more than ${totalBytes / 1024 / 1024} MiB to read for it; push fewer commits at a time`,
      )
  }
}
