/**
 * What people read. Plain ASCII text for a terminal that may belong to a tired person: what happened, why, and the
 * command that fixes it. git puts `remote: ` before each line, so prose is wrapped to leave room for that in 80
 * columns; commands (lines that start with two spaces) stay whole so that they can be pasted.
 */
import { isZeroOid, type Oid, shortOid } from './oid.ts'
import { escapeUnsafe, printable, shellWord } from './printable.ts'
import type { MoveKind, Objection } from './verdict.ts'

const WIDTH = 71

/** One ref of a push with everything that speaks against it. */
export type RefReport = {
  readonly ref: string
  readonly from: Oid
  readonly to: Oid
  /** What the change is, e.g. `a promotion by alice`. */
  readonly what: string
  readonly objections: readonly Objection[]
}

/** The whole text for a push that is refused. `others` are refs of the same push that nothing speaks against. */
export function explainRefusal(reports: readonly RefReport[], others: readonly string[]): string {
  const blamed = reports.filter((report) => report.objections.length > 0)
  return [
    'headgate: push refused',
    ...blamed.flatMap((report) => ['', ...explainRef(report)]),
    '',
    ...explainRest(blamed, others),
  ].join('\n')
}

/** The text for a push that lands although rules object: by override, or because headgate only evaluates. */
export function explainException(title: string, report: RefReport, why: readonly string[]): string {
  const stars = '*'.repeat(WIDTH)
  const prose = [title, ...(why.length === 0 ? [] : [why.join(' ')])].flatMap((text) => wrap(text, ''))
  return [stars, ...prose, '', ...explainRef(report), stars].join('\n')
}

/** One ref, then each rule with what was found and what to do. */
export function explainRef({ ref, from, to, what, objections }: RefReport): string[] {
  return [
    // A deletion is neither promotion nor rollback.
    ...wrap(
      `${shortRef(ref)}: ${span(from, to)}${what === '' || isZeroOid(to) ? '' : `, ${what}`}`,
      '',
      '  ',
    ),
    ...objections.flatMap(({ rule, found, fix }) => [
      `  [${rule}]`,
      ...found.flatMap((line) => wrap(line, '    ', line.startsWith(' ') ? '    ' : '      ')),
      ...fix.flatMap((line, index) => wrap(line, index === 0 ? '    fix: ' : '         ', '         ')),
    ]),
  ]
}

/** A move's name in a sentence. */
export function nameMove(kind: MoveKind): string {
  return kind === 'override' ? 'an override' : `a ${kind}`
}

export function shortRef(ref: string): string {
  return printable(ref.replace(/^refs\/heads\//, ''), 120)
}

/** From where to where, in short ids. */
export function span(from: Oid, to: Oid): string {
  if (isZeroOid(to)) return `delete${isZeroOid(from) ? '' : ` ${shortOid(from)}`}`
  return isZeroOid(from) ? `create at ${shortOid(to)}` : `${shortOid(from)} -> ${shortOid(to)}`
}

function explainRest(blamed: readonly RefReport[], others: readonly string[]): string[] {
  const moved = 'git takes or refuses a push as a whole, so nothing was moved.'
  if (others.length === 0) return wrap(moved, '')
  const cause = blamed.map((report) => shortRef(report.ref)).join(', ')
  const listed = others.slice(0, 5).map((ref) => shellWord(ref.replace(/^refs\/heads\/(?=\w)/, '')))
  const more = others.length > listed.length ? ' ...' : ''
  return [
    ...wrap(
      `${moved} Only ${cause} ${blamed.length === 1 ? 'was' : 'were'} the cause; push the rest by itself:`,
      '',
    ),
    `  git push origin ${listed.join(' ')}${more}`,
  ]
}

/**
 * Breaks prose at spaces. Lines that start with a space are commands or lists and are only indented. Whatever comes in,
 * no line that goes out can steer a terminal.
 */
function wrap(raw: string, first: string, rest = first): string[] {
  const text = escapeUnsafe(raw)
  if (text.startsWith(' ')) return [rest + text]
  const lines: string[] = []
  let line = first
  let empty = true
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = rest
      empty = true
    }
    line += empty ? word : ` ${word}`
    empty = false
  }
  lines.push(line)
  return lines
}
