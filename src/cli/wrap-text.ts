/** Breaks prose at spaces, to the width of a terminal. */
export function wrapText(text: string, width = 80): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = `  ${word}`
    } else line += line === '' ? word : ` ${word}`
  }
  return [...lines, line]
}
