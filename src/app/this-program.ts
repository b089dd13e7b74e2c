import { join } from 'node:path'
import { packageFolder } from '../guard/package-folder.ts'

/** What hooks have to start to get here again. */
export function thisProgram(): { readonly node: string; readonly app: string } {
  return { node: process.execPath, app: join(packageFolder(), 'dist', 'headgate.js') }
}
