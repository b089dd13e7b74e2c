/**
 * What a server said about a submission that it refused, without what is noise to whoever ran a command: the name of the
 * inbox ref, git's own words about the push, and the line breaks that the server made.
 */
export type ServerWords = {
  /** The server could not tell; the same push may pass later. */
  readonly undecided: boolean
  /** The refusal is headgate's own. Another hook may refuse after headgate has recorded the statement. */
  readonly judged: boolean
  readonly lines: readonly string[]
  readonly hint: string | undefined
}

/** `said`: the server's lines, without the `remote: ` that git puts before each. */
export function serverWords(said: readonly string[]): ServerWords {
  const undecided = said.some((line) => /^headgate: (?:no decision|guarded refs are refused)/.test(line))
  const found: string[] = []
  const fix: string[] = []
  let part: string[] | null = null
  for (const line of said) {
    if (/^ {2}\[[a-z-]+\]$/.test(line)) part = found
    else if (part !== null && /^ {4}fix: /.test(line)) part = fix
    else if (!line.startsWith('    ')) part = null
    if (part !== null && line.startsWith('    ')) part.push(line.trim().replace(/^fix: /, ''))
  }
  if (found.length > 0) {
    return {
      undecided,
      judged: true,
      lines: [found.join(' ')],
      hint: fix.length === 0 ? undefined : fix.join(' '),
    }
  }
  // Somebody else's hook refused, or headgate itself has a problem: their words are all there is.
  return { undecided, judged: false, lines: said.filter((line) => line !== ''), hint: undefined }
}
