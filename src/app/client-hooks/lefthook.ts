/**
 * lefthook: `.headgate/lefthook.yml` says what to start, and lefthook's own configuration names that file under `extends`.
 * lefthook makes git's hooks from it by itself, and moves away every hook that it finds.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { isTreeFile, readTreeText, removeTreeFile, treeFolder, writeTreeFile } from '../../git/tree-file.ts'
import { hasBlock, ownLine, withLine, withoutOurs } from './own-line.ts'
import { removeIfEmpty, SHARED_HOOKS } from './shared-hooks.ts'

const NAMES = ['lefthook', '.lefthook', '.config/lefthook']
const OWN = '.headgate/lefthook.yml'

const CONFIGURATION = `# Put here by \`headgate init\`; lefthook's own configuration names this file under \`extends\`.
pre-push:
  commands:
    headgate:
      run: sh ${SHARED_HOOKS}/pre-push "{1}" "{2}"
      use_stdin: true
pre-commit:
  commands:
    headgate:
      run: sh ${SHARED_HOOKS}/pre-commit
pre-merge-commit:
  commands:
    headgate:
      run: sh ${SHARED_HOOKS}/pre-merge-commit
prepare-commit-msg:
  commands:
    headgate:
      run: sh ${SHARED_HOOKS}/prepare-commit-msg "{1}" "{2}"
`

/** lefthook's configuration file in a working tree, relative to it. */
export function lefthookFile(top: string): string | null {
  const files = NAMES.flatMap((name) =>
    ['yml', 'yaml', 'json', 'jsonc', 'toml'].map((kind) => `${name}.${kind}`),
  )
  return files.find((file) => isTreeFile(top, file)) ?? null
}

export function addToLefthook(top: string, file: string): string[] {
  const changed: string[] = []
  const before = read(top, file)
  const text = extend(before, file)
  if (readTreeText(top, OWN) !== CONFIGURATION) {
    writeTreeFile(top, OWN, CONFIGURATION)
    changed.push(OWN)
  }
  if (text !== before) {
    writeTreeFile(top, file, text)
    changed.push(file)
  }
  return changed
}

export function removeFromLefthook(top: string): string[] {
  const changed: string[] = []
  const file = lefthookFile(top)
  if (file !== null) {
    const before = read(top, file)
    const text = withoutOurs(before)
    if (text.includes(OWN)) {
      throw new HeadgateError('configuration', `${file} names ${OWN} by a line that is not headgate's`, {
        hint: 'take it out by hand, then run headgate init --remove again',
      })
    }
    if (text !== before) {
      writeTreeFile(top, file, text)
      changed.push(file)
    }
  }
  if (removeTreeFile(top, OWN)) changed.push(OWN)
  removeIfEmpty(treeFolder(top, '.headgate'))
  return changed
}

export function isInLefthook(top: string, file: string): boolean {
  return isTreeFile(top, OWN) && read(top, file).includes(OWN)
}

/** An older version has left several lines there. */
export function hasBlockInLefthook(top: string, file: string): boolean {
  return hasBlock(read(top, file))
}

function read(top: string, file: string): string {
  return readTreeText(top, file) ?? ''
}

/** Lets lefthook make git's hooks anew, with the project's own lefthook or the one in PATH. False if there is none. */
export function syncLefthook(top: string): boolean {
  const own = join(top, 'node_modules', '.bin', 'lefthook')
  const { status } = spawnSync(existsSync(own) ? own : 'lefthook', ['install'], { cwd: top, stdio: 'ignore' })
  return status === 0
}

/** Adds our file to the list `extends`, which is a block of lines or not there yet. */
function extend(before: string, file: string): string {
  const text = hasBlock(before) ? withoutOurs(before) : before
  if (text.includes(OWN)) return text
  const byHand = (reason: string) =>
    new HeadgateError('configuration', `${file} ${reason}`, {
      hint: `add "${OWN}" to its list \`extends\` by hand, then run headgate init again`,
    })
  if (!/\.ya?ml$/.test(file)) throw byHand('is not YAML, the only format that headgate adds itself to')
  const lines = text.split('\n').map((line) => line.trimEnd())
  const at = lines.findIndex((line) => /^extends\s*:/.test(line))
  if (at === -1) {
    const line = ownLine(`extends: [${OWN}]`)
    // At the end it would need a line break that could not be told from the user's own later.
    const ended = text === '' || text.endsWith('\n')
    return withLine(text, ended ? lines.length - 1 : lines[0]?.startsWith('---') ? 1 : 0, line)
  }
  if (!/^extends\s*:\s*(?:#.*)?$/.test(lines[at] ?? '')) throw byHand('has its list `extends` on one line')
  const indent = /^(\s*)- /.exec(lines[at + 1] ?? '')?.[1] ?? '  '
  return withLine(text, at + 1, `${indent}${ownLine(`- ${OWN}`)}`)
}
