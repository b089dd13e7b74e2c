/** The report for a terminal and for tickets: what was checked, what was found, one line of verdict at the end. */

import { shownRemote } from '../../app/clone/shown-remote.ts'
import type { Finding } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { printable } from '../../core/printable.ts'
import { colour, plural, table } from '../output.ts'
import { wrapText } from '../wrap-text.ts'

export function textReport(report: AuditReport): string {
  const { repository, remote, records, head, sealKey, checks, findings, unchecked } = report
  const before = records.before === 0 ? '' : `, ${records.before} of them verified before`
  const lines = [
    ...wrapText(
      `${repository ?? 'no policy'}, the ledger of ${shownRemote(remote)}: ${plural(head.seq, 'record')}${before}`,
    ),
    `  head      ${head.hash || 'unreadable'}`,
    ...(sealKey === null
      ? []
      : [
          `  seal key  ${sealKey.fingerprint}`,
          ...(sealKey.isVouched
            ? []
            : indented(
                '            ',
                '(as the ledger itself says; compare it with the server admin, then: --trust FILE)',
              )),
        ]),
    '',
    ...checks.flatMap(checkLines),
    ...(report.about === null ? [] : ['', aboutTable(report.about)]),
    ...(findings.length === 0 ? [] : ['']),
    ...findings.flatMap(findingLines),
    ...(unchecked.length === 0
      ? []
      : ['', ...unchecked.flatMap((what) => indented('not checked: ', printable(what, 300)))]),
    '',
    colour(report.outcome === 'ok' ? 'green' : 'red', report.verdict),
  ]
  return lines.join('\n')
}

function aboutTable(about: NonNullable<AuditReport['about']>): string {
  if (about.length === 0) return 'the ledger says nothing about this commit'
  const rows = about.map(({ record, at, kind, by, signer }) => [
    String(record),
    at,
    kind,
    by,
    signer ?? 'nobody who was trusted',
  ])
  const runs = about.flatMap(({ record, url }) =>
    url === null ? [] : [`the run in record ${record} was made at ${printable(url, 200)}`],
  )
  return [table(['record', 'at', 'kind', 'pushed by', 'signed by'], rows), ...runs].join('\n')
}

const TONES = { ok: 'green', note: 'green', exception: 'yellow', violation: 'red', unchecked: 'dim' } as const
const MARKS: Readonly<Record<Check['grade'], string>> = {
  ok: 'ok',
  note: 'ok',
  exception: 'look',
  violation: 'FAIL',
  unchecked: '-',
}

function checkLines({ rule, says, grade }: Check): string[] {
  const text = grade === 'unchecked' ? 'not checked' : says
  const mark = MARKS[grade].padEnd(4)
  const [first = '', ...rest] = indented(`  ${mark}  ${rule.padEnd(12)}  `, text)
  return [`  ${colour(TONES[grade], mark)}${first.slice(2 + mark.length)}`, ...rest]
}

/**
 * Prose after a label, in 80 columns: what follows stands below where it begins. A command at its end has a line of its own,
 * in one piece, to be pasted.
 */
function indented(label: string, text: string): string[] {
  const [, prose = text, command = ''] = /^(.{20,}?:) ((?:headgate|git) .+)$/.exec(text) ?? []
  const isLong = label.length + text.length > WIDTH
  const parts =
    isLong && command !== ''
      ? [...wrapText(prose, WIDTH - label.length), command]
      : wrapText(text, WIDTH - label.length)
  const margin = ' '.repeat(label.length)
  return parts.map((line, index) => (index === 0 ? label : margin) + line.trimStart())
}

const WIDTH = 80

function findingLines({ grade, rule, record, at, commit, key, found, fix }: Finding): string[] {
  const about = [
    record === null ? '' : `record ${record}`,
    at === null ? '' : printable(at, 40),
    commit === null ? '' : `commit ${printable(commit, 64)}`,
  ].filter((part) => part !== '')
  const tone = grade === 'violation' ? 'red' : grade === 'exception' ? 'yellow' : 'dim'
  const [heading = '', ...more] = wrapText(
    `${grade} [${rule}]${about.length === 0 ? '' : ` ${about.join(', ')}`}`,
  )
  return [
    colour(tone, grade) + heading.slice(grade.length),
    ...more,
    ...indented('  ', printable(found, 1500)),
    ...(key === null ? [] : [`  key: ${printable(key, 100)}`]),
    ...indented('  do:  ', printable(fix, 500)),
  ]
}
