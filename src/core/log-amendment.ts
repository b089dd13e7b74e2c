/**
 * What completes an entry of the release log that said "not recorded" of production's smoke test:
 *
 *     ## 2026-01-31 12:10:00 UTC: smoke of `3f2c1ab`
 *
 *     - Commit: `3f2c1ab...` (the full id)
 *     - Production smoke: PASSED at ...
 *     - Ledger record: 42 (that of the entry, the authorization)
 */

import { type LoggedRun, parseRun, renderRun } from './logged-run.ts'
import { isOid, type Oid, shortOid } from './oid.ts'

export type LogAmendment = {
  readonly kind: 'smoke'
  readonly commit: Oid
  readonly smoke: LoggedRun
  /** The authorization of the move that was tested, which the entry names as well. */
  readonly record: number
}

/** Whatever begins like an amendment must be one. */
export const AMENDMENT_HEADING = /^##\s+\d{4}-\d\d-\d\d\b.*\bsmoke of\b/

/** With the line break at its end. */
export function renderAmendment({ commit, smoke, record }: LogAmendment): string {
  const { finishedAt } = smoke
  return [
    `## ${finishedAt.slice(0, 10)} ${finishedAt.slice(11, 19)} UTC: smoke of \`${shortOid(commit)}\``,
    '',
    `- Commit: \`${commit}\``,
    `- Production smoke: ${renderRun(smoke)}`,
    `- Ledger record: ${record}`,
    '',
  ].join('\n')
}

/** `lines` begin with the heading. A text is what is wrong with it. */
export function parseAmendment(lines: readonly string[]): LogAmendment | string {
  const block = lines.slice(0, 5)
  const commit = /^- Commit: `(.*)`$/.exec(block[2] ?? '')?.[1] ?? ''
  const smoke = parseRun(/^- Production smoke: (.*)$/.exec(block[3] ?? '')?.[1] ?? '')
  const record = /^- Ledger record: ([1-9]\d{0,14})$/.exec(block[4] ?? '')?.[1]
  if (!isOid(commit)) return 'has no proper "Commit"'
  if (smoke === undefined) return 'has no proper "Production smoke"'
  if (record === undefined) return 'has no proper "Ledger record"'
  const amendment: LogAmendment = { kind: 'smoke', commit, smoke, record: Number(record) }
  const isWhole = renderAmendment(amendment) === `${block.join('\n')}\n` && !lines[5]?.startsWith('- ')
  return isWhole ? amendment : 'is not as headgate writes it'
}
