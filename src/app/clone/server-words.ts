/**
 * What a server said of a push that it refused, without what is noise to the user of a command: the name of the inbox
 * ref, git's own words about the push, and the line breaks that the server made. What it decided is read from its last line
 * (core/verdict-line.ts) and from nothing else.
 */
import { isVerdictLine, parseVerdict } from '../../core/verdict-line.ts'

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
  const verdict = parseVerdict(said)?.verdict ?? formerVerdict(said)
  const undecided = verdict === 'undecided'
  const judged = verdict === 'refused'
  const words = said.filter((line) => line !== '' && !isVerdictLine(line))
  const { found, fix } = judged ? reasonsIn(words) : { found: [], fix: [] }
  // Another hook refused, or headgate itself has a problem: there are no other words than theirs.
  if (found.length === 0) return { undecided, judged, lines: words, hint: undefined }
  return { undecided, judged, lines: [found.join(' ')], hint: fix.length === 0 ? undefined : fix.join(' ') }
}

/** Servers whose hooks an earlier version installed have no line for programs; their words stay what they were. */
function formerVerdict(said: readonly string[]): 'refused' | 'undecided' | null {
  if (said.some((line) => /^headgate: guarded refs are refused while no decision/.test(line)))
    return 'undecided'
  return said.some((line) => line === 'headgate: push refused') ? 'refused' : null
}

/** What is below the names of rules, as it is laid out; where it is laid out otherwise, nothing is found. */
function reasonsIn(words: readonly string[]): { found: string[]; fix: string[] } {
  const found: string[] = []
  const fix: string[] = []
  let part: string[] | null = null
  for (const line of words) {
    if (/^ {2}\[[a-z-]+\]$/.test(line)) part = found
    else if (part !== null && /^ {4}fix: /.test(line)) part = fix
    else if (!line.startsWith('    ')) part = null
    if (part !== null && line.startsWith('    ')) part.push(line.trim().replace(/^fix: /, ''))
  }
  return { found, fix }
}
