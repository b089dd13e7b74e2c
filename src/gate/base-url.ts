import { HeadgateError } from '../core/errors.ts'
import { type BaseUrl, baseUrlProblem, normalBaseUrl } from '../core/policy/base-url.ts'

export type { BaseUrl } from '../core/policy/base-url.ts'

/** Throws HeadgateError `usage`, which does not repeat the text: it may hold a password. */
export function parseBaseUrl(text: string): BaseUrl {
  const problem = baseUrlProblem(text)
  if (problem !== null) throw new HeadgateError('usage', `the base URL ${problem}`)
  return normalBaseUrl(text)
}
