/**
 * Every failure that headgate reports is one of these codes; anything else that is thrown is a bug.
 *
 * - `usage`          the command line asks for something that does not exist or make sense
 * - `configuration`  policy, key, repository or installation is not as it must be
 * - `data`           bytes from outside do not parse or do not verify
 * - `refused`        the policy says no, or a check found something
 * - `unavailable`    could not tell: a network, a process or a lock failed; the same call may work later
 */
export type ErrorCode = 'usage' | 'configuration' | 'data' | 'refused' | 'unavailable'

/** The process exit code for each outcome (sysexits.h where it has one). Node itself uses 1 and 3 to 14. */
export const EXIT_CODES = {
  ok: 0,
  refused: 77,
  data: 65,
  usage: 64,
  configuration: 78,
  unavailable: 69,
  bug: 70,
} as const satisfies Record<ErrorCode | 'ok' | 'bug', number>

/** An expected failure: `message` names the thing and the reason, `hint` the fix. Both are one clear line. */
export class HeadgateError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'HeadgateError'
    this.code = code
    this.hint = options.hint
  }
}
