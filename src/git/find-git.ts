import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'

/** The absolute path of the git in the caller's PATH. Hooks keep it, since they must not search a pusher's PATH. */
export function findGit({ PATH = '' }: { readonly PATH?: string | undefined }): string {
  for (const folder of PATH.split(delimiter)) {
    if (!isAbsolute(folder)) continue
    const candidate = join(folder, 'git')
    try {
      accessSync(candidate, constants.X_OK)
      if (statSync(candidate).isFile()) return candidate
    } catch {
      // Not in this folder.
    }
  }
  throw new HeadgateError('configuration', 'there is no git in PATH', { hint: 'install git 2.36 or newer' })
}
