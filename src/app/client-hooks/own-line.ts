/**
 * One line of headgate's in a file of the project's; all else is in files of headgate's own. The line ends with a comment,
 * by which it is found again, and which takes the CR that git may check such a file out with (`core.autocrlf`): no shell would.
 */

const MARK = '# by headgate init'
const REPLACES = ', in place of: '

/** Older versions put several lines between these two. */
const BLOCK_BEGIN = '# headgate: begin'
const BLOCK_END = '# headgate: end'

/** `line` as ours; `replaced` is the line that was there before, and comes back when ours goes. */
export function ownLine(line: string, replaced?: string): string {
  return `${line} ${MARK}${replaced === undefined ? '' : `${REPLACES}${replaced}`}`
}

/** The text with `line` before the line number `at`, from 0, ended as the text's own lines are. */
export function withLine(text: string, at: number, line: string): string {
  const lines = text.split('\n')
  lines.splice(at, 0, lines[0]?.endsWith('\r') ? `${line}\r` : line)
  return lines.join('\n')
}

/** The text without any line of ours, of this version's or an older one's. */
export function withoutOurs(text: string): string {
  return withoutBlock(text)
    .split('\n')
    .flatMap((line) => {
      const mark = line.indexOf(` ${MARK}`)
      if (mark === -1) return [line]
      const rest = line.slice(mark + 1 + MARK.length)
      if (rest.trim() === '') return []
      return rest.startsWith(REPLACES) ? [rest.slice(REPLACES.length)] : [line]
    })
    .join('\n')
}

/** Whether an older version's lines are there: they are a syntax error where they end with CR LF. */
export function hasBlock(text: string): boolean {
  return withoutBlock(text) !== text
}

/** The first line of such a block where it stood in place of another. */
const BLOCK_REPLACES = '# in place of: '

function withoutBlock(text: string): string {
  const kept: string[] = []
  let inside = false
  for (const line of text.split('\n')) {
    if (line.trim() === BLOCK_BEGIN) inside = true
    if (!inside) kept.push(line)
    else if (line.startsWith(BLOCK_REPLACES)) kept.push(line.slice(BLOCK_REPLACES.length))
    if (line.trim() === BLOCK_END) inside = false
  }
  // A block without an end is nothing that we wrote.
  return inside ? text : kept.join('\n')
}
