/** Files of `REPO.git/headgate/cache`, which make the next hook faster and which nobody misses. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Replaces a file at once. Never throws: where it cannot be kept, the next process makes it again. */
export function keepFile(path: string, content: string | Buffer): void {
  const fresh = `${path}.${process.pid}`
  try {
    mkdirSync(dirname(path), { recursive: true })
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
