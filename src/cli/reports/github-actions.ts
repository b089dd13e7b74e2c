/**
 * The two ways in which a step of GitHub Actions can say more than its log: workflow commands, which become annotations
 * of the run (`::error title=T::text`), and a summary in Markdown, appended to the file that GITHUB_STEP_SUMMARY names.
 */
import { appendFileSync } from 'node:fs'
import type { Environment } from '../../app/caller.ts'
import type { Oid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { GateRun } from '../../gate/run-gates.ts'
import { note } from '../output.ts'
import { GATE_COLUMNS, gateRows, outcomeWord, verdictLine, whyWords } from './gate-words.ts'

export function isGithubActions({ GITHUB_ACTIONS }: Environment): boolean {
  return GITHUB_ACTIONS === 'true'
}

/** Goes to stderr, which the runner reads, too: stdout may be JSON. */
export function annotate(run: GateRun): void {
  if (run.problem !== null) note(workflowCommand('error', `headgate: ${run.environment}`, run.problem))
  for (const gate of run.gates) {
    const word = outcomeWord(gate)
    if (word !== 'failed' && word !== 'warned') continue
    const level = word === 'failed' ? 'error' : 'warning'
    note(workflowCommand(level, `headgate: gate ${gate.name} ${word} on ${run.environment}`, whyWords(gate)))
  }
}

/** A summary that can't be written is no reason to lose the result of a run. */
export function summarize(run: GateRun, commit: Oid, { GITHUB_STEP_SUMMARY: file }: Environment): void {
  if (file === undefined || file === '') return
  try {
    appendFileSync(file, summaryText(run, commit))
  } catch (error) {
    note(`headgate: the step summary cannot be written: ${printable((error as Error).message)}`)
  }
}

function summaryText(run: GateRun, commit: Oid): string {
  const line = (cells: readonly string[]) => `| ${cells.map(markdown).join(' | ')} |`
  return [
    `### headgate: ${run.result}`,
    '',
    `${markdown(verdictLine(run, commit))} (${markdown(run.baseUrl)})`,
    ...(run.problem === null ? [] : ['', markdown(run.problem)]),
    '',
    line(GATE_COLUMNS),
    line(GATE_COLUMNS.map(() => '---')).replaceAll('\\', ''),
    ...gateRows(run).map(line),
    '',
    '',
  ].join('\n')
}

/** One printable line in which no character means anything to Markdown or HTML. */
function markdown(text: string): string {
  return printable(text, 500)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_{}[\]()#+!|~:@-]/g, '\\$&')
}

function workflowCommand(level: 'error' | 'warning', title: string, text: string): string {
  const data = (value: string) => printable(value, 500).replaceAll('%', '%25')
  const property = (value: string) => data(value).replaceAll(':', '%3A').replaceAll(',', '%2C')
  return `::${level} title=${property(title)}::${data(text)}`
}
