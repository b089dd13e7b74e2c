/** Files of `REPO.git/headgate/cache`, which make the next hook faster and which nobody misses. */
import { dirname } from 'node:path'
import { isFolder, makeFolder, replaceFile } from '../src/git/own-files.ts'

/** Replaces a file at once. Never throws: where it cannot be kept, the next process makes it again. */
export function keepFile(path: string, content: string | Buffer): void {
  const folder = dirname(path)
  try {
    // Only this folder: a repository that was removed meanwhile does not come back.
    if (isFolder(dirname(folder))) makeFolder(folder)
    replaceFile(path, content, { lasting: false })
  } catch {
    // Where no file can be made, there is none.
  }
}
