/** `.husky/NAME`: what husky runs for a hook of that name, with `sh -e`. Ours come first, since they are quick. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { CLIENT_HOOKS, type ClientHook } from './hook-script.ts'
import { blockOf, hasBlock, withoutBlock } from './marked-block.ts'
import { SHARED_HOOKS } from './shared-hooks.ts'

export function addToHusky(top: string, folder: string): string[] {
  const changed: string[] = []
  for (const name of CLIENT_HOOKS) {
    const path = join(folder, name)
    const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
    const text = addBlock(withoutBlock(before), name)
    if (text === before) continue
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, text, { mode: 0o755 })
    changed.push(relative(top, path))
  }
  return changed
}

export function removeFromHusky(top: string, folder: string): string[] {
  const changed: string[] = []
  for (const name of CLIENT_HOOKS) {
    const path = join(folder, name)
    const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (!hasBlock(before)) continue
    const text = withoutBlock(before)
    if (text.trim() === '') rmSync(path)
    else writeFileSync(path, text)
    changed.push(relative(top, path))
  }
  return changed
}

/** The hooks that husky does not start yet. */
export function missingInHusky(folder: string): ClientHook[] {
  return CLIENT_HOOKS.filter((name) => {
    const path = join(folder, name)
    return !existsSync(path) || !readFileSync(path, 'utf8').includes(blockOf(blockLines(name)))
  })
}

function addBlock(text: string, name: ClientHook): string {
  const lines = text.split('\n')
  // After the lines that older versions of husky want first: they start the file a second time.
  const first = lines.findLastIndex((line) => line.startsWith('#!') || /^\s*\. .*husky\.sh/.test(line)) + 1
  const before = lines.slice(0, first).map((line) => `${line}\n`)
  return `${before.join('')}${blockOf(blockLines(name))}${lines.slice(first).join('\n')}`
}

function blockLines(name: ClientHook): string[] {
  const script = `${SHARED_HOOKS}/${name}`
  if (name !== 'pre-push') return [`test ! -r ${script} || sh ${script} "$@" || exit 1`]
  // What comes after in this file finds the refs on its standard input, too.
  return [
    `if test -r ${script}; then`,
    '  headgate_refs=$(cat)',
    // An empty list must not become an empty line.
    `  printf '%s' "$headgate_refs\${headgate_refs:+`,
    `}" | sh ${script} "$@" || exit 1`,
    '  if test -n "$headgate_refs"; then exec <<HEADGATE',
    '$headgate_refs',
    'HEADGATE',
    '  else exec </dev/null; fi',
    'fi',
  ]
}
