/** Whether a ledger commit is, byte for byte, what headgate writes for its record. */
import { objectId } from '../git/object-id.ts'
import type { AuditedCommit } from '../ledger/audit-log.ts'
import { commitMessage, type NextRecord } from '../ledger/commit-stream.ts'

/** Takes its tree and its parent as they are: those are checked elsewhere. */
export function isAsWritten(
  { oid, tree, parents, message }: AuditedCommit,
  next: NextRecord,
  oidLength: 40 | 64,
): boolean {
  const append = /\nappend: ([0-9a-f]{16})\n$/.exec(message)?.[1] ?? ''
  const expected = commitMessage(next, append).split('\n')
  const lines = message.split('\n')
  if (lines.length !== expected.length || !lines.every((line, at) => isSameText(line, expected[at] ?? '')))
    return false
  const who = `headgate <headgate@localhost> ${Math.floor(Date.parse(next.record.at) / 1000)} +0000`
  const body = [
    `tree ${tree}`,
    ...parents.map((parent) => `parent ${parent}`),
    `author ${who}`,
    `committer ${who}`,
    '',
    message,
  ].join('\n')
  return objectId('commit', Buffer.from(body), oidLength) === oid
}

/**
 * Whether two printable texts are of one text. Which characters are made visible changes with the version of Unicode, and
 * with it where a text that is too long is cut.
 */
function isSameText(one: string, other: string): boolean {
  if (one === other) return true
  const [a, b] = [plain(one), plain(other)]
  return a.text === b.text || (a.isCut && b.text.startsWith(a.text)) || (b.isCut && a.text.startsWith(b.text))
}

/** Texts have at most 200 characters, and an escape at the end of one has at most ten. */
const MIN_CUT_LENGTH = 190

function plain(text: string): { readonly text: string; readonly isCut: boolean } {
  const isCut = text.length >= MIN_CUT_LENGTH && text.endsWith('...')
  const whole = isCut ? text.slice(0, -3).replace(/\\(?:x[0-9a-f]?|u(?:\{[0-9a-f]*)?)?$/, '') : text
  const shown = whole.replace(/\\x([0-9a-f]{2})|\\u\{(10[0-9a-f]{4}|[0-9a-f]{3,5})\}/g, (_, byte, code) =>
    String.fromCodePoint(Number.parseInt(byte ?? code, 16)),
  )
  return { text: shown, isCut }
}
