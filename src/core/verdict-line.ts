/**
 * The last line of an answer that lets nothing pass, for programs:
 *
 *     headgate: verdict 1 refused RULE[,RULE...]
 *     headgate: verdict 1 undecided
 *
 * The number is the version of this line. What stands before it is for people and may be worded anew at any time. No line
 * at all means that headgate's pre-receive did not answer: another hook did, or nobody.
 */
import type { Objection, RuleName } from './verdict.ts'

export type VerdictLine =
  | { readonly verdict: 'refused'; readonly rules: readonly string[] }
  /** The server could not tell; the same push may pass later. */
  | { readonly verdict: 'undecided' }

export function refusedLine(objections: readonly Objection[]): string {
  const rules: RuleName[] = [...new Set(objections.map(({ rule }) => rule))]
  return `headgate: verdict 1 refused ${rules.join(',')}`
}

const LINE = /^headgate: verdict 1 (?:refused ([a-z-]+(?:,[a-z-]+)*)|undecided)$/

/** What the last such line of an answer says; null where there is none, or only one of a later version. */
export function parseVerdict(lines: readonly string[]): VerdictLine | null {
  const found = lines.map((line) => LINE.exec(line)).findLast((match) => match !== null)
  if (found === null || found === undefined) return null
  const [, rules] = found
  return rules === undefined ? { verdict: 'undecided' } : { verdict: 'refused', rules: rules.split(',') }
}

export function isVerdictLine(line: string): boolean {
  return line.startsWith('headgate: verdict ')
}
