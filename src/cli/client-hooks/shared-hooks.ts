/**
 * `.headgate/hooks/` in the working tree: the hooks for those who start them by their own configuration (husky, lefthook,
 * pre-commit). It is committed, so that everybody has them, and holds nothing of this machine.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeScript } from './hook-folder.ts'
import { CLIENT_HOOKS, hookScript } from './hook-script.ts'

export const SHARED_HOOKS = '.headgate/hooks'

/** Without it git on Windows would check them out with line ends that no shell takes. */
const ATTRIBUTES = `${SHARED_HOOKS}/.gitattributes`
const ATTRIBUTES_TEXT = '* text eol=lf\n'

/** Returns what was written, by its path in the working tree. */
export function writeSharedHooks(top: string): string[] {
  const written = CLIENT_HOOKS.filter((name) =>
    writeScript(join(top, SHARED_HOOKS, name), hookScript(name)),
  ).map((name) => `${SHARED_HOOKS}/${name}`)
  const attributes = join(top, ATTRIBUTES)
  if (existsSync(attributes) && readFileSync(attributes, 'utf8') === ATTRIBUTES_TEXT) return written
  writeFileSync(attributes, ATTRIBUTES_TEXT)
  return [...written, ATTRIBUTES]
}

/** Names of shared hooks that are there and are not what this version of headgate writes. */
export function staleSharedHooks(top: string): string[] {
  return CLIENT_HOOKS.map((name) => ({ name, path: join(top, SHARED_HOOKS, name) }))
    .filter(({ name, path }) => existsSync(path) && readFileSync(path, 'utf8') !== hookScript(name))
    .map(({ name }) => `${SHARED_HOOKS}/${name}`)
}

export function missingSharedHooks(top: string): string[] {
  return CLIENT_HOOKS.map((name) => `${SHARED_HOOKS}/${name}`).filter((path) => !existsSync(join(top, path)))
}

export function removeSharedHooks(top: string): string[] {
  const folder = join(top, SHARED_HOOKS)
  const removed = CLIENT_HOOKS.filter((name) => existsSync(join(folder, name)))
  for (const name of removed) rmSync(join(folder, name))
  rmSync(join(top, ATTRIBUTES), { force: true })
  for (const path of [folder, join(top, '.headgate')]) removeIfEmpty(path)
  return removed.map((name) => `${SHARED_HOOKS}/${name}`)
}

export function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder)
}
