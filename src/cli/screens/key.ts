/** What `headgate key` prints. */
import type { KeyLine } from '../../app/keys.ts'
import { note, print, printJson } from '../output.ts'

/** `file`: the private key. */
export function generatedJson(made: KeyLine, file: string): void {
  printJson({ privateKey: file, ...made })
}

export function generatedText({ line }: KeyLine, file: string): void {
  const shown = process.stdout.isTTY ? 'This line goes' : 'The line on standard output goes'
  note(`${file} is the private key: it stays where it signs.\n${shown} into .headgate/allowed_signers.`)
  print(line)
}
