/** The report as JUnit XML: one test case for each check. Exceptions and notes pass, and stand in the output. */
import type { Finding } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { printable } from '../../core/printable.ts'
import { escapeMarkup } from './markup.ts'

export function junitReport({ checks, findings, checkedAt, verdict }: AuditReport): string {
  const failures = checks.filter(({ violations }) => violations > 0).length
  const skipped = checks.filter(({ grade }) => grade === 'unchecked').length
  const head = `tests="${checks.length}" failures="${failures}" errors="0" skipped="${skipped}"`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="headgate verify" ${head}>`,
    `  <testsuite name="headgate verify" ${head} timestamp="${checkedAt.replace('Z', '')}">`,
    ...checks.map((check) => testCase(check, findings)),
    `    <system-out>${escapeMarkup(printable(verdict, 500))}</system-out>`,
    '  </testsuite>',
    '</testsuites>',
  ].join('\n')
}

function testCase({ rule, says, grade }: Check, findings: readonly Finding[]): string {
  const own = findings.filter((finding) => finding.rule === rule)
  const open = `    <testcase classname="headgate.verify" name="${escapeMarkup(`${rule}: ${says}`)}">`
  const text = (list: readonly Finding[]) => escapeMarkup(list.map(line).join('\n'))
  const violations = own.filter((finding) => finding.grade === 'violation')
  const others = own.filter((finding) => finding.grade !== 'violation')
  const [first] = violations
  return [
    open,
    ...(grade === 'unchecked' ? ['      <skipped message="not checked"/>'] : []),
    ...(first === undefined
      ? []
      : [
          `      <failure message="${escapeMarkup(printable(first.found, 300))}">${text(violations)}</failure>`,
        ]),
    ...(others.length === 0 ? [] : [`      <system-out>${text(others)}</system-out>`]),
    '    </testcase>',
  ].join('\n')
}

function line({ grade, record, commit, key, found, fix }: Finding): string {
  const about = [
    record === null ? '' : `record ${record}`,
    commit === null ? '' : `commit ${commit}`,
    key ?? '',
  ].filter((part) => part !== '')
  return printable(`${grade}: ${about.join(', ')}: ${found}. Do: ${fix}`, 2500)
}
