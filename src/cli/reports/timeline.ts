/** The moves of the release branch over time, drawn: one lane for each kind. */
import type { AuditedMove } from '../../audit/audited-move.ts'
import { isZeroOid, shortOid } from '../../core/oid.ts'
import { escapeMarkup } from './markup.ts'

const WIDTH = 1000
const LEFT = 90
const RIGHT = 50
const LANE = 34
const TOP = 14
/** More marks than points of the drawing would only cover each other: then each stands for several. */
const MAX_MARKS = 1500

const LANES = ['promotion', 'rollback', 'override', 'bootstrap'] as const
const COLOURS = {
  promotion: '#1a6b3c',
  rollback: '#a3201d',
  override: '#c77700',
  bootstrap: '#5b6570',
} as const

export function timeline(moves: readonly AuditedMove[]): string {
  if (moves.length === 0) return '<p>Nothing has moved.</p>'
  const times = moves.map(({ at }) => Date.parse(at))
  const first = times.reduce((a, b) => Math.min(a, b))
  const last = times.reduce((a, b) => Math.max(a, b))
  const span = Math.max(1, last - first)
  const x = (ms: number) => LEFT + ((ms - first) / span) * (WIDTH - LEFT - RIGHT - 10)
  const lanes = LANES.filter((kind) => moves.some((move) => move.kind === kind))
  const height = TOP + lanes.length * LANE + 24
  const y = (kind: AuditedMove['kind']) => TOP + lanes.indexOf(kind) * LANE + LANE / 2
  const step = Math.ceil(moves.length / MAX_MARKS)
  const marks = moves
    // What is rare is never left out.
    .filter(({ kind }, index) => kind !== 'promotion' || index % step === 0)
    .map((move) => mark(move, x(Date.parse(move.at)), y(move.kind)))
  const rows = lanes.map(
    (kind) =>
      `<line x1="${LEFT - 6}" x2="${WIDTH - RIGHT}" y1="${y(kind)}" y2="${y(kind)}" stroke="#d8dce0"/><text x="0" y="${y(kind) + 4}">${kind}s: ${moves.filter((move) => move.kind === kind).length}</text>`,
  )
  const days = ticks(first, last).map(
    ({ ms, label }) =>
      `<line x1="${x(ms).toFixed(1)}" x2="${x(ms).toFixed(1)}" y1="${TOP}" y2="${height - 20}" stroke="#eceef0"/><text x="${x(ms).toFixed(1)}" y="${height - 5}" text-anchor="middle">${label}</text>`,
  )
  return [
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="The moves of the release branch over time">`,
    ...days,
    ...rows,
    ...marks,
    '</svg>',
    `<p class="legend">Filled: landed. Hollow: did not land, or has no outcome yet.${step > 1 ? ` Of the promotions, one in ${step} is drawn.` : ''}</p>`,
  ].join('\n')
}

function mark(move: AuditedMove, x: number, y: number): string {
  const { kind, from, to, at, by, outcome, record } = move
  const colour = COLOURS[kind]
  const title = `record ${record}: ${kind} ${isZeroOid(from) ? '-' : shortOid(from)} to ${isZeroOid(to) ? '-' : shortOid(to)} by ${by}, ${at}, ${outcome}`
  const fill = outcome === 'landed' ? colour : '#fff'
  const paint = `fill="${fill}" stroke="${colour}" stroke-width="1.5"`
  const shape =
    kind === 'override'
      ? `<path d="M${x.toFixed(1)} ${y - 7}l7 7l-7 7l-7-7z" ${paint}>`
      : `<circle cx="${x.toFixed(1)}" cy="${y}" r="${kind === 'promotion' ? 4.5 : 6}" ${paint}>`
  return `${shape}<title>${escapeMarkup(title)}</title></${kind === 'override' ? 'path' : 'circle'}>`
}

/** Up to seven moments, evenly: days where there are some, else times. */
function ticks(first: number, last: number): { ms: number; label: string }[] {
  const count = last === first ? 1 : 7
  const isDays = last - first > 3 * 86_400_000
  const isMinutes = last - first < 20 * 60_000
  return Array.from({ length: count }, (_, index) => {
    const ms = first + ((last - first) * index) / Math.max(1, count - 1)
    const iso = new Date(ms).toISOString()
    const hours = isMinutes ? iso.slice(11, 19) : `${iso.slice(5, 10)} ${iso.slice(11, 16)}`
    return { ms, label: isDays ? iso.slice(0, 10) : hours }
  })
}
