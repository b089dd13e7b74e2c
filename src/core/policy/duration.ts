import { HeadgateError } from '../errors.ts'
import { printable } from '../printable.ts'

/** Units from the largest to the smallest: a duration names each at most once, in this order. */
const UNITS_MS = [86_400_000, 3_600_000, 60_000, 1000, 1] as const

/** Ten years: nothing that a policy or a command waits for is longer, and the sum stays far from 2^53. */
const LONGEST_MS = 3650 * UNITS_MS[0]

/** What a duration looks like, as `pattern` of the published JSON Schema too. */
export const DURATION_PATTERN = /^(?=\d)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?(\d{1,9}ms)?$/

/** Milliseconds of `90s`, `24h`, `7d`, `1h30m`. Throws HeadgateError `usage` on anything else. */
export function parseDuration(text: string): number {
  const shown = `"${printable(text, 40)}"`
  const match = DURATION_PATTERN.exec(text)
  if (match === null) {
    throw new HeadgateError('usage', `${shown} is not a duration: write it like 90s, 15m, 24h, 7d or 1h30m`)
  }
  const ms = UNITS_MS.reduce((sum, unitMs, at) => sum + Number.parseInt(match[at + 1] ?? '0', 10) * unitMs, 0)
  if (ms > LONGEST_MS) throw new HeadgateError('usage', `${shown} is longer than ten years`)
  return ms
}

/** A duration for people, in its largest unit and the next: `3 days`, `2 h 5 min`, `40 s`, `350 ms`. Rounds down. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, Math.floor(durationMs))
  const days = Math.floor(ms / UNITS_MS[0])
  const parts: readonly (readonly [number, string])[] = [
    [days, days === 1 ? 'day' : 'days'],
    [Math.floor(ms / UNITS_MS[1]) % 24, 'h'],
    [Math.floor(ms / UNITS_MS[2]) % 60, 'min'],
    [Math.floor(ms / UNITS_MS[3]) % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return `${ms} ms`
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** A duration without rounding, for a limit and what is held against it: `1500 ms`, `10 s`, `5 min`. Whole ms only. */
export function exactDuration(durationMs: number): string {
  if (durationMs === 0 || durationMs % 1000 !== 0) return `${durationMs} ms`
  return durationMs % 60_000 === 0 ? `${durationMs / 60_000} min` : `${durationMs / 1000} s`
}
