/** `.husky/NAME`: what husky runs for a hook of that name, with `sh -e`. Ours come first, since they are quick. */
import { join, relative } from 'node:path'
import { readTreeText, removeTreeFile, writeTreeFile } from '../../git/tree-file.ts'
import { CLIENT_HOOKS, type ClientHook, HUSKY_PRE_PUSH } from './hook-script.ts'
import { hasBlock, ownLine, withLine, withoutOurs } from './own-line.ts'
import { SHARED_HOOKS } from './shared-hooks.ts'

export function addToHusky(top: string, folder: string): string[] {
  const changed: string[] = []
  for (const name of CLIENT_HOOKS) {
    const before = read(top, folder, name)
    if (isStarted(before, name)) continue
    writeTreeFile(top, join(folder, name), addLine(withoutOurs(before), name), 0o755)
    changed.push(relative(top, join(folder, name)))
  }
  return changed
}

export function removeFromHusky(top: string, folder: string): string[] {
  const changed: string[] = []
  for (const name of CLIENT_HOOKS) {
    const path = join(folder, name)
    const before = read(top, folder, name)
    const text = withoutOurs(before)
    if (text === before) continue
    if (text.trim() === '') removeTreeFile(top, path)
    else writeTreeFile(top, path, text)
    changed.push(relative(top, path))
  }
  return changed
}

/** The hooks that husky does not start yet. */
export function missingInHusky(top: string, folder: string): ClientHook[] {
  return CLIENT_HOOKS.filter(
    (name) => !isStarted(read(top, folder, name), name) && !hasBlock(read(top, folder, name)),
  )
}

/** The files in which an older version has left several lines. */
export function blocksInHusky(top: string, folder: string): ClientHook[] {
  return CLIENT_HOOKS.filter((name) => hasBlock(read(top, folder, name)))
}

function read(top: string, folder: string, name: ClientHook): string {
  return readTreeText(top, join(folder, name)) ?? ''
}

function isStarted(text: string, name: ClientHook): boolean {
  return !hasBlock(text) && text.split('\n').some((line) => line.trimEnd() === lineFor(name))
}

function addLine(text: string, name: ClientHook): string {
  // After the lines that older versions of husky want first: they start the file a second time.
  const lines = text.split('\n')
  const at = lines.findLastIndex((line) => line.startsWith('#!') || /^\s*\. .*husky\.sh/.test(line)) + 1
  return withLine(at === lines.length ? `${text}\n` : text, at, lineFor(name))
}

function lineFor(name: ClientHook): string {
  const script = `${SHARED_HOOKS}/${name === 'pre-push' ? HUSKY_PRE_PUSH : name}`
  return ownLine(
    name === 'pre-push'
      ? `test ! -r ${script} || . ${script}`
      : `test ! -r ${script} || sh ${script} "$@" || exit 1`,
  )
}
