/** The user's own clone and its remotes: porcelain, with the user's environment, configuration and credentials. */

import { existsSync } from 'node:fs'
import { GitError } from 'simple-git'
import { HeadgateError } from '../../core/errors.ts'
import { shortRef } from '../../core/explain.ts'
import { isOid, type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { LEDGER_BRANCH, LEDGER_REF } from '../../core/refs.ts'
import { findGit } from '../../git/find-git.ts'
import { lastWords } from '../../git/git-words.ts'
import { locateBare } from '../../git/locate.ts'
import { type GitRepository, openRepository } from '../../git/repository.ts'
import { GitLedger } from '../../ledger/git-ledger.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import type { Caller } from '../caller.ts'
import { notACommit } from './not-a-commit.ts'
import { copyAt, ledgerCopyRef } from './remote-copies.ts'
import { shownRemote } from './shown-remote.ts'
import { simpleGitOf } from './simple-git-of.ts'
import { isPlainName, isTipsAlone, TipCopy } from './tip-copy.ts'

/** What git says of a remote that is not there, or does not let the user in. */
const NO_ANSWER =
  /could not read from remote repository|unable to access '|does not appear to be a git repository|^fatal: repository '.*' not found|authentication failed|could not read (?:username|password)/im

/** Two commands of one clone at a time lock the same ref for milliseconds. */
const FETCH_ATTEMPTS = 5

export type ClientOptions = Caller & {
  /** Ends every git that is running. */
  readonly abort?: AbortSignal
}

/** The repository that the caller's folder is in. */
export class ClientRepository {
  readonly caller: Caller
  readonly #git: (args: string[]) => Promise<string | GitError>
  /** Options before every command. */
  readonly #where: readonly string[]
  #directory: Promise<string> | undefined
  /** What the ledgers of remotes are called there, as far as that was asked. */
  readonly #ledgers = new Map<string, string>()

  constructor({ folder, environment, terminal, abort }: ClientOptions) {
    this.caller = { folder, environment, terminal }
    const bare = environment.GIT_DIR === undefined ? locateBare(folder) : null
    this.#where = bare === null ? [] : [`--git-dir=${bare}`]
    this.#git = simpleGitOf({ environment, folder, abort })
  }

  /** Runs git and returns its standard output. A failure is 'unavailable' with git's own last words. */
  async git(...args: string[]): Promise<string> {
    const result = await this.#try(args)
    if (typeof result === 'string') return result
    throw new HeadgateError('unavailable', `git ${args[0]}: ${lastWords(result.message)}`, { cause: result })
  }

  /** The full id of a commit that the user names. Throws HeadgateError 'usage' where git knows several by that name. */
  async resolveCommit(name: string): Promise<Oid> {
    if (!isOid(name)) await this.#requireOneMeaning(name)
    const oid = await this.#try(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`])
    if (typeof oid === 'string' && isOid(oid.trim())) return oid.trim()
    await this.gitDirectory()
    throw notACommit(name, await this.#try(['rev-parse', '--verify', '--end-of-options', `${name}^{}`]))
  }

  /** git takes a tag for a branch of the same name, with no more than a warning, and a move would be of the wrong commit. */
  async #requireOneMeaning(name: string): Promise<void> {
    const meanings = meaningsOf(name)
    const refs = await (await this.open()).refs(meanings)
    const found = meanings.filter((ref) => refs.has(ref))
    if (found.length < 2 || found[0] === name) return
    const commits = new Map<string, string>()
    for (const ref of found) {
      const oid = await this.#try(['rev-parse', '--verify', '--quiet', `${ref}^{commit}`])
      if (typeof oid === 'string') commits.set(ref, oid.trim())
    }
    if (new Set(commits.values()).size < 2) return
    const listed = [...commits].map(([ref, oid]) => `${printable(ref, 200)} (${shortOid(oid)})`).join(', ')
    const branch = found.find((ref) => /^refs\/(?:heads|remotes)\//.test(ref)) ?? found[0]
    throw new HeadgateError('usage', `"${printable(name, 200)}" is ambiguous in this clone: ${listed}`, {
      hint: `write the full name of the one that you mean, such as ${printable(branch ?? '', 200)}`,
    })
  }

  /** The commit's id, as short as it can be pasted. */
  async abbreviate(oid: Oid): Promise<string> {
    const short = await this.#try(['rev-parse', '--short=7', '--verify', '--quiet', oid])
    return typeof short === 'string' ? short.trim() : oid
  }

  async topLevel(): Promise<string | null> {
    const top = await this.#try(['rev-parse', '--show-toplevel'])
    return typeof top === 'string' ? top.replace(/\n$/, '') : null
  }

  /** Where a branch of the remote is now; null if it does not exist. */
  async remoteBranch(remote: string, ref: string): Promise<Oid | null> {
    return (await this.remoteRefs(remote, [ref])).get(ref) ?? null
  }

  /**
   * Those of the named refs that the remote has, all at one moment. The ledger goes by one name here, whatever it is called
   * there.
   */
  async remoteRefs(remote: string, refs: readonly string[]): Promise<Map<string, Oid>> {
    const found = new Map<string, Oid>()
    const asksForLedger = refs.includes(LEDGER_REF)
    const names = asksForLedger ? [...refs, LEDGER_BRANCH] : refs
    for (const line of (await this.#listRemote(remote, names)).split('\n')) {
      const [oid = '', name = ''] = line.split('\t')
      // The remote lists every ref that ends in one of the names.
      if (names.includes(name) && isOid(oid)) found.set(name, oid)
    }
    if (!asksForLedger) return found
    const branch = found.get(LEDGER_BRANCH)
    this.#ledgers.set(remote, branch === undefined ? LEDGER_REF : LEDGER_BRANCH)
    // Anybody who may push may be able to make the one that headgate does not write there.
    if (branch !== undefined && found.has(LEDGER_REF)) throw twoLedgers(remote)
    if (branch !== undefined) found.set(LEDGER_REF, branch)
    if (!refs.includes(LEDGER_BRANCH)) found.delete(LEDGER_BRANCH)
    return found
  }

  /** What a ref is called on the remote: the ledger may be a branch there. */
  async nameThere(remote: string, ref: string): Promise<string> {
    if (ref !== LEDGER_REF) return ref
    if (!this.#ledgers.has(remote)) await this.remoteRefs(remote, [LEDGER_REF])
    return this.#ledgers.get(remote) ?? LEDGER_REF
  }

  /** The git in the caller's PATH. */
  get gitPath(): string {
    return findGit(this.caller.environment)
  }

  /** The repository of this clone, for reading as the guard reads. */
  async open(): Promise<GitRepository> {
    return openRepository(await this.gitDirectory(), { gitPath: this.gitPath })
  }

  /**
   * The absolute path of the git directory of this clone. Throws HeadgateError 'usage' where there is none,
   * 'configuration' where git cannot use it.
   */
  gitDirectory(): Promise<string> {
    this.#directory ??= this.#findDirectory()
    return this.#directory
  }

  /** Brings the remote's ledger, and the objects behind other refs of it, here. */
  async fetchRefs(remote: string, refs: readonly string[]): Promise<void> {
    const isWithTip = refs.includes(LEDGER_REF) && (await this.#fetchTip(remote))
    const ledger = refs.includes(LEDGER_REF) ? await this.nameThere(remote, LEDGER_REF) : LEDGER_REF
    const refspecs = refs.map((ref) => (ref === LEDGER_REF ? `+${ledger}:${ledgerCopyRef(remote)}` : ref))
    const rest = isWithTip ? refspecs.filter((_, index) => refs[index] !== LEDGER_REF) : refspecs
    if (rest.length > 0) await this.fetch(remote, rest)
  }

  /** The copy of a remote's ledger that was fetched last, all of it or its tip; null where there is none. */
  async ledgerCopy(
    repository: GitRepository,
    remote: string,
  ): Promise<{ oid: Oid; snapshot: Snapshot } | null> {
    const ref = ledgerCopyRef(remote)
    const whole = (await copyAt(repository, ref))?.oid
    if (whole !== undefined) return { oid: whole, snapshot: await readOnly(repository, ref).snapshot() }
    const tip = this.#tipOf(repository, remote)
    const oid = await tip.at()
    if (oid === null) return null
    const fetchWhole = async () => {
      await this.fetch(remote, [`+${await this.nameThere(remote, LEDGER_REF)}:${ref}`])
      return readOnly(repository, ref).snapshot()
    }
    try {
      return { oid, snapshot: await tip.snapshot(fetchWhole) }
    } catch (error) {
      if (!isTipsAlone(error)) throw error
      const snapshot = await fetchWhole()
      return { oid: (await copyAt(repository, ref))?.oid ?? oid, snapshot }
    }
  }

  #tipOf(repository: GitRepository, remote: string): TipCopy {
    return new TipCopy((...args) => this.git(...args), repository, remote)
  }

  /**
   * False where the whole ledger is to be fetched: there is a copy of all of it, which is never replaced by less, or the
   * host cannot give the tip alone.
   */
  async #fetchTip(remote: string): Promise<boolean> {
    if (!isPlainName(remote)) return false
    const repository = await this.open()
    if ((await copyAt(repository, ledgerCopyRef(remote))) !== undefined) return false
    try {
      await this.#tipOf(repository, remote).fetch(await this.nameThere(remote, LEDGER_REF))
      return true
    } catch (error) {
      const { cause } = error as Error
      if (cause instanceof GitError && NO_ANSWER.test(cause.message))
        throw await this.#unreachable(remote, cause)
      if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
      return false
    }
  }

  /** Fetches by refspecs, and nothing that is not named, with more options for `git fetch`. */
  async fetch(remote: string, refspecs: readonly string[], more: readonly string[] = []): Promise<void> {
    // Nothing but what is named, and all of it, also where this is a partial clone. The branches that follow the remote
    // stay where they are: --force-with-lease compares with them.
    const options = [
      '--refmap=',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-recurse-submodules',
      '--no-filter',
      ...more,
    ]
    // Where all of it goes into copies, only these are offered as known: a ledger shares no commit with a branch, and to
    // find that out git would walk a million of them.
    const isCopied = refspecs.every((refspec) => refspec.includes(':'))
    const known = isCopied ? await this.#existing(refspecs.map((refspec) => refspec.replace(/^.*:/, ''))) : []
    const negotiation =
      isCopied && known.length === 0
        ? ['-c', 'fetch.negotiationAlgorithm=skipping', 'fetch']
        : ['fetch', ...known.map((ref) => `--negotiation-tip=${ref}`)]
    for (let attempt = 1; ; attempt++) {
      const result = await this.#try([...negotiation, ...options, '--', remote, ...refspecs])
      if (typeof result === 'string') return
      if (NO_ANSWER.test(result.message)) throw await this.#unreachable(remote, result)
      const locked = /cannot lock ref|unable to lock|\.lock': File exists/.test(result.message)
      if (!locked || attempt === FETCH_ATTEMPTS) {
        throw new HeadgateError('unavailable', `git fetch: ${lastWords(result.message)}`, {
          hint: `try it by hand: git fetch ${shownRemote(remote)} ${LEDGER_REF}`,
          cause: result,
        })
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 200 * attempt))
    }
  }

  async #existing(copies: readonly string[]): Promise<string[]> {
    const repository = await this.open()
    const found = await Promise.all(copies.map((ref) => copyAt(repository, ref)))
    return copies.filter((_, index) => found[index] !== undefined)
  }

  async #listRemote(remote: string, refs: readonly string[]): Promise<string> {
    const result = await this.#try(['ls-remote', '--', remote, ...refs])
    if (typeof result === 'string') return result
    throw await this.#unreachable(remote, result)
  }

  async #unreachable(remote: string, cause: GitError): Promise<HeadgateError> {
    const shown = shownRemote(remote)
    const remotes = (await this.git('remote')).split('\n').filter((name) => name !== '')
    if (!remotes.includes(remote) && !/[/:\\]/.test(remote) && !existsSync(remote)) {
      return new HeadgateError('usage', `there is no remote "${shown}" in this clone`, {
        hint:
          remotes.length === 0
            ? 'git remote add origin URL, or give --remote a URL'
            : `--remote takes ${remotes.map((name) => printable(name, 60)).join(', ')}, or a URL`,
        cause,
      })
    }
    return new HeadgateError(
      'unavailable',
      `the remote "${shown}" cannot be reached: ${lastWords(cause.message)}`,
      { hint: `try it by hand: git ls-remote ${shown}`, cause },
    )
  }

  async #findDirectory(): Promise<string> {
    const result = await this.#try(['rev-parse', '--absolute-git-dir'])
    if (typeof result === 'string') return result.replace(/\n$/, '')
    if (/spawn git ENOENT/.test(result.message)) findGit(this.caller.environment)
    if (/not a git repository/.test(result.message)) {
      throw new HeadgateError('usage', 'this folder is not in a git repository', {
        hint: 'run it in a clone of the guarded repository',
      })
    }
    throw new HeadgateError('configuration', `git cannot use this repository: ${lastWords(result.message)}`, {
      hint: 'git status says more',
      cause: result,
    })
  }

  #try(args: string[]): Promise<string | GitError> {
    return this.#git([...this.#where, ...args])
  }
}

/** The ledger at a copy, which is only read. */
export function readOnly(repository: GitRepository, ref: string): GitLedger {
  return new GitLedger(
    repository,
    () => {
      throw new HeadgateError('usage', 'a copy of the ledger is not written to')
    },
    { ref },
  )
}

function twoLedgers(remote: string): HeadgateError {
  const shown = shownRemote(remote)
  return new HeadgateError(
    'configuration',
    `the remote "${shown}" has two ledgers, ${LEDGER_REF} and ${shortRef(LEDGER_BRANCH)}`,
    {
      hint: `one of them was made up; a relay removes it when it runs; on a server with hooks its admin does: git update-ref -d ${LEDGER_BRANCH}`,
    },
  )
}

/** The refs that git looks for by a name, in its order (gitrevisions); of a revision such as `main~2`, by the name in it. */
function meaningsOf(revision: string): string[] {
  const [name = ''] = /^(?:(?!@\{)[^~^:])*/.exec(revision) ?? []
  // HEAD, FETCH_HEAD and their like are git's own.
  if (name === '' || /^(?:@|[A-Z_]+)$/.test(name)) return []
  const all = ['', 'refs/', 'refs/tags/', 'refs/heads/', 'refs/remotes/'].map((before) => before + name)
  return [...all, `refs/remotes/${name}/HEAD`].filter((ref) => ref.startsWith('refs/'))
}
