import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HeadgateError } from '../core/errors.ts'

/** The package's own folder: the nearest one above this file that holds the hooks. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'hooks', 'server', 'pre-receive'))) {
    const parent = dirname(folder)
    if (parent === folder) {
      throw new HeadgateError(
        'configuration',
        'the installation of headgate is incomplete: its hooks folder is missing',
        { hint: 'install the package again' },
      )
    }
    folder = parent
  }
  return folder
}
