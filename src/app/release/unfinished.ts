import { parseDuration } from '../../core/policy/duration.ts'
import type { LandedMove } from '../../guard/landed-moves.ts'
import { hasEntry } from '../../guard/release-entry.ts'

/** A move that is older than this and has no entry was not made by somebody who is about to come back to it. */
const UNFINISHED_MS = parseDuration('24h')

/** Whether the last move has still to be tested and written down, by the operator who comes first. */
export function isUnfinished(
  move: LandedMove,
  logged: { has(record: number): boolean },
  now: number,
): boolean {
  return hasEntry(move) && !logged.has(move.seq) && now - Date.parse(move.authorizedAt) <= UNFINISHED_MS
}
