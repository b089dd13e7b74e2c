/** The report for a terminal and for tickets: what was checked, what was found, one line of verdict at the end. */

import type { Finding } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { printable } from '../../core/printable.ts'
import { colour, plural, table } from '../output.ts'
import { shownRemote } from '../shown-remote.ts'

export function textReport(report: AuditReport): string {
  const { repository, remote, records, head, sealKey, checks, findings, unchecked } = report
  const before = records.before === 0 ? '' : `, ${records.before} of them verified before`
  const lines = [
    `${repository ?? 'no policy'}, the ledger of ${shownRemote(remote)}: ${plural(head.seq, 'record')}${before}`,
    `  head      ${head.hash || 'unreadable'}`,
    ...(sealKey === null
      ? []
      : [
          `  seal key  ${sealKey.fingerprint}${sealKey.isVouched ? '' : ' (as the ledger itself says; compare it with the server admin, then: --trust FILE)'}`,
        ]),
    '',
    ...checks.map(checkLine),
    ...(report.about === null ? [] : ['', aboutTable(report.about)]),
    ...(findings.length === 0 ? [] : ['']),
    ...findings.flatMap(findingLines),
    ...(unchecked.length === 0
      ? []
      : ['', ...unchecked.map((what) => `not checked: ${printable(what, 300)}`)]),
    '',
    colour(report.outcome === 'ok' ? 'green' : 'red', report.verdict),
  ]
  return lines.join('\n')
}

function aboutTable(about: NonNullable<AuditReport['about']>): string {
  if (about.length === 0) return 'the ledger says nothing about this commit'
  const rows = about.map(({ record, at, kind, url, by, signer }) => [
    String(record),
    at,
    url === null ? kind : `${kind} at ${url}`,
    by,
    signer ?? 'nobody who was trusted',
  ])
  return table(['record', 'at', 'kind', 'pushed by', 'signed by'], rows)
}

const TONES = { ok: 'green', note: 'green', exception: 'yellow', violation: 'red', unchecked: 'dim' } as const
const MARKS: Readonly<Record<Check['grade'], string>> = {
  ok: 'ok',
  note: 'ok',
  exception: 'look',
  violation: 'FAIL',
  unchecked: '-',
}

function checkLine({ rule, says, grade }: Check): string {
  const text = grade === 'unchecked' ? 'not checked' : says
  return `  ${colour(TONES[grade], MARKS[grade].padEnd(4))}  ${rule.padEnd(12)}  ${text}`
}

function findingLines({ grade, rule, record, at, commit, key, found, fix }: Finding): string[] {
  const about = [
    record === null ? '' : `record ${record}`,
    at === null ? '' : printable(at, 40),
    commit === null ? '' : `commit ${printable(commit, 64)}`,
  ].filter((part) => part !== '')
  const tone = grade === 'violation' ? 'red' : grade === 'exception' ? 'yellow' : 'dim'
  return [
    `${colour(tone, grade)} [${rule}]${about.length === 0 ? '' : ` ${about.join(', ')}`}`,
    `  ${printable(found, 1500)}`,
    ...(key === null ? [] : [`  key: ${printable(key, 100)}`]),
    `  do:  ${printable(fix, 500)}`,
  ]
}
