/** A run as one HTML file that needs nothing else: no script, no font, no request. */

import type { Oid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import { escapeUnsafe } from '../../core/printable.ts'
import type { GateOutcome, GateRun } from '../../gate/run-gates.ts'
import { GATE_COLUMNS, gateRows, outcomeWord, verdictLine } from './gate-words.ts'
import { escapeMarkup } from './markup.ts'

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --dim: #666; --ok: #17803d; --bad: #c02626; --warn: #a15c07; }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; --ok: #4ade80; --bad: #f87171; --warn: #fbbf24; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
header { border-left: .4rem solid var(--state); padding: .6rem 1.2rem; background: color-mix(in srgb, var(--state) 8%, transparent); }
h1 { font-size: 1.35rem; margin: 0; }
h1 span, .failed, .passed, .warned, .skipped { color: var(--state); }
header p { margin: .3rem 0 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .45rem 1.2rem .45rem 0; border-bottom: 1px solid var(--line); }
th { font-size: .85rem; font-weight: 600; color: var(--dim); }
td:first-child { font-weight: 600; min-width: 9rem; overflow-wrap: anywhere; }
td:nth-child(2), td:nth-child(4) { white-space: nowrap; }
td:nth-child(4) { font-variant-numeric: tabular-nums; }
td:last-child { width: 50%; min-width: 15rem; padding-right: 0; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 1.2rem 0; font-size: .9rem; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; }
.PASSED, .passed { --state: var(--ok); }
.FAILED, .failed { --state: var(--bad); }
.WARNED, .warned, .skipped { --state: var(--warn); }
`

export function htmlText(run: GateRun, commit: Oid): string {
  const took = formatDuration(Date.parse(run.finishedAt) - Date.parse(run.startedAt))
  const facts: [string, string][] = [
    ['environment', run.environment],
    ['base URL', run.baseUrl],
    ['commit', commit],
    ['served before the gates', run.servedCommit.before ?? 'not reported'],
    ['served after the gates', run.servedCommit.after ?? 'not reported'],
    ['started', run.startedAt],
    ['took', took],
  ]
  const title = `${run.result}: ${verdictLine(run, commit)}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${html(title)}</title>
<style>${STYLE}</style>
<header class="${run.result}">
<h1><span class="${run.result}">${run.result}</span>: ${html(verdictLine(run, commit))}</h1>
${run.problem === null ? '' : `<p>${html(run.problem)}</p>\n`}</header>
<dl>
${facts.map(([name, value]) => `<dt>${html(name)}</dt><dd><code>${html(value)}</code></dd>`).join('\n')}
</dl>
<div class="scroll">
<table>
<thead><tr>${GATE_COLUMNS.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>
<tbody>
${gateRows(run)
  .map((cells, at) => row(cells, run.gates[at]))
  .join('\n')}
</tbody>
</table>
</div>
</html>
`
}

function row(cells: readonly string[], gate: GateOutcome | undefined): string {
  const word = gate === undefined ? '' : outcomeWord(gate)
  return `<tr>${cells
    .map((cell, column) =>
      column === 1 ? `<td class="${word}">${html(cell)}</td>` : `<td>${html(cell)}</td>`,
    )
    .join('')}</tr>`
}

function html(text: string): string {
  return escapeMarkup(escapeUnsafe(text))
}
