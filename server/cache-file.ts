/** Files of `REPO.git/headgate/cache`, which make the next hook faster and which nobody misses. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Replaces a file at once. Never throws: where it cannot be kept, the next process makes it again. */
export function keepFile(path: string, content: string | Buffer): void {
  const fresh = `${path}.${process.pid}`
  try {
    // Only this folder: a repository that was removed meanwhile does not come back.
    if (!existsSync(dirname(path))) mkdirSync(dirname(path))
    writeFileSync(fresh, content, { mode: 0o644 })
    renameSync(fresh, path)
  } catch {
    try {
      rmSync(fresh, { force: true })
    } catch {
      // Where no file can be made, there is none.
    }
  }
}
