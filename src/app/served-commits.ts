/** What the environments say that they serve, asked of all at once. */
import type { Oid } from '../core/oid.ts'
import type { Environment, Policy } from '../core/policy/policy.ts'
import { parseBaseUrl } from '../gate/base-url.ts'
import { readServedCommit } from '../gate/served-commit.ts'
import type { HostCheck } from './clone/allowed.ts'

export type Serving =
  | { readonly kind: 'serves'; readonly commit: Oid }
  /** It cannot be asked, or gave no full commit id; with a hint where a word of the user's would change that. */
  | { readonly kind: 'unknown'; readonly reason: string; readonly hint?: string }

/** A report must not hang on an environment that is down. */
const LOOK_MS = 4_000

/** Asks with these headers. */
export async function askServed(
  { name, url, servedCommit }: Environment,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Serving> {
  if (servedCommit === null)
    return { kind: 'unknown', reason: `the policy does not say where ${name} reports its commit` }
  const timeout = AbortSignal.timeout(timeoutMs)
  const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  const served = await readServedCommit(parseBaseUrl(url), servedCommit, headers, either)
  if (served.kind === 'reported') return { kind: 'serves', commit: served.commit }
  const reason = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : served.reason
  return { kind: 'unknown', reason }
}

/** A look at what a remote's ledger calls an environment: a plain GET, and only to hosts that the user's side names. */
export async function lookAtServed(environment: Environment, check: HostCheck): Promise<Serving> {
  const refused = environment.servedCommit === null ? null : check(environment.url)
  return refused === null ? askServed(environment, {}, LOOK_MS) : { kind: 'unknown', ...refused }
}

export async function lookAtAll(
  { environments: { staging, production } }: Policy,
  check: HostCheck,
): Promise<{ staging: Serving; production: Serving | null }> {
  const [first, second] = await Promise.all([
    lookAtServed(staging, check),
    production === undefined ? null : lookAtServed(production, check),
  ])
  return { staging: first, production: second }
}
