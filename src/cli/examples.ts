/** Examples for the end of a command's help: a comment, then lines to paste. yargs' own would be broken at 80 columns. */
export function examples(...entries: readonly (readonly [comment: string, ...command: string[]])[]): string {
  return [
    'Examples:',
    ...entries.flatMap(([comment, ...lines]) => [`  # ${comment}`, ...lines.map((line) => `  ${line}`)]),
  ].join('\n')
}
