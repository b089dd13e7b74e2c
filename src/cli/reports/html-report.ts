/** The report as one HTML file: no script, nothing from elsewhere, readable on paper. */

import { shownRemote } from '../../app/clone/shown-remote.ts'
import type { AuditedMove } from '../../audit/audited-move.ts'
import type { Finding, Grade } from '../../audit/finding.ts'
import type { AuditReport, Check } from '../../audit/report.ts'
import { isZeroOid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { escapeMarkup } from './markup.ts'
import { timeline } from './timeline.ts'

/** What a browser still shows at once; the timeline and the counts are of all. */
const MAX_ROWS = 2000

export function htmlReport(report: AuditReport): string {
  const { repository, remote, checkedAt, head, records, sealKey, checks, findings, moves, verdict } = report
  const title = `headgate verify: ${repository ?? shownRemote(remote)}`
  const facts: readonly (readonly [string, string])[] = [
    ['Repository', repository ?? 'no policy could be read'],
    ['Remote', shownRemote(remote)],
    ['Checked', checkedAt],
    ['Records', `${head.seq}${records.before === 0 ? '' : ` (${records.before} of them verified before)`}`],
    ['Head', head.hash || 'unreadable'],
    [
      'Seal key',
      sealKey === null ? 'none' : `${sealKey.fingerprint}${sealKey.isVouched ? '' : ' (as the ledger says)'}`,
    ],
    ...(report.since === null
      ? []
      : [['Since', `${report.since}; older violations: ${report.earlier?.violations ?? 0}`] as const]),
  ]
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${text(title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    `<header class="${report.outcome}"><p class="word">${WORDS[report.outcome]}</p><h1>${text(repository ?? remote)}</h1><p class="verdict">${text(verdict)}</p></header>`,
    '<main>',
    `<dl>${facts.map(([name, value]) => `<div><dt>${text(name)}</dt><dd>${text(value)}</dd></div>`).join('')}</dl>`,
    '<section><h2>Timeline</h2>',
    timeline(moves),
    '</section>',
    `<section><h2>Findings</h2>${findings.length === 0 ? '<p>None.</p>' : worstFirst(findings).map(findingBlock).join('\n')}</section>`,
    `<section><h2>Checks</h2><table><thead><tr><th>Check</th><th>What must be true</th><th>Result</th></tr></thead><tbody>${checks.map(checkRow).join('\n')}</tbody></table></section>`,
    ...(report.unchecked.length === 0
      ? []
      : [
          `<section><h2>Not checked</h2><ul>${report.unchecked.map((what) => `<li>${text(what)}</li>`).join('')}</ul></section>`,
        ]),
    `<section><h2>Moves</h2>${moveTable(moves)}</section>`,
    '</main>',
    '</body>',
    '</html>',
  ].join('\n')
}

const GRADES: readonly Grade[] = ['violation', 'exception', 'note']

/** The first page, printed, has what matters. */
function worstFirst(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => GRADES.indexOf(a.grade) - GRADES.indexOf(b.grade))
}

const WORDS = { ok: 'Verified', refused: 'Rules were broken', data: 'The ledger is broken' } as const

function text(value: string): string {
  return escapeMarkup(printable(value, 2000))
}

function findingBlock({ grade, rule, record, at, commit, key, found, fix }: Finding): string {
  const about = [
    record === null ? '' : `record ${record}`,
    at ?? '',
    commit === null ? '' : `commit ${commit}`,
    key === null ? '' : `key ${key}`,
  ].filter((part) => part !== '')
  return `<article class="${grade}"><h3><span>${grade}</span> ${text(rule)}</h3><p>${text(found)}</p><p class="about">${text(about.join(' · '))}</p><p class="fix">${text(fix)}</p></article>`
}

const RESULTS: Readonly<Record<Check['grade'], string>> = {
  ok: 'holds',
  note: 'holds, with notes',
  exception: 'exceptions',
  violation: 'violated',
  unchecked: 'not checked',
}

function checkRow({ rule, says, grade, unchecked, violations, exceptions, notes }: Check): string {
  const counts = violations + exceptions + notes
  const result = `${RESULTS[grade]}${counts === 0 ? '' : ` (${counts})`}`
  const open = unchecked === null ? '' : `<br>not checked: ${text(unchecked)}`
  return `<tr class="${grade}"><td><code>${text(rule)}</code></td><td>${text(says)}${open}</td><td>${result}</td></tr>`
}

function moveTable(moves: readonly AuditedMove[]): string {
  if (moves.length === 0) return '<p>None.</p>'
  const shown = moves.slice(-MAX_ROWS).toReversed()
  const more = moves.length > shown.length ? `<p>The last ${shown.length} of ${moves.length}.</p>` : ''
  const rows = shown.map(
    ({ record, at, kind, from, to, by, outcome, waived, passed }) =>
      `<tr class="${kind}"><td>${record}</td><td>${text(at)}</td><td>${text(kind)}${waived.length === 0 ? '' : ` (waives ${text(waived.join(', '))})`}${passed ? '' : ' (only evaluated)'}</td><td><code>${isZeroOid(from) ? '-' : shortOid(from)} → ${isZeroOid(to) ? '-' : shortOid(to)}</code></td><td>${text(by)}</td><td>${text(outcome)}</td></tr>`,
  )
  return `${more}<table><thead><tr><th>Record</th><th>When</th><th>Move</th><th>From → to</th><th>By</th><th>Outcome</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

const STYLE = `
:root{--ok:#1a6b3c;--bad:#a3201d;--warn:#8a5a00;--line:#d8dce0;--soft:#f5f6f7;--ink:#1c2024;--dim:#5b6570}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:#fff}
header{color:#fff;background:var(--ok);padding:1.5rem max(1.5rem,calc(50vw - 34rem))}
header.refused,header.data{background:var(--bad)}
header p,header h1{margin:0}.word{font-weight:700;text-transform:uppercase;letter-spacing:.06em}
header h1{font-size:1.7rem;overflow-wrap:anywhere}.verdict{font:13px/1.5 ui-monospace,monospace;opacity:.9;overflow-wrap:anywhere}
main{max-width:71rem;margin:0 auto;padding:0 1.5rem 3rem}
h2{font-size:1.15rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.6rem 1.5rem;margin:1.5rem 0 0}
dt{color:var(--dim);font-size:.8rem}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:.9rem}th{text-align:left;color:var(--dim);font-weight:600}
th,td{padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
code{font:.9em ui-monospace,monospace}
tr.violation td:last-child{color:var(--bad);font-weight:700}tr.exception td:last-child{color:var(--warn);font-weight:600}
tr.ok td:last-child{color:var(--ok)}tr.unchecked td{color:var(--dim)}
tr.override td{background:#fdf3e0}tr.rollback td{background:#fbeceb}
article{border-left:4px solid var(--dim);background:var(--soft);padding:.6rem 1rem;margin:.7rem 0;break-inside:avoid}
article.violation{border-color:var(--bad)}article.exception{border-color:var(--warn)}
article h3{margin:0;font-size:.95rem}article h3 span{text-transform:uppercase;font-size:.75rem;letter-spacing:.05em}
article.violation h3{color:var(--bad)}article.exception h3{color:var(--warn)}
article p{margin:.2rem 0;overflow-wrap:anywhere}.about{color:var(--dim);font:12px/1.5 ui-monospace,monospace}.fix::before{content:"Do: ";font-weight:600}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}
.legend{color:var(--dim);font-size:.85rem;margin:.3rem 0}
@media print{body{font-size:11px}header,header.refused,header.data{color:#000;background:none;border-bottom:3px solid #000;padding:0 0 .5rem}main{max-width:none;padding:0}thead{display:table-header-group}tr{break-inside:avoid}article,tr td{background:none!important}}
`
