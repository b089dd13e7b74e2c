/**
 * A git repository as the guard reads it: the repository itself and never one of its worktrees, by full ref names and
 * full ids, with an environment of its own making (see environment.ts).
 */
import { realpathSync, rmSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { objectsOf } from './bulk-objects.ts'
import { hookNames, withoutHooks } from './configured-hooks.ts'
import {
  DURABLE_CONFIGURATION,
  gitEnvironment,
  PINNED_CONFIGURATION,
  type Quarantine,
  verifyQuarantine,
} from './environment.ts'
import type { GitObject } from './git-object.ts'
import { isExecutable, isShallow, locate, readText } from './locate.ts'
import { objectId } from './object-id.ts'
import { ObjectReader } from './object-reader.ts'
import { firstLines, type GitCommand, type RunOptions, type RunResult, runGit, streamGit } from './process.ts'
import { isRefName, type Ref, readRefs } from './refs.ts'

export type { Ref } from './refs.ts'

export type OpenOptions = {
  /** Absolute path of git. Hooks and the service pass what was pinned at install, commands what `findGit` finds. */
  readonly gitPath: string
  /** `GIT_QUARANTINE_PATH` of a hook, unverified. */
  readonly quarantinePath?: string | undefined
}

/** A ref and where it is; zeros where it is not there. */
export type RefAt = { readonly ref: string; readonly oid: Oid }

export type ProcessOptions = RunOptions & {
  /** Variables on top of the built environment. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Opens the repository that `path` is: a bare one, a working tree or a folder in it, or a git directory, that of a linked
 * worktree too. Starts no process unless the repository's configuration is unusual. Throws HeadgateError 'configuration'
 * if there is none, if there is no git, or if `quarantinePath` is no quarantine of this repository.
 */
export async function openRepository(path: string, options: OpenOptions): Promise<GitRepository> {
  const location = locate(path)
  if (location === null) {
    throw new HeadgateError('configuration', `${printable(path, 1024)} is not a git repository`)
  }
  const { gitPath } = options
  if (!isAbsolute(gitPath) || !isExecutable(gitPath)) {
    throw new HeadgateError(
      'configuration',
      `${printable(gitPath, 1024)} is not the absolute path of a git program`,
    )
  }
  const { commonDirectory } = location
  const quarantine = quarantineOf(options.quarantinePath, join(commonDirectory, 'objects'))
  // The only line that changes how long ids are; git takes it from this file alone, without includes.
  const config = readText(join(commonDirectory, 'config')) ?? ''
  const base = { gitPath, ...location, quarantine }
  if (!/objectformat/i.test(config)) return new GitRepository({ ...base, objectFormat: 'sha1' })
  const probe = new GitRepository({ ...base, objectFormat: 'sha1' })
  const { stdout } = await probe.run(['rev-parse', '--show-object-format'])
  const objectFormat = stdout.toString('latin1').trim()
  if (objectFormat === 'sha1' || objectFormat === 'sha256')
    return new GitRepository({ ...base, objectFormat })
  throw new HeadgateError(
    'configuration',
    `object format ${printable(objectFormat)} is not known to headgate`,
  )
}

type Shape = {
  readonly gitPath: string
  readonly gitDirectory: string
  readonly commonDirectory: string
  readonly objectFormat: 'sha1' | 'sha256'
  readonly quarantine: Quarantine | null
}

export class GitRepository {
  readonly gitPath: string
  /** The directory that was opened: `commonDirectory`, or a linked worktree's own. */
  readonly gitDirectory: string
  /** Where refs, objects and configuration are. Every process is told this one. */
  readonly commonDirectory: string
  readonly objectFormat: 'sha1' | 'sha256'
  /** Hex digits of an id. */
  readonly oidLength: 40 | 64
  readonly #shape: Shape
  readonly #outer: GitRepository | undefined
  #reader: ObjectReader | undefined

  /** `outer` is the same repository outside of the quarantine. */
  constructor(shape: Shape, outer?: GitRepository) {
    this.#outer = outer
    this.gitPath = shape.gitPath
    this.gitDirectory = shape.gitDirectory
    this.commonDirectory = shape.commonDirectory
    this.objectFormat = shape.objectFormat
    this.oidLength = shape.objectFormat === 'sha1' ? 40 : 64
    this.#shape = shape
  }

  /**
   * The same repository with the objects of a push that is being judged; what both have is read through this one.
   * `path` is a hook's `GIT_QUARANTINE_PATH`. Throws HeadgateError 'configuration' if it is no quarantine of this
   * repository.
   */
  inQuarantine(path: string): GitRepository {
    const quarantine = quarantineOf(path, join(this.commonDirectory, 'objects'))
    return new GitRepository({ ...this.#shape, quarantine }, this)
  }

  /** Runs a git command that reads; it sees the quarantine, if there is one. Limits and errors: see `runGit`. */
  run(args: readonly string[], options: ProcessOptions = {}): Promise<RunResult> {
    return runGit(this.#command([], args, options.env, this.#shape.quarantine), options)
  }

  /**
   * Runs a git command that writes: never into the quarantine, whose content vanishes when the push is refused, and with
   * everything it writes fsynced before it ends. It starts no hook of the repository's folder.
   */
  write(args: readonly string[], options: ProcessOptions = {}): Promise<RunResult> {
    return runGit(this.#command(DURABLE_CONFIGURATION, args, options.env, null), options)
  }

  /** The id that git gives a blob. Writes nothing. */
  blobId(body: Uint8Array): Oid {
    return objectId('blob', body, this.oidLength)
  }

  /** Writes a blob, never into the quarantine. When it resolves it is on disk. */
  async writeBlob(body: string): Promise<Oid> {
    const { stdout } = await this.write(['hash-object', '-w', '--stdin'], { input: body })
    return stdout.toString('latin1').trim()
  }

  /**
   * Writes what a stream for `git fast-import` describes, never into the quarantine and outside of all refs, and returns
   * what that prints. When it resolves the objects are on disk, and nothing refers to them. Throws HeadgateError
   * 'unavailable' if git or the disk fails.
   */
  async importObjects(stream: Uint8Array): Promise<string> {
    let report = ''
    const started = (pid: number | undefined) => {
      report = join(this.commonDirectory, `fast_import_crash_${pid}`)
    }
    try {
      const { stdout } = await this.write(['fast-import', '--quiet', '--done'], { input: stream, started })
      return stdout.toString('latin1')
    } catch (error) {
      // Where it dies of a full disk, it leaves what it was told beside the repository's files.
      rmSync(report, { force: true })
      throw error
    }
  }

  /**
   * Moves a ref from exactly `from` (null: it must not exist) to `to`, without hooks, while git holds the locks of all refs
   * in `held` and each is where it says. False if one of them is elsewhere. Throws HeadgateError 'unavailable' if git or
   * the disk fails, or a lock cannot be had; the ref may have moved then.
   */
  async moveRef(ref: string, from: Oid | null, to: Oid, held: readonly RefAt[] = []): Promise<boolean> {
    const lines = [
      'start',
      ...held.map((other) => `verify ${other.ref} ${other.oid}`),
      `update ${ref} ${to} ${from ?? '0'.repeat(this.oidLength)}`,
      // An input that breaks off, because we died, moves nothing.
      'prepare',
      'commit',
      '',
    ]
    const { exitCode, stderr } = await this.write(['update-ref', '--stdin'], {
      env: withoutHooks(await this.#configuredHooks()),
      input: lines.join('\n'),
      allowExit: [1, 128],
    })
    if (exitCode === 0) return true
    const now = await this.refs([ref, ...held.map((other) => other.ref)])
    if ((now.get(ref)?.oid ?? null) !== from) return false
    if (held.some((other) => (now.get(other.ref)?.oid ?? zeroOidLike(to)) !== other.oid)) return false
    throw new HeadgateError('unavailable', `git update-ref: ${firstLines(stderr)}`)
  }

  /** Those of this moment: a service outlives many changes of the configuration. */
  async #configuredHooks(): Promise<string[]> {
    const { stdout } = await this.run(
      ['config', '--null', '--name-only', '--get-regexp', '^hook\\..*\\.event$'],
      {
        allowExit: [1],
      },
    )
    return hookNames(stdout.toString('utf8'))
  }

  /** The output of a git command that reads, for outputs of any length. See `streamGit`. */
  stream(args: readonly string[], input?: AsyncIterable<string>): AsyncGenerator<Buffer, void, undefined> {
    return streamGit(this.#command([], args, undefined, this.#shape.quarantine), input)
  }

  /**
   * Objects by full id, in order and as fast as git can read them; ends before the first that is missing, damaged or
   * larger than `maxBytes`. Errors: see `streamGit`.
   */
  readInOrder(
    oids: AsyncIterable<readonly Oid[]>,
    maxBytes: number,
  ): AsyncGenerator<GitObject, void, undefined> {
    return objectsOf(this.stream(['cat-file', '--batch', '--buffer'], linesOf(oids)), maxBytes)
  }

  /** Reads objects, those in quarantine too. One process, shared by all who ask this repository. */
  objects(): ObjectReader {
    this.#reader ??= new ObjectReader(
      this.#command([], ['cat-file', '--batch-command'], undefined, this.#shape.quarantine),
      this.oidLength,
      () => this.#outer?.objects(),
    )
    return this.#reader
  }

  /**
   * Those of the named refs that exist. Names are full (`refs/...`) and taken literally; one that git could not have,
   * such as one with `*`, `..` or a line break, is absent. They are read one after the other in the order of their names,
   * not all at one moment: a caller that needs two to agree compares and swaps. Throws HeadgateError 'data' for a ref
   * that is there but broken.
   */
  async refs(names: Iterable<string>): Promise<Map<string, Ref>> {
    const possible = [...new Set(names)].filter(isRefName)
    return readRefs((args, options) => this.run(args, options), possible, this.oidLength)
  }

  /**
   * Whether `descendant` contains `ancestor`; a commit contains itself. Both are full ids of commits: anything else, and
   * a history with missing parts, is HeadgateError.
   */
  async isAncestor(ancestor: Oid, descendant: Oid): Promise<boolean> {
    for (const oid of [ancestor, descendant]) {
      if (!isOid(oid) || oid.length !== this.oidLength) {
        throw new HeadgateError('data', `${printable(oid)} is not a full object id of this repository`)
      }
    }
    const { exitCode, stderr } = await this.run(['merge-base', '--is-ancestor', ancestor, descendant], {
      allowExit: [1],
    })
    // Before git 2.45 a commit that cannot be read ended the walk with a complaint and the answer "no".
    if (stderr !== '') throw this.#unreadableHistory(stderr)
    return exitCode === 0
  }

  #unreadableHistory(stderr: string): HeadgateError {
    return isShallow(this.commonDirectory)
      ? new HeadgateError(
          'unavailable',
          'this clone is shallow and lacks history that the rules read (git fetch --unshallow)',
        )
      : new HeadgateError('unavailable', `git merge-base: ${firstLines(stderr)}`)
  }

  /** Ends the process that reads objects. */
  close(): void {
    this.#reader?.close()
    this.#reader = undefined
  }

  #command(
    settings: readonly string[],
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    quarantine: Quarantine | null,
  ): GitCommand {
    return {
      gitPath: this.gitPath,
      // Naming the directory also settles whose it is: git asks for an owner only where it went looking.
      args: [`--git-dir=${this.commonDirectory}`, ...PINNED_CONFIGURATION, ...settings, ...args],
      name: args[0] ?? '',
      env: { ...gitEnvironment({ gitPath: this.gitPath, quarantine }), ...env },
      cwd: this.commonDirectory,
    }
  }
}

async function* linesOf(oids: AsyncIterable<readonly Oid[]>): AsyncGenerator<string, void, undefined> {
  for await (const some of oids) if (some.length > 0) yield `${some.join('\n')}\n`
}

function quarantineOf(path: string | undefined, objectsDir: string): Quarantine | null {
  if (path === undefined) return null
  const verified = verifyQuarantine(path, objectsDir)
  if (verified !== null) return { path: verified, objectsDir: realpathSync(objectsDir) }
  throw new HeadgateError(
    'configuration',
    `GIT_QUARANTINE_PATH ${printable(path, 1024)} is not a quarantine of this repository`,
  )
}
