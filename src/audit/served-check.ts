/** Whether production serves the release. */

import { HeadgateError } from '../core/errors.ts'
import { isZeroOid, shortOid } from '../core/oid.ts'
import { releaseRef } from '../core/refs.ts'
import { parseBaseUrl } from '../gate/base-url.ts'
import { readServedCommit } from '../gate/served-commit.ts'
import type { Finding, Unchecked } from './finding.ts'
import type { LedgerAudit } from './verify-ledger.ts'

const TIMEOUT_MS = 20_000

/**
 * Asks the environment `production` of the policy in force, with nothing but a GET, where `check` has nothing against that
 * host. Nothing is found where it serves the landed release. HeadgateError 'configuration' where it may not be asked.
 */
export async function checkServed(
  { inForce, state }: LedgerAudit,
  check: (url: string) => { readonly reason: string; readonly hint: string } | null,
): Promise<{ readonly findings: readonly Finding[]; readonly unchecked: readonly Unchecked[] }> {
  const about = { record: null, at: null, commit: null, key: null, rule: 'served' } as const
  const production = inForce?.policy.environments.production
  if (inForce === null || production === undefined || production.servedCommit === null) {
    const found = 'the policy does not say where production reports the commit that it serves'
    const fix = 'add environments.production with servedCommit to the policy'
    return {
      findings: [{ ...about, grade: 'note', found, fix }],
      unchecked: [{ rules: ['served'], what: found }],
    }
  }
  const refused = check(production.url)
  if (refused !== null)
    throw new HeadgateError('configuration', `production: ${refused.reason}`, { hint: refused.hint })
  const landed = state.landed[releaseRef(inForce.policy)]
  const expected = landed === undefined || isZeroOid(landed.to) ? null : landed.to
  const served = await readServedCommit(
    parseBaseUrl(production.url),
    production.servedCommit,
    {},
    AbortSignal.timeout(TIMEOUT_MS),
  )
  if (served.kind !== 'reported') {
    const found = `production does not say which commit it serves: ${served.reason}`
    const fix = 'look at production, then try again'
    return { findings: [{ ...about, grade: 'violation', commit: expected, found, fix }], unchecked: [] }
  }
  if (served.commit === expected) return { findings: [], unchecked: [] }
  const should = expected === null ? 'nothing has landed yet' : `the landed release is ${shortOid(expected)}`
  const finding: Finding = {
    ...about,
    grade: 'violation',
    record: landed?.seq ?? null,
    commit: served.commit,
    found: `production serves ${shortOid(served.commit)}, and ${should}`,
    fix: 'a deployment may be under way or have failed; if not, find out who deployed what was never released',
  }
  return { findings: [finding], unchecked: [] }
}
