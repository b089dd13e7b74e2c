/**
 * `.headgate/hooks/` in the working tree: the hooks for those who start them by their own configuration (husky, lefthook,
 * pre-commit). It is committed, so that everybody has them, and holds nothing of this machine.
 */
import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { isTreeFile, readTreeText, removeTreeFile, treeFolder, writeTreeFile } from '../../git/tree-file.ts'
import { writeScript } from './hook-folder.ts'
import { CLIENT_HOOKS, HUSKY_PRE_PUSH, hookScript, type SharedScript } from './hook-script.ts'

export const SHARED_HOOKS = '.headgate/hooks'

/** Without it git on Windows would check them out with line ends that no shell takes. */
const ATTRIBUTES = `${SHARED_HOOKS}/.gitattributes`
const ATTRIBUTES_TEXT = '* text eol=lf\n'

const ALL: readonly SharedScript[] = [...CLIENT_HOOKS, HUSKY_PRE_PUSH]

/** The scripts that a hook runner needs. */
export function sharedScripts(runner: 'husky' | 'lefthook' | 'pre-commit'): readonly SharedScript[] {
  return runner === 'husky' ? ALL : CLIENT_HOOKS
}

/** Returns what was written, by its path in the working tree. */
export function writeSharedHooks(top: string, names: readonly SharedScript[]): string[] {
  const written = names
    .filter((name) => writeScript(top, join(SHARED_HOOKS, name), hookScript(name)))
    .map((name) => `${SHARED_HOOKS}/${name}`)
  if (hasAttributes(top)) return written
  writeTreeFile(top, ATTRIBUTES, ATTRIBUTES_TEXT)
  return [...written, ATTRIBUTES]
}

function hasAttributes(top: string): boolean {
  return readTreeText(top, ATTRIBUTES)?.replaceAll('\r\n', '\n') === ATTRIBUTES_TEXT
}

/** Names of shared hooks that are there and are not what this version of headgate writes. */
export function staleSharedHooks(top: string): string[] {
  return ALL.map((name) => ({ name, path: `${SHARED_HOOKS}/${name}` }))
    .filter(({ name, path }) => (readTreeText(top, path) ?? hookScript(name)) !== hookScript(name))
    .map(({ path }) => path)
}

export function missingSharedHooks(top: string, names: readonly SharedScript[]): string[] {
  const missing = names.map((name) => `${SHARED_HOOKS}/${name}`).filter((path) => !isTreeFile(top, path))
  return hasAttributes(top) ? missing : [...missing, ATTRIBUTES]
}

export function removeSharedHooks(top: string): string[] {
  const removed = ALL.filter((name) => removeTreeFile(top, `${SHARED_HOOKS}/${name}`))
  removeTreeFile(top, ATTRIBUTES)
  for (const path of [SHARED_HOOKS, '.headgate']) removeIfEmpty(treeFolder(top, path))
  return removed.map((name) => `${SHARED_HOOKS}/${name}`)
}

export function removeIfEmpty(folder: string | null): void {
  if (folder !== null && existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder)
}
