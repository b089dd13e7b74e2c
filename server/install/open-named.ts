import { HeadgateError } from '../../src/core/errors.ts'
import { findGit } from '../../src/git/find-git.ts'
import { type GitRepository, openRepository } from '../../src/git/repository.ts'

/** Opens the repository that an admin names on the command line, with the git in PATH. */
export async function openNamed(path: string): Promise<GitRepository> {
  try {
    return await openRepository(path, { gitPath: findGit() })
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.hint !== undefined) throw error
    throw new HeadgateError(error.code, error.message, {
      hint: 'name a bare repository on this machine, such as /srv/git/app.git',
      cause: error,
    })
  }
}
