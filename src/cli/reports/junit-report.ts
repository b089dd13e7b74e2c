/** The report as JUnit XML: one test case for each check. Exceptions and notes pass, and stand in the output. */
import type { Finding } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { printable } from '../../core/printable.ts'
import { type JunitCase, junitXml } from './junit-xml.ts'

export function junitReport({ checks, findings, checkedAt, verdict }: AuditReport): string {
  return junitXml({
    name: 'headgate verify',
    timestamp: checkedAt,
    cases: checks.map((check) => testCase(check, findings)),
    output: printable(verdict, 500),
  })
}

function testCase(check: Check, findings: readonly Finding[]): JunitCase {
  const { rule, says, unchecked } = check
  const own = findings.filter((finding) => finding.rule === rule)
  const violations = own.filter((finding) => finding.grade === 'violation')
  const others = own.filter((finding) => finding.grade !== 'violation')
  const [first] = violations
  const text = (list: readonly Finding[]) => list.map(line).join('\n')
  return {
    name: `${rule}: ${says}`,
    className: 'headgate.verify',
    ...(isSkipped(check) ? { skipped: `not checked: ${printable(unchecked ?? '', 300)}` } : {}),
    ...(first === undefined
      ? {}
      : { failure: { message: printable(first.found, 300), text: text(violations) } }),
    ...(others.length === 0 ? {} : { output: text(others) }),
  }
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
