/**
 * Everything that the commands print goes through here: text for people on a terminal, JSON for programs, both without the
 * passwords of URLs. What is cut to a length loses them before: a piece of one is no URL any more.
 */
import type { HeadgateError } from '../core/errors.ts'
import { printable, visibleLines } from '../core/printable.ts'
import { jsonWithoutSecrets, withoutSecrets } from '../core/without-secrets.ts'

export { plural } from '../core/plural.ts'

export function print(text: string): void {
  process.stdout.write(`${withoutSecrets(text)}\n`)
}

/** Files byte for byte, which nothing may be left out of, but on a terminal. */
export function printExactly(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? visibleLines(text) : text}\n`)
}

/** Progress and remarks go to stderr, so that stdout stays what was asked for. */
export function note(text: string): void {
  process.stderr.write(`${withoutSecrets(text)}\n`)
}

export function printJson(value: unknown): void {
  process.stdout.write(`${jsonWithoutSecrets(value)}\n`)
}

/** A column that others follow must leave them room. */
const MAX_CELL_LENGTH = 100
const MAX_LAST_CELL_LENGTH = 400

/** Rows in aligned columns, each cell one printable line. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [header, ...rows].map((row) =>
    row.map((cell, column) =>
      printable(withoutSecrets(cell), column === header.length - 1 ? MAX_LAST_CELL_LENGTH : MAX_CELL_LENGTH),
    ),
  )
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

type Colour = 'red' | 'green' | 'yellow' | 'bold' | 'dim'
const CODES: Record<Colour, number> = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 }

/** Colour where the stream is a terminal only, and never where NO_COLOR is set (no-color.org). */
export function colour(
  name: Colour,
  text: string,
  stream: { readonly isTTY?: boolean } = process.stdout,
): string {
  const wanted = stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
  return wanted ? `\x1b[${CODES[name]}m${text}\x1b[0m` : text
}

/** `headgate: what and why`, then the fix. One message is one line unless it lists several problems. */
export function printError(error: HeadgateError): void {
  const [first = '', ...rest] = withoutSecrets(error.message).split('\n')
  note(`headgate: ${printable(first, 500)}`)
  for (const line of rest) note(`  ${printable(line, 500)}`)
  if (error.hint !== undefined) note(`  hint: ${printable(withoutSecrets(error.hint), 500)}`)
}

/** As Markdown: names come from outside, and nothing in a cell may end it, or be more than text. */
export function markdown(cell: string): string {
  return printable(cell, 200).replace(/[\\`*_{}[\]<>|#~!]/g, '\\$&')
}
