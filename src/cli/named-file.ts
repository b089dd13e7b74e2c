/** Files that the caller of a command names, for a report or an attestation. */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isBelow, writeTreeFile } from '../git/tree-file.ts'

/**
 * Within the working tree, whose top is `tree`, no link is followed; elsewhere the name is the caller's own word, such as
 * /dev/stdout.
 */
export function writeNamedFile(tree: string | null, file: string, text: string): void {
  if (tree !== null && isBelow(tree, file)) writeTreeFile(tree, resolve(file), text)
  else writeFileSync(file, text)
}
