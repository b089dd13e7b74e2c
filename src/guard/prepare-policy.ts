/** The records that put a policy in force, on a server or on a host that a relay guards. */
import type { Oid } from '../core/oid.ts'
import type { Policy } from '../core/policy/policy.ts'
import { policyJson } from '../core/policy/policy-json.ts'
import { releaseRef, stagingRef } from '../core/refs.ts'
import type { FormerBranch } from '../core/state.ts'
import type { NewRecord, PolicyFiles, Snapshot } from '../ledger/ledger.ts'
import { baselineRecords } from './baseline.ts'
import { formerOf } from './branches-of-policies.ts'
import { parsePolicyFiles } from './policy-in-force.ts'
import { policyRecordOf } from './policy-record.ts'
import type { SealKey } from './seal-key.ts'
import { policyRecord, type StatementContext } from './server-statements.ts'

export type PreparedPolicy = {
  readonly version: number
  readonly policy: Policy
  readonly former: readonly FormerBranch[]
  /** The release tip that becomes the baseline, if the ledger does not know the branch yet. */
  readonly baseline: Oid | null
  /** None where the very same files are in force already, under the same seal key. */
  readonly records: readonly NewRecord[]
}

/** The version only goes up; a push never changes the policy that judges it. */
export async function preparePolicy(
  snapshot: Snapshot,
  source: Pick<PolicyFiles, 'policy' | 'allowedSigners'>,
  circumstances: {
    readonly sealKey: SealKey
    readonly by: string
    /** RFC 3339. */
    readonly at: string
    /** Where branches are, those that exist. */
    readonly refsOf: (names: readonly string[]) => Promise<ReadonlyMap<string, Oid>>
    /** As `authorizationRecord` takes it. */
    readonly referenceTransaction: boolean | null
    readonly oidLength: 40 | 64
  },
): Promise<PreparedPolicy> {
  const { sealKey, by, at, refsOf, referenceTransaction, oidLength } = circumstances
  const previous = await snapshot.policyInForce()
  const version = (previous?.version ?? 0) + 1
  const files = { version, policy: source.policy, allowedSigners: source.allowedSigners }
  const inForce = parsePolicyFiles(files)
  const { policy } = inForce
  if (
    previous !== null &&
    previous.policy === files.policy &&
    previous.allowedSigners === files.allowedSigners &&
    previous.json === policyJson(policy) &&
    // Another key that seals from now on belongs into a record, too.
    (await policyRecordOf(snapshot))?.statement.predicate.sealKey === sealKey.publicKeyLine
  ) {
    return { version: previous.version, policy, former: [], baseline: null, records: [] }
  }
  const former = await formerOf(snapshot, policy)
  const ref = releaseRef(policy)
  const found = await refsOf([stagingRef(policy), ref])
  const staging = found.get(stagingRef(policy)) ?? '0'.repeat(oidLength)
  const release = found.get(ref)
  const context: StatementContext = { sealKey, inForce, at, by }
  const baseline = release !== undefined && snapshot.state.landed[ref] === undefined ? release : null
  return {
    version,
    policy,
    former,
    baseline,
    records: [
      policyRecord(context, files, staging, former),
      ...(baseline === null
        ? []
        : baselineRecords(context, ref, baseline, snapshot.head.seq + 2, referenceTransaction)),
    ],
  }
}
