import { HeadgateError } from '../../src/core/errors.ts'
import type { Oid } from '../../src/core/oid.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { formerBranches } from '../../src/core/state.ts'
import { parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { preparePolicy } from '../../src/guard/prepare-policy.ts'
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
    const prepared = await preparePolicy(snapshot, source, {
      sealKey: guarded.sealKey,
      by,
      at: new Date(clock()).toISOString(),
      refsOf: async (names) => {
        const found = await guarded.repository.refs(names)
        return new Map([...found].map(([name, { oid }]) => [name, oid]))
      },
      referenceTransaction: isAskedBeforeMoves(guarded.repository.commonDirectory, guarded.settings.host),
      oidLength: guarded.repository.oidLength,
    })
    const { policy, former } = prepared
    requireForHooks(policy)
    if (prepared.records.length === 0) {
      writeGuardedList(guarded.repository.commonDirectory, [policy], {
        former: formerBranches(snapshot.state),
      })
      return { done: { version: prepared.version, changed: false, baseline: null, policy } }
    }
    await requireNoAlias(guarded.repository, policy)
    const { version, baseline, records } = prepared
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

/** Throws HeadgateError 'configuration' for a policy that another form of guard goes by. */
export function requireForHooks({ guard }: Policy): void {
  if (guard === undefined) return
  throw new HeadgateError('configuration', 'the policy says guard: relay, and here hooks guard', {
    hint: 'leave guard out of the policy; a relay is for hosts that run no hooks',
  })
}
