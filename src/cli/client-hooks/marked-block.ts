/** Lines of ours in a file of somebody else's, between two comments that name headgate. */

const BEGIN = '# headgate: begin'
const END = '# headgate: end'

/** The lines as a block; `indent` goes before each of them. */
export function blockOf(lines: readonly string[], indent = ''): string {
  return [BEGIN, ...lines, END].map((line) => `${indent}${line}\n`).join('')
}

export function hasBlock(text: string): boolean {
  return text.split('\n').some((line) => line.trim() === BEGIN)
}

/** The text without the block and all its lines. */
export function withoutBlock(text: string): string {
  const kept: string[] = []
  let inside = false
  for (const line of text.split('\n')) {
    if (line.trim() === BEGIN) inside = true
    if (!inside) kept.push(line)
    if (line.trim() === END) inside = false
  }
  // A block without an end is nothing that we wrote.
  return inside ? text : kept.join('\n')
}
