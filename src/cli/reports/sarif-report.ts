/** The report as SARIF 2.1.0 (OASIS), which code scanning services show. */

import type { Finding } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { jsonText, printable } from '../../core/printable.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import { VERSION } from '../../core/version.ts'

const LEVELS = { violation: 'error', exception: 'warning', note: 'note' } as const

export function sarifReport(report: AuditReport): string {
  const { checks, findings, outcome, verdict } = report
  const rules = checks.map(({ rule, says }) => ({
    id: `headgate/${rule}`,
    shortDescription: { text: says },
  }))
  return jsonText(
    {
      $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
      version: '2.1.0',
      runs: [
        {
          tool: { driver: { name: 'headgate verify', version: VERSION, rules } },
          invocations: [
            {
              executionSuccessful: true,
              exitCodeDescription: printable(verdict, 500),
              toolExecutionNotifications: checks.flatMap(notificationOf),
            },
          ],
          results: findings.map((finding) => resultOf(finding, rules)),
          properties: {
            outcome,
            head: report.head,
            repository: report.repository,
            since: report.since,
            earlier: report.earlier,
          },
        },
      ],
    },
    2,
  )
}

/** What was not checked is no result: results are about what is wrong. */
function notificationOf({ rule, unchecked }: Check) {
  if (unchecked === null) return []
  const text = `${rule} was not checked: ${printable(unchecked, 500)}`
  return [{ level: 'note', message: { text }, associatedRule: { id: `headgate/${rule}` } }]
}

function resultOf(finding: Finding, rules: readonly { readonly id: string }[]) {
  const { grade, rule, record, at, commit, key, found, fix } = finding
  const name = record === null ? 'ledger' : `record ${record}`
  const ruleId = `headgate/${rule}`
  return {
    ruleId,
    ruleIndex: rules.findIndex(({ id }) => id === ruleId),
    level: LEVELS[grade],
    message: { text: `${printable(found, 1500)}. Do: ${printable(fix, 500)}` },
    locations: [
      {
        // A record is no file of the tree that is scanned; services that insist on one show the ref's name.
        physicalLocation: {
          artifactLocation: { uri: LEDGER_REF },
          region: { startLine: Math.max(1, record ?? 1) },
        },
        logicalLocations: [{ name, kind: 'element', fullyQualifiedName: `${LEDGER_REF}/${name}` }],
      },
    ],
    properties: { record, at, commit, key },
  }
}
