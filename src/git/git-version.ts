import { spawnSync } from 'node:child_process'
import { HeadgateError } from '../core/errors.ts'

/**
 * 2.36: `cat-file --batch-command`, and `core.fsync`, which takes a list of what is synced. `reference-transaction` is
 * older, 2.28.
 */
const OLDEST = 2036

/** 2039 for git 2.39; 0 where there is none. */
export function gitVersion(gitPath: string): number {
  const text = spawnSync(gitPath, ['version'], { encoding: 'utf8' }).stdout ?? ''
  const [, major = '0', minor = '0'] = /^git version (\d+)\.(\d+)/.exec(text) ?? []
  return Number(major) * 1000 + Number(minor)
}

/** The error of a git that is too old for headgate; null if it is not. */
export function tooOld(gitPath: string): HeadgateError | null {
  const version = gitVersion(gitPath)
  if (version >= OLDEST) return null
  const shown = `${Math.floor(version / 1000)}.${version % 1000}`
  return new HeadgateError('configuration', `${gitPath} is git ${shown}, and headgate needs 2.36`, {
    hint: 'install a newer git',
  })
}
