/** What the ledger has as evidence about a commit, and what took it back. */

import type { Oid } from '../../core/oid.ts'
import { gatherHistory } from '../../guard/gather-history.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { fetchLedger } from '../clone/fetch-copies.ts'

export type ListedEvidence = {
  readonly record: number
  /** RFC 3339. */
  readonly at: string
  /** Who signed it, or why that is not trusted. */
  readonly by: string
  readonly trusted: boolean
  readonly result: 'PASSED' | 'WARNED' | 'FAILED' | 'invalidated'
  readonly environment: string | null
  /** Where the run was made; null where it does not say. */
  readonly url: string | null
  /** Names; null of an invalidation, which has a reason. */
  readonly gates: { readonly [Outcome in 'passed' | 'failed' | 'warned']: readonly string[] } | null
  readonly reason: string | null
}

export type EvidenceList = {
  readonly commit: Oid
  /** In the order of the ledger. */
  readonly evidence: readonly ListedEvidence[]
}

export async function listEvidence(
  caller: Caller,
  options: { readonly commit: string; readonly remote: string },
): Promise<EvidenceList> {
  const client = new ClientRepository(caller)
  const commit = await client.resolveCommit(options.commit)
  const { snapshot, close } = await fetchLedger(client, options.remote)
  try {
    const { about } = await gatherHistory(snapshot, commit)
    const evidence = about.flatMap(({ seq, at, statement, signer }): ListedEvidence[] => {
      const { trusted } = signer
      const by = trusted ? signer.principal : `not trusted: ${signer.reason}`
      const row = { record: seq, at: new Date(at).toISOString(), by, trusted }
      if (statement.kind === 'invalidation') {
        const { reason } = statement.predicate
        return [{ ...row, result: 'invalidated', environment: null, url: null, gates: null, reason }]
      }
      if (statement.kind !== 'evidence') return []
      const { result, passedTests: passed, failedTests: failed, warnedTests: warned } = statement.predicate
      const { environment, baseUrl: url = null } = statement.predicate.headgate
      return [{ ...row, result, environment, url, gates: { passed, failed, warned }, reason: null }]
    })
    return { commit, evidence }
  } finally {
    close()
  }
}
