/** Files that the caller of a command names, for a report or an attestation. */
import { lstatSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import { shellWord } from '../core/printable.ts'
import { isBelow, writeTreeFile } from '../git/tree-file.ts'

/**
 * Within the working tree, whose top is `tree`, no link is followed; elsewhere the name is the caller's own word, such as
 * /dev/stdout.
 */
export function writeNamedFile(tree: string | null, file: string, text: string): void {
  if (tree !== null && isBelow(tree, file)) writeTreeFile(tree, resolve(file), text)
  else writeFileSync(file, text)
}

/** The report of an earlier run must not be taken for this one's, if this one ends before it writes its own. */
export function makeWayFor(option: string, file: string | undefined): void {
  if (file === undefined) return
  const folder = dirname(file)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new HeadgateError('usage', `--${option}: there is no folder ${shellWord(folder)}`, {
      hint: `make it first: mkdir -p ${shellWord(folder)}`,
    })
  }
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new HeadgateError('usage', `--${option}: ${shellWord(file)} is a folder`, { hint: 'name a file' })
  }
  // Nothing but a file: taking away /dev/stdout or a pipe would break more than this run.
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() === true) rmSync(file)
}
