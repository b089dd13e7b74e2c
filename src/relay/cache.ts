/**
 * The relay's cache of one host: a bare repository that may be deleted at any time. It holds what was fetched, and as
 * `refs/headgate/ledger` the ledger as far as the relay has found it whole.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import { runGit } from '../git/process.ts'
import { type GitRepository, openRepository } from '../git/repository.ts'

/** Where the host's ledger is kept until it has been looked at, and where the relay's own records are put on top. */
export const FETCHED_LEDGER = 'refs/headgate/fetched'
export const PREPARED_LEDGER = 'refs/headgate/prepared'

/** Opens the cache, and makes it where it is not there. `objectFormat` is the host's. */
export async function openCache(
  folder: string,
  gitPath: string,
  objectFormat: 'sha1' | 'sha256',
): Promise<GitRepository> {
  if (!existsSync(join(folder, 'HEAD'))) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    await runGit({
      gitPath,
      args: ['init', '--quiet', '--bare', `--object-format=${objectFormat}`, '--template=', folder],
      name: 'init',
      env: { PATH: '/usr/bin:/bin', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', LC_ALL: 'C' },
      cwd: folder,
    })
  }
  const repository = await openRepository(folder, { gitPath })
  if (repository.objectFormat === objectFormat) return repository
  repository.close()
  throw new HeadgateError(
    'configuration',
    `the cache ${folder} is of another repository: its ids have another length`,
    {
      hint: 'remove the folder: it is made anew',
    },
  )
}
