import { HeadgateError } from '../../src/core/errors.ts'
import { type GitRepository, openRepository } from '../../src/git/repository.ts'

/** Opens the repository that an admin names on the command line; `gitPath` as `openRepository` takes it. */
export async function openNamed(path: string, gitPath: string): Promise<GitRepository> {
  try {
    return await openRepository(path, { gitPath })
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.hint !== undefined) throw error
    throw new HeadgateError(error.code, error.message, {
      hint: 'name a bare repository on this machine, such as /srv/git/app.git',
      cause: error,
    })
  }
}
