/**
 * git as the user runs it: the git of PATH, with the user's environment, configuration and credentials. What the guard
 * itself reads goes through src/git, in an environment that is built.
 */
import { spawn, spawnSync } from 'node:child_process'
import { HeadgateError } from '../core/errors.ts'
import { debugGit } from './debug.ts'
import { findGit } from './find-git.ts'

export type UserGitOptions = {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly folder?: string | undefined
  /** Ends git early. */
  readonly abort?: AbortSignal | undefined
  /** Whether git may read what headgate was started with. */
  readonly stdin?: 'ignore' | 'inherit'
}

/** How a process of git ended; `code` is null where a signal ended it. */
export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** What a server sends to be shown is a few lines; a hostile one sends what it likes. */
const MAX_STDERR_LENGTH = 1024 * 1024
/** How long what git has left running, such as a shared connection of ssh, may hold the output open and say nothing. */
const LINGER_MS = 500

/** Never throws for what git or a remote says; throws HeadgateError 'configuration' where git cannot be started. */
export function userGit(args: readonly string[], options: UserGitOptions): Promise<Ended> {
  const { environment, folder, abort, stdin = 'ignore' } = options
  return new Promise((resolve, reject) => {
    const told = debugGit(args)
    const child = spawn('git', args, {
      ...(folder === undefined ? {} : { cwd: folder }),
      // What git says is read by headgate, so that it must be said in one language.
      env: { ...environment, LC_ALL: 'C' },
      stdio: [stdin, 'pipe', 'pipe'],
    })
    const stop = () => child.kill('SIGINT')
    abort?.addEventListener('abort', stop, { once: true })
    let linger: NodeJS.Timeout | undefined
    const output = { stdout: '', stderr: '' }
    const end = (code: number | null, signal: NodeJS.Signals | null) => {
      told(signal === null ? `exit ${code}` : `killed by ${signal}`)
      clearTimeout(linger)
      child.off('close', end)
      abort?.removeEventListener('abort', stop)
      child.stdout?.destroy()
      child.stderr?.destroy()
      resolve({ code, ...output })
    }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text
      linger?.refresh()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (output.stderr.length < MAX_STDERR_LENGTH) output.stderr += text
      linger?.refresh()
    })
    child.on('error', (cause) => reject(notStarted(cause, environment)))
    child.on('close', end)
    child.on('exit', (code, signal) => {
      linger = setTimeout(() => end(code, signal), LINGER_MS)
    })
    if (abort?.aborted) stop()
  })
}

/**
 * What git's configuration says to `args` for this account and this machine, or for the repository that is named; empty where
 * it says nothing. By the path of a git, for those who keep one, and in this process's own environment.
 */
export function askConfig(gitPath: string, args: readonly string[], directory?: string): string {
  const all = [...(directory === undefined ? [] : [`--git-dir=${directory}`]), 'config', ...args]
  const told = debugGit(all)
  const { status, stdout } = spawnSync(gitPath, all, { encoding: 'utf8' })
  told(`exit ${status}`)
  return stdout ?? ''
}

function notStarted(cause: Error, environment: UserGitOptions['environment']): HeadgateError {
  try {
    findGit(environment)
  } catch (error) {
    if (error instanceof HeadgateError) return error
  }
  return new HeadgateError('configuration', `git cannot be started: ${cause.message}`, {
    hint: 'have git in PATH',
    cause,
  })
}
