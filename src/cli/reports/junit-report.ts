/** The report as JUnit XML: one test case for each check. Exceptions and notes pass, and stand in the output. */
import type { Finding } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { printable } from '../../core/printable.ts'
import { escapeMarkup } from './markup.ts'

export function junitReport({ checks, findings, checkedAt, verdict }: AuditReport): string {
  const failures = checks.filter(({ violations }) => violations > 0).length
  const skipped = checks.filter((check) => isSkipped(check)).length
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

function testCase(check: Check, findings: readonly Finding[]): string {
  const { rule, says, unchecked } = check
  const own = findings.filter((finding) => finding.rule === rule)
  const open = `    <testcase classname="headgate.verify" name="${escapeMarkup(`${rule}: ${says}`)}">`
  const text = (list: readonly Finding[]) => escapeMarkup(list.map(line).join('\n'))
  const violations = own.filter((finding) => finding.grade === 'violation')
  const others = own.filter((finding) => finding.grade !== 'violation')
  const [first] = violations
  return [
    open,
    ...(isSkipped(check)
      ? [`      <skipped message="${escapeMarkup(`not checked: ${printable(unchecked ?? '', 300)}`)}"/>`]
      : []),
    ...(first === undefined
      ? []
      : [
          `      <failure message="${escapeMarkup(printable(first.found, 300))}">${text(violations)}</failure>`,
        ]),
    ...(others.length === 0 ? [] : [`      <system-out>${text(others)}</system-out>`]),
    '    </testcase>',
  ].join('\n')
}

/** A case that failed is not skipped as well, whatever else was not checked. */
function isSkipped({ violations, unchecked }: Check): boolean {
  return violations === 0 && unchecked !== null
}

function line({ grade, record, commit, key, found, fix }: Finding): string {
  const about = [
    record === null ? '' : `record ${record}`,
    commit === null ? '' : `commit ${commit}`,
    key ?? '',
  ].filter((part) => part !== '')
  return printable(`${grade}: ${about.join(', ')}: ${found}. Do: ${fix}`, 2500)
}
