import { findGit } from '../src/git/find-git.ts'
import { type GitRepository, type OpenOptions, openRepository as open } from '../src/git/repository.ts'

/** The git in PATH, which the tests themselves run. */
export const GIT = findGit(process.env)

/** A repository as the source opens it, by that git unless told. */
export function openRepository(path: string, options: Partial<OpenOptions> = {}): Promise<GitRepository> {
  return open(path, { gitPath: GIT, ...options })
}
