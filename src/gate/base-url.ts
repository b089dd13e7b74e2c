import { HeadgateError } from '../core/errors.ts'
import { baseUrlProblem } from '../core/policy-words.ts'

export type BaseUrl = {
  /** Scheme, host and port. */
  readonly origin: string
  /** What goes before every path: empty, or `/app`. Never ends in a slash. */
  readonly prefix: string
  /** Both, for people and for evidence. */
  readonly text: string
}

/** Throws HeadgateError `usage`, which does not repeat the text: it may hold a password. */
export function parseBaseUrl(text: string): BaseUrl {
  const problem = baseUrlProblem(text)
  if (problem !== null) throw new HeadgateError('usage', `the base URL ${problem}`)
  const { origin, pathname } = new URL(text)
  const prefix = pathname.replace(/\/+$/, '')
  return { origin, prefix, text: origin + prefix }
}
