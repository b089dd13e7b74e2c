/** What git writes for people, as far as headgate has to read it: its English, under LC_ALL=C. */
import { printable } from '../core/printable.ts'
import { withoutSecrets } from '../core/without-secrets.ts'

/** What the server said during a push, without git's prefix. */
export function remoteLines(stderr: string): string[] {
  return linesOf(stderr)
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trimEnd())
    .filter((line) => line !== '')
}

/** Why a ref was refused, by its line of `git push --porcelain`. */
export function refusalReason(line: string): string {
  return /\(([^)]*)\)\s*$/.exec(line)?.[1] ?? 'without a word'
}

/** Why git failed, in one line. */
export function lastWords(message: string): string {
  const lines = linesOf(message).filter((line) => line.trim() !== '')
  const at = lines.findIndex((line) => /^(?:fatal|error): /.test(line))
  // Where ssh failed, ssh's last line is the reason; the line of git's that follows it gives none.
  const isSaidBefore = at > 0 && lines[at] === 'fatal: Could not read from remote repository.'
  const words = (isSaidBefore ? lines[at - 1] : (lines[at] ?? lines.at(-1))) ?? 'failed'
  return printable(withoutSecrets(words).replace(/^(?:fatal|error): /, ''), 400)
}

function linesOf(text: string): string[] {
  return text.split(/\r\n|[\r\n]/)
}
