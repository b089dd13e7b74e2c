/** The texts of the client hooks: shell scripts that stand alone, the same on every machine. */
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_TREE_FILE_BYTES, readRegularFile } from '../../git/tree-file.ts'
import { packageFolder } from '../../guard/package-folder.ts'

export const CLIENT_HOOKS = ['pre-push', 'pre-commit', 'pre-merge-commit', 'prepare-commit-msg'] as const
export type ClientHook = (typeof CLIENT_HOOKS)[number]

/** What husky's own pre-push file takes in to start ours. */
export const HUSKY_PRE_PUSH = 'husky-pre-push'
export type SharedScript = ClientHook | typeof HUSKY_PRE_PUSH

/** The second line of each of our hooks begins so. */
const MARK = '# headgate '

/** One file; `kept` names a hook in the same folder that runs after ours. */
export function hookScript(name: SharedScript, kept = ''): string {
  const folder = join(packageFolder(), 'hooks', 'client')
  const clone = readFileSync(join(folder, 'clone'), 'utf8')
  return readFileSync(join(folder, name), 'utf8')
    .replace(/^\. .*\/clone"\n/m, () => clone)
    .replace("KEPT=''", () => `KEPT='${kept}'`)
}

/** A hook's text, and whether it is one of ours; null where there is none. One that cannot be read is not ours. */
export function readHook(
  path: string,
): { readonly text: string; readonly ours: boolean; kept: string } | null {
  let text: string
  try {
    // A hook of git's own may be a link, to a file of the tree, say; it is only compared.
    text = readRegularFile(path, MAX_TREE_FILE_BYTES, { links: true })?.toString('latin1') ?? ''
    if (text === '' && !isThere(path)) return null
  } catch {
    // A program without the right to be read, or a link to a file that this branch does not have.
    return isThere(path) && !lstatSync(path).isDirectory() ? { text: '', ours: false, kept: '' } : null
  }
  const ours = text.split('\n', 2)[1]?.startsWith(MARK) ?? false
  return { text, ours, kept: ours ? (/^KEPT='([^']*)'$/m.exec(text)?.[1] ?? '') : '' }
}

/** Also a link to nothing; never below what is no folder. */
export function isThere(path: string): boolean {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}
