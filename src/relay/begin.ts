/** The policy that a relay goes by, put in force on the host: with it a ledger begins. */
import { HeadgateError } from '../core/errors.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import type { Policy } from '../core/policy/policy.ts'
import { parsePolicyFiles } from '../guard/policy-in-force.ts'
import { preparePolicy } from '../guard/prepare-policy.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import type { PolicyFiles } from '../ledger/ledger.ts'
import { adoptLedger } from './adopt-ledger.ts'
import { FETCHED_LEDGER, PREPARED_LEDGER } from './cache.ts'
import type { Relay } from './relay.ts'
import { refsOfHost } from './relay-once.ts'

export type AppliedByRelay = {
  readonly version: number
  /** False where the very same files are in force already. */
  readonly changed: boolean
  readonly baseline: Oid | null
  readonly policy: Policy
  readonly ledgerRef: string
}

const ATTEMPTS = 10

/** `by`: who applies it, for the record. */
export async function applyByRelay(
  relay: Relay,
  source: Pick<PolicyFiles, 'policy' | 'allowedSigners'>,
  { by }: { readonly by: string },
): Promise<AppliedByRelay> {
  const { policy } = parsePolicyFiles({ version: 1, ...source })
  if (policy.guard !== 'relay') {
    throw new HeadgateError('configuration', 'the policy does not say guard: relay', {
      hint: 'add the line guard: relay to .headgate/policy.yaml, push it, and run this again',
    })
  }
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const done = await attemptToApply(relay, source, by)
    if (done !== 'again') return done
  }
  throw new HeadgateError('unavailable', 'others keep writing to the ledger', {
    hint: 'try again in a moment',
  })
}

async function attemptToApply(
  relay: Relay,
  source: Pick<PolicyFiles, 'policy' | 'allowedSigners'>,
  by: string,
): Promise<AppliedByRelay | 'again'> {
  const { host, cache, sealKey, clock, ledgerRef } = relay
  const listed = await refsOfHost(relay)
  const tip = listed.get(ledgerRef) ?? null
  if (tip !== null) {
    await host.fetch([`+${ledgerRef}:${FETCHED_LEDGER}`])
    if ((await cache.refs([FETCHED_LEDGER])).get(FETCHED_LEDGER)?.oid !== tip) return 'again'
    await adoptLedger(cache, tip, sealKey)
    await cache.write(['update-ref', PREPARED_LEDGER, tip])
  } else await cache.write(['update-ref', '-d', PREPARED_LEDGER])
  const ledger = new GitLedger(cache, sealKey.seal, { ref: PREPARED_LEDGER })
  const snapshot = await ledger.snapshot()
  const prepared = await preparePolicy(snapshot, source, {
    sealKey,
    by,
    at: new Date(clock()).toISOString(),
    refsOf: async (names) =>
      new Map(names.flatMap((name) => (listed.has(name) ? [[name, listed.get(name)!]] : []))),
    referenceTransaction: null,
    oidLength: cache.oidLength,
  })
  const { version, baseline, policy, records } = prepared
  if (records.length === 0) return { version, changed: false, baseline, policy, ledgerRef }
  const appended = await ledger.append(snapshot.head, records)
  if (appended.kind === 'stale' || appended.tip === null) return 'again'
  const change = { ref: ledgerRef, from: tip ?? zeroOidLike(appended.tip), to: appended.tip }
  const pushed = await host.push([change], { atomic: false })
  if (pushed.kind === 'stale') return 'again'
  if (pushed.kind === 'refused') {
    throw new HeadgateError(
      'refused',
      [`the host refused the ledger on ${ledgerRef}`, ...pushed.words].join('\n'),
      {
        hint: "the host's rule must let the relay's key write there",
      },
    )
  }
  return { version, changed: true, baseline, policy, ledgerRef }
}
