/** The user's own clone and its remotes: porcelain, with the user's environment, configuration and credentials. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GitError, type SimpleGit, simpleGit } from 'simple-git'
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import { findGit } from '../git/find-git.ts'
import { openRepository } from '../git/repository.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import type { Snapshot } from '../ledger/ledger.ts'

const LEDGER_REF = 'refs/headgate/ledger'

/** The copies live outside refs/headgate/, which a `git push --mirror` of this clone must not offer to a server. */
function copyRef(remote: string): string {
  return `refs/headgate-copies/${remote}/ledger`
}

export type RemoteLedger = { readonly snapshot: Snapshot; readonly close: () => void }

export class ClientRepository {
  readonly #git: SimpleGit

  constructor(folder = process.cwd()) {
    // simple-git hides GIT_* from git unless told; here it is the user's own environment, GIT_SSH_COMMAND among it.
    this.#git = simpleGit({ baseDir: folder, binary: 'git', allowEnvironment: Object.keys(process.env) })
  }

  /** Runs git and returns its standard output. A failure is 'unavailable' with git's own last words. */
  async git(...args: string[]): Promise<string> {
    try {
      return await this.#git.raw(args)
    } catch (cause) {
      if (!(cause instanceof GitError)) throw cause
      throw new HeadgateError('unavailable', `git ${args[0]}: ${lastWords(cause.message)}`, { cause })
    }
  }

  /** The full id of a commit that the user names. */
  async resolveCommit(name: string): Promise<Oid> {
    const oid = await this.#try('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)
    if (oid !== null && isOid(oid)) return oid
    if (!(await this.isRepository())) {
      throw new HeadgateError('usage', 'this folder is not in a git repository', {
        hint: 'run it in a clone of the guarded repository',
      })
    }
    throw new HeadgateError('usage', `there is no commit "${name}" in this clone`, {
      hint: 'fetch first, or name a commit, branch or tag that exists: git log --oneline',
    })
  }

  async isRepository(): Promise<boolean> {
    return (await this.#try('rev-parse', '--git-dir')) !== null
  }

  async topLevel(): Promise<string | null> {
    return this.#try('rev-parse', '--show-toplevel')
  }

  async #try(...args: string[]): Promise<string | null> {
    try {
      return (await this.#git.raw(args)).trim()
    } catch (error) {
      if (error instanceof GitError) return null
      throw error
    }
  }

  /** Fetches the ledger of a guarded remote and opens it for reading. */
  async fetchLedger(remote: string): Promise<RemoteLedger> {
    if (!(await this.isRepository())) {
      throw new HeadgateError('usage', 'this folder is not in a git repository', {
        hint: 'run it in a clone of the guarded repository',
      })
    }
    const listed = await this.#listLedger(remote)
    if (listed.trim() === '') {
      throw new HeadgateError(
        'configuration',
        `the remote "${remote}" is not guarded by headgate: it has no ${LEDGER_REF}`,
        {
          hint: 'name another with --remote, or ask the server admin: headgate server install, then headgate policy apply',
        },
      )
    }
    const target = copyRef(remoteName(remote))
    await this.git(
      'fetch',
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      remote,
      `+${LEDGER_REF}:${target}`,
    )
    const folder = (await this.git('rev-parse', '--absolute-git-dir')).trim()
    const repository = await openRepository(folder, { gitPath: findGit() })
    const ledger = new GitLedger(
      repository,
      () => {
        throw new HeadgateError('usage', 'a copy of the ledger is not written to')
      },
      { ref: target },
    )
    return { snapshot: await ledger.snapshot(), close: () => repository.close() }
  }

  async #listLedger(remote: string): Promise<string> {
    try {
      return await this.#git.raw(['ls-remote', '--', remote, LEDGER_REF])
    } catch (cause) {
      if (!(cause instanceof GitError)) throw cause
      throw new HeadgateError(
        'unavailable',
        `the remote "${remote}" cannot be reached: ${lastWords(cause.message)}`,
        {
          hint: 'git remote -v lists the remotes; --remote names another',
          cause,
        },
      )
    }
  }

  /**
   * Sends one envelope to the inbox of a remote. When this returns, the statement is a durable record there.
   * Throws HeadgateError 'refused' with the server's own words, 'unavailable' if it could not be asked.
   */
  async submit(remote: string, envelopeText: string): Promise<string> {
    const digest = createHash('sha256').update(envelopeText).digest('hex')
    const folder = mkdtempSync(join(tmpdir(), 'headgate-'))
    try {
      const file = join(folder, 'envelope.json')
      writeFileSync(file, envelopeText)
      const blob = (await this.git('hash-object', '-w', '--no-filters', '--', file)).trim()
      await this.#push(remote, `${blob}:refs/headgate/inbox/${digest}`)
      return digest
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  async #push(remote: string, refspec: string): Promise<void> {
    try {
      // The clone's own pre-push hook has nothing to say about the inbox.
      await this.#git.raw(['push', '--porcelain', '--no-verify', '--no-follow-tags', remote, refspec])
    } catch (cause) {
      if (!(cause instanceof GitError)) throw cause
      const said = remoteLines(cause.message)
      if (said.length > 0 || /\[remote rejected\]/.test(cause.message)) {
        throw new HeadgateError(
          'refused',
          ['the server refused the statement; nothing was recorded', ...said].join('\n'),
          { cause },
        )
      }
      throw new HeadgateError('unavailable', `git push: ${lastWords(cause.message)}`, { cause })
    }
  }
}

/** A remote given as URL or path gets a name that can stand in a ref. */
function remoteName(remote: string): string {
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(remote) && !remote.endsWith('.lock') && !remote.includes('..'))
    return remote
  return createHash('sha256').update(remote).digest('hex').slice(0, 16)
}

function remoteLines(message: string): string[] {
  return message
    .split(/\r\n|[\r\n]/)
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trimEnd())
    .filter((line) => line !== '')
}

function lastWords(message: string): string {
  const lines = message.split(/\r\n|[\r\n]/).filter((line) => line.trim() !== '')
  const fatal = lines.find((line) => /^(?:fatal|error): /.test(line))
  return (fatal ?? lines.at(-1) ?? 'failed').replace(/^(?:fatal|error): /, '')
}
