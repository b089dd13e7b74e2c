/** What the environments say that they serve, asked of all at once. */
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import type { Environment, Policy } from '../core/policy.ts'
import { parseBaseUrl } from '../gate/base-url.ts'
import { environmentHeaders } from '../gate/secrets.ts'
import { readServedCommit } from '../gate/served-commit.ts'

export type Serving =
  | { readonly kind: 'serves'; readonly commit: Oid }
  /** It cannot be asked, or gave no full commit id. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** A report must not hang on an environment that is down. */
const TIMEOUT_MS = 4_000

export async function askServed(
  environment: Environment,
  url: string = environment.url,
  timeoutMs = TIMEOUT_MS,
  signal?: AbortSignal,
): Promise<Serving> {
  if (environment.servedCommit === null) {
    return { kind: 'unknown', reason: `the policy does not say where ${environment.name} reports its commit` }
  }
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  let headers: Record<string, string>
  try {
    headers = environmentHeaders(environment, process.env)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return { kind: 'unknown', reason: error.message }
  }
  const served = await readServedCommit(parseBaseUrl(url), environment.servedCommit, headers, either)
  if (served.kind === 'reported') return { kind: 'serves', commit: served.commit }
  const reason = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : served.reason
  return { kind: 'unknown', reason }
}

export async function askAll(policy: Policy): Promise<{ staging: Serving; production: Serving | null }> {
  const { staging, production } = policy.environments
  const [first, second] = await Promise.all([
    askServed(staging),
    production === undefined ? null : askServed(production),
  ])
  return { staging: first, production: second }
}
