/** git in the user's clone, through simple-git, with the user's own environment as a value. */
import { GitError, type SimpleGitOptions, simpleGit } from 'simple-git'
import { debugGit } from '../../git/debug.ts'
import type { Environment } from '../caller.ts'

/**
 * simple-git lets nothing pass that can start a program or name a file, in variables, configuration or options, unless it
 * is told. Here the environment and the configuration are the user's own, credentials of CI in GIT_CONFIG_COUNT among
 * them, and options are headgate's.
 */
const USERS_OWN = {
  allowUnsafeAlias: true,
  allowUnsafeAskPass: true,
  allowUnsafeCommandBinaries: true,
  allowUnsafeConfigEnvCount: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeDiffExternal: true,
  allowUnsafeDiffTextConv: true,
  allowUnsafeEditor: true,
  allowUnsafeExec: true,
  allowUnsafeFilter: true,
  allowUnsafeFsMonitor: true,
  allowUnsafeGitProxy: true,
  allowUnsafeGpgProgram: true,
  allowUnsafeHooksPath: true,
  allowUnsafeInclude: true,
  allowUnsafeMergeDriver: true,
  allowUnsafePack: true,
  allowUnsafePager: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeSubmodule: true,
  allowUnsafeTemplateDir: true,
  allowUnsafeUrlRewrite: true,
}

const SIGNALLED = Buffer.from('\nfatal: a signal ended git\n')

export type SimpleGitPlace = {
  readonly environment: Environment
  readonly folder: string
  /** Ends every git that is running. */
  readonly abort?: AbortSignal | undefined
}

/** Runs git and resolves with its standard output, or with what git has written where it failed. */
export function simpleGitOf({
  environment,
  folder,
  abort,
}: SimpleGitPlace): (args: string[]) => Promise<string | GitError> {
  const options: Partial<SimpleGitOptions> = {
    baseDir: folder,
    binary: 'git',
    allowEnvironment: Object.keys(environment),
    unsafe: USERS_OWN,
    config: ['color.ui=false'],
    ...(abort === undefined ? {} : { abort }),
  }
  // What git says is read by headgate, so that it must be said in one language.
  const variables = { ...definedIn(environment), LC_ALL: 'C' }
  return async (args) => {
    const told = debugGit(args)
    let ended = 'broken off'
    const git = simpleGit({
      ...options,
      errors: (error, { exitCode, stdErr }) => {
        ended = `exit ${exitCode}`
        // A signal ended it, which simple-git takes for a success.
        return error ?? (exitCode === null ? Buffer.concat([...stdErr, SIGNALLED]) : undefined)
      },
    })
      .env(variables)
      // simple-git waits 50 ms longer for a process that has printed nothing, and most of ours print nothing.
      .outputHandler((_, stdout) => stdout.once('end', () => stdout.emit('data', Buffer.alloc(0))))
    try {
      return await git.raw(args)
    } catch (error) {
      if (error instanceof GitError) return error
      throw error
    } finally {
      told(ended)
    }
  }
}

function definedIn(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
