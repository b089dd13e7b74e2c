/**
 * `.headgate/hooks/` in the working tree: the hooks for those who start them by their own configuration (husky, lefthook,
 * pre-commit). It is committed, so that everybody has them, and holds nothing of this machine.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
    .filter((name) => writeScript(join(top, SHARED_HOOKS, name), hookScript(name)))
    .map((name) => `${SHARED_HOOKS}/${name}`)
  if (hasAttributes(top)) return written
  writeFileSync(join(top, ATTRIBUTES), ATTRIBUTES_TEXT)
  return [...written, ATTRIBUTES]
}

function hasAttributes(top: string): boolean {
  const path = join(top, ATTRIBUTES)
  return existsSync(path) && readFileSync(path, 'utf8').replaceAll('\r\n', '\n') === ATTRIBUTES_TEXT
}

/** Names of shared hooks that are there and are not what this version of headgate writes. */
export function staleSharedHooks(top: string): string[] {
  return ALL.map((name) => ({ name, path: join(top, SHARED_HOOKS, name) }))
    .filter(({ name, path }) => existsSync(path) && readFileSync(path, 'utf8') !== hookScript(name))
    .map(({ name }) => `${SHARED_HOOKS}/${name}`)
}

export function missingSharedHooks(top: string, names: readonly SharedScript[]): string[] {
  const missing = names
    .map((name) => `${SHARED_HOOKS}/${name}`)
    .filter((path) => !existsSync(join(top, path)))
  return hasAttributes(top) ? missing : [...missing, ATTRIBUTES]
}

export function removeSharedHooks(top: string): string[] {
  const folder = join(top, SHARED_HOOKS)
  const removed = ALL.filter((name) => existsSync(join(folder, name)))
  for (const name of removed) rmSync(join(folder, name))
  rmSync(join(top, ATTRIBUTES), { force: true })
  for (const path of [folder, join(top, '.headgate')]) removeIfEmpty(path)
  return removed.map((name) => `${SHARED_HOOKS}/${name}`)
}

export function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder)
}
