/** What `headgate doctor` prints. */
import type { DiagnoseEvent, DiagnoseResult } from '../../app/doctor/diagnose.ts'
import type { Diagnosis } from '../../app/doctor/diagnosis.ts'
import { printable } from '../../core/printable.ts'
import { colour, plural, print, printError, printJson } from '../output.ts'
import { wrapText } from '../wrap-text.ts'

export function tellDoctor({ error }: DiagnoseEvent): void {
  printError(error)
}

export function doctorJson({ path, kind, healthy, findings, fixed }: DiagnoseResult): void {
  const show = ({ repair, ...finding }: Diagnosis) => ({ ...finding, fixable: repair !== undefined })
  printJson({ repository: path, kind, healthy, findings: findings.map(show), fixed: fixed.map(show) })
}

/** `mayFix`: whether what could be put right was left as it is. */
export function doctorText({ path, kind, healthy, findings, fixed }: DiagnoseResult, mayFix: boolean): void {
  for (const { what } of fixed) print(`${colour('green', 'fixed')}    ${printable(what, 500)}`)
  for (const { level, what, fix } of findings) {
    const [first = '', ...rest] = wrapText(`${level.padEnd(8)} ${printable(what, 500)}`)
    print(`${colour(level === 'problem' ? 'red' : 'yellow', first.slice(0, 8))}${first.slice(8)}`)
    for (const line of rest) print(line)
    // Commands stay in one piece.
    print(`  fix: ${printable(fix, 500)}`)
  }
  const subject = `this ${kind === 'server' ? 'guarded repository' : 'clone'}, ${printable(path, 500)},`
  if (healthy) {
    print(`${subject} is healthy`)
    return
  }
  const problems = findings.filter(({ level }) => level === 'problem')
  const safe = problems.filter(({ repair }) => repair !== undefined).length
  print(`${subject} has ${plural(problems.length, 'problem')}`)
  if (safe > 0 && mayFix)
    print(`  headgate doctor --fix puts ${safe === problems.length ? 'them' : `${safe} of them`} right`)
}
