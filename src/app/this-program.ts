import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HeadgateError } from '../core/errors.ts'

/** The package's own folder: the nearest one above this file that holds the client hooks. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'hooks', 'client', 'pre-push'))) {
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

/** What hooks have to start to get here again. */
export function thisProgram(): { readonly node: string; readonly app: string } {
  return { node: process.execPath, app: join(packageFolder(), 'dist', 'headgate.js') }
}
