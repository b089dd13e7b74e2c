import type { Oid } from '../core/oid.ts'

/** How one gate went. Holds no byte of any answer: the reason is headgate's own. */
export type GateOutcome = {
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly optional: boolean
  /** Of the answer; null where none came, and for bursts and commands. */
  readonly status: number | null
  /** How many answers of a burst had which status (`none`: no answer); null for other gates. */
  readonly statuses: Readonly<Record<string, number>> | null
  /** 0 for a gate that was not run; more than 1 only where the policy asks for retries. */
  readonly attempts: number
  /** All attempts, and the pauses between them. */
  readonly durationMs: number
  /** Why it did not pass, or not at once; null if it passed at the first attempt. At most 300 characters. */
  readonly reason: string | null
}

export type GateRun = {
  readonly environment: 'staging' | 'production'
  readonly baseUrl: string
  /** UTC, RFC 3339. */
  readonly startedAt: string
  readonly finishedAt: string
  /** The full ids that the environment reported; null where it reported none, or something that is no full id. */
  readonly servedCommit: { readonly before: Oid | null; readonly after: Oid | null }
  /** In the policy's order. */
  readonly gates: readonly GateOutcome[]
  readonly result: 'PASSED' | 'WARNED' | 'FAILED'
  /** Why the run as a whole failed, or was none, whatever the gates say; null if it did not. */
  readonly problem: string | null
  /** False where something else was served from the start, so that no gate was run: that is no evidence of anything. */
  readonly ran: boolean
  /** What was served instead contains the commit, which will not be served any more. */
  readonly superseded: boolean
}
