import type { Oid } from '../../src/core/oid.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { policyJson } from '../../src/core/policy/policy-json.ts'
import { releaseRef, stagingRef } from '../../src/core/refs.ts'
import { formerBranches } from '../../src/core/state.ts'
import { baselineRecords } from '../../src/guard/baseline.ts'
import { parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { policyRecord, type StatementContext } from '../../src/guard/server-statements.ts'
import type { NewRecord, Snapshot } from '../../src/ledger/ledger.ts'
import { formerOf } from '../former-branches.ts'
import { requireNeverGuarded, writeGuardedList } from '../guarded-list.ts'
import type { GuardedRepository } from '../guarded-repository.ts'
import { isAskedBeforeMoves } from '../hook-places.ts'
import { LEDGER_MOVED, NEEDS_TURN, untilDone } from '../until-done.ts'
import type { PolicySource } from './policy-files.ts'
import { requireNoAlias } from './require-no-alias.ts'

export type AppliedPolicy = {
  readonly version: number
  /** False where the very same files are in force already; nothing was recorded then. */
  readonly changed: boolean
  /** The release tip that was recorded as the baseline, if this application did so. */
  readonly baseline: Oid | null
  readonly policy: Policy
}

/**
 * Puts a policy in force: records both files in the ledger, and a release branch that the ledger does not know yet as
 * the baseline. The version only goes up; a push never changes the policy that judges it.
 */
export async function applyPolicy(
  guarded: GuardedRepository,
  source: PolicySource,
  by: string,
  clock: () => number,
): Promise<AppliedPolicy> {
  return untilDone<AppliedPolicy>(guarded, async (hasTurn) => {
    if (!hasTurn) return NEEDS_TURN
    const snapshot = await guarded.ledger.snapshot()
    const previous = await snapshot.policyInForce()
    if (previous === null) requireNeverGuarded(guarded.repository.commonDirectory)
    const version = (previous?.version ?? 0) + 1
    const files = { version, policy: source.policy, allowedSigners: source.allowedSigners }
    const inForce = parsePolicyFiles(files)
    const { policy } = inForce
    if (
      previous !== null &&
      previous.policy === files.policy &&
      previous.allowedSigners === files.allowedSigners &&
      previous.json === policyJson(policy) &&
      (await recordedSealKey(snapshot)) === guarded.sealKey.publicKeyLine
    ) {
      writeGuardedList(guarded.repository.commonDirectory, [policy], {
        former: formerBranches(snapshot.state),
      })
      return { done: { version: previous.version, changed: false, baseline: null, policy } }
    }
    const former = await formerOf(snapshot, policy)
    await requireNoAlias(guarded.repository, policy)
    const ref = releaseRef(policy)
    const found = await guarded.repository.refs([stagingRef(policy), ref])
    const zeros = '0'.repeat(guarded.repository.objectFormat === 'sha256' ? 64 : 40)
    const staging = found.get(stagingRef(policy))?.oid ?? zeros
    const release = found.get(ref)?.oid
    const at = new Date(clock()).toISOString()
    const context: StatementContext = { sealKey: guarded.sealKey, inForce, at, by }
    const baseline = release !== undefined && snapshot.state.landed[ref] === undefined ? release : null
    const records: NewRecord[] = [
      policyRecord(context, files, staging, former),
      ...(baseline === null
        ? []
        : baselineRecords(
            context,
            ref,
            baseline,
            snapshot.head.seq + 2,
            isAskedBeforeMoves(guarded.repository.commonDirectory, guarded.settings.host),
          )),
    ]

    // The shell hooks must never let a guarded ref pass by themselves: the list covers the old policy and the new one
    // until the new one is recorded. A crash in between leaves a list that is too long, which only costs time.
    const old = previous === null ? [] : [parsePolicyFiles(previous).policy]
    writeGuardedList(guarded.repository.commonDirectory, [...old, policy], {
      beginning: previous === null,
      former,
    })
    const appended = await guarded.ledger.append(snapshot.head, records)
    if (appended.kind === 'stale') return LEDGER_MOVED
    writeGuardedList(guarded.repository.commonDirectory, [policy], { former })
    return { done: { version, changed: true, baseline, policy } }
  })
}

/** The seal key that the policy in force names: another one that seals from now on belongs into the record, too. */
async function recordedSealKey(snapshot: Snapshot): Promise<string | null> {
  const seq = snapshot.state.policies.at(-1)?.seq
  if (seq === undefined) return null
  for await (const { statement } of snapshot.read(seq))
    return statement.kind === 'policy' ? statement.predicate.sealKey : null
  return null
}
