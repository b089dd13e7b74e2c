/** A run as one HTML file that needs nothing else: no script, no font, no request. */
import { formatDuration } from '../core/duration.ts'
import type { Oid } from '../core/oid.ts'
import { escapeUnsafe } from '../core/printable.ts'
import type { GateOutcome, GateRun } from '../gate/run-gates.ts'
import { GATE_COLUMNS, gateRows, outcomeWord, verdictLine } from './gate-words.ts'

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --ok: #17803d; --bad: #c02626; --warn: #a15c07; }
@media (prefers-color-scheme: dark) { :root { --ok: #4ade80; --bad: #f87171; --warn: #fbbf24; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
.passed, .PASSED { color: var(--ok); }
.failed, .FAILED { color: var(--bad); }
.warned, .skipped, .WARNED { color: var(--warn); }
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
<h1><span class="${run.result}">${run.result}</span>: ${html(verdictLine(run, commit))}</h1>
${run.problem === null ? '' : `<p class="failed">${html(run.problem)}</p>\n`}<dl>
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
  return escapeUnsafe(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
