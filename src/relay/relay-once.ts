/**
 * One look at a host and one answer: what waits in the inbox is judged, and its records, the move that it asks for and the
 * emptied inbox reach the host as one push. The host's refs are the only state; an answer that does not get there has
 * changed nothing.
 */
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { guardedBranches, INBOX, LEDGER_BRANCH, LEDGER_REF } from '../core/refs.ts'
import { formerBranches, isOnDisk, type Move } from '../core/state.ts'
import { debug } from '../git/debug.ts'
import type { GitRepository } from '../git/repository.ts'
import type { GuardedView } from '../guard/guarded-view.ts'
import { readPolicyOf } from '../guard/policy-in-force.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import { adoptLedger } from './adopt-ledger.ts'
import { FETCHED_LEDGER } from './cache.ts'
import { judgeInbox, type Waiting } from './judge-inbox.ts'
import { pushAnswer } from './push-answer.ts'
import type { Relay } from './relay.ts'

/** Others may be as fast; then everything is looked at anew. */
const MAX_ROUNDS = 50
/** Refs of the inbox that one round looks at. */
const MAX_WAITING = 500
/** A move that was authorized so long ago and is not there is not under way any more. */
const GRACE_MS = 60_000

/**
 * Answers all that waits; returns the host's refs as they were when nothing did any more. Throws HeadgateError: 'unavailable' where the host cannot be reached or others are always faster,
 * 'data' where its ledger does not hold, 'refused' where the host takes nothing from this relay.
 */
export async function relayOnce(relay: Relay): Promise<ReadonlyMap<string, Oid>> {
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const seen = await lookAndAnswer(relay)
    if (seen !== 'again') return seen
  }
  throw new HeadgateError('unavailable', 'others are always faster at this host', {
    hint: 'try again in a moment',
  })
}

/** The refs that a relay goes by, to be compared: while they stay the same there is nothing to do. */
export async function refsOfHost({ host }: Pick<Relay, 'host'>): Promise<Map<string, Oid>> {
  return host.list(['refs/headgate/*', LEDGER_BRANCH, 'refs/heads/*'])
}

async function lookAndAnswer(relay: Relay): Promise<ReadonlyMap<string, Oid> | 'again'> {
  const { host, cache, sealKey, clock } = relay
  const listed = await refsOfHost(relay)
  const { ledgerRef } = relay
  const tip = listed.get(ledgerRef)
  if (tip === undefined) {
    throw new HeadgateError('configuration', 'the host has no ledger yet', {
      hint: 'headgate relay init writes its first record',
    })
  }
  if ((await cache.refs([LEDGER_REF])).get(LEDGER_REF)?.oid !== tip) {
    await host.fetch([`+${ledgerRef}:${FETCHED_LEDGER}`])
    const fetched = (await cache.refs([FETCHED_LEDGER])).get(FETCHED_LEDGER)?.oid
    if (fetched !== tip) return 'again'
    await adoptLedger(cache, tip, sealKey)
  }

  const { snapshot, inForce } = await readLedger(cache)
  const { policy } = inForce
  const names = new Set([
    ...guardedBranches(policy),
    ...formerBranches(snapshot.state).map(({ ref }) => ref),
    ...snapshot.state.open.map(({ ref }) => ref),
  ])
  const refs = new Map([...listed].filter(([name]) => names.has(name)))
  const inbox = waitingIn(listed).slice(0, MAX_WAITING)
  if (!(await bring(relay, [...refs], inbox))) return 'again'
  const view: GuardedView = { snapshot, inForce, refs }
  const now = clock()
  const settled = settle(view, now)
  // Another relay may be about to make it.
  if (settled === 'under-way') throw underWay(view)
  const judged = await judgeInbox(cache, view, inbox, now)
  debug(
    () =>
      `${inbox.length} wait in the inbox: ${judged.submissions.length} taken, ${judged.refusals.length} refused`,
  )
  return (await pushAnswer(relay, { view, judged, settled, listed, ledgerRef, tip, now })) === 'again'
    ? 'again'
    : listed
}

async function readLedger(cache: GitRepository) {
  const snapshot = await new GitLedger(cache, undefined, { ref: LEDGER_REF }).snapshot()
  const inForce = await readPolicyOf(snapshot)
  if (inForce?.policy.guard === 'relay') return { snapshot, inForce }
  const found = inForce === null ? 'no policy is in force' : 'the policy in force does not say guard: relay'
  throw new HeadgateError('configuration', `${found}, so that this host is not a relay's to guard`, {
    hint: 'headgate relay init puts a policy with guard: relay in force',
  })
}

/** What waits, in the order of the names; those that nobody could answer are told by their names. */
function waitingIn(listed: ReadonlyMap<string, Oid>): Waiting[] {
  return [...listed].filter(([ref]) => ref.startsWith(INBOX)).map(([ref, oid]) => ({ ref, oid }))
}

/** Fetches what is not here yet; false where the host has something else by now. */
async function bring({ host, cache }: Relay, branches: Named, inbox: readonly Waiting[]): Promise<boolean> {
  const wanted = [...branches, ...inbox.map(({ ref, oid }) => [ref, oid] as const)]
  const missing = await lacking(cache, wanted)
  if (missing.length === 0) return true
  // Kept by refs of their own, since nothing else here names them.
  await host.fetch(missing.map(([ref]) => `+${ref}:refs/relay/${ref.slice('refs/'.length)}`))
  return (await lacking(cache, missing)).length === 0
}

type Named = readonly (readonly [ref: string, oid: Oid])[]

async function lacking(cache: GitRepository, wanted: Named): Promise<Named> {
  const infos = await Promise.all(wanted.map(([, oid]) => cache.objects().info(oid)))
  return wanted.filter((_, index) => infos[index] === null)
}

export type Settled = { readonly landed: readonly Move[]; readonly dead: readonly Move[] }

/** Moves that a relay authorized and did not see land: on hosts that take no two changes as one. */
function settle({ snapshot, refs }: GuardedView, now: number): Settled | 'under-way' {
  const landed = snapshot.state.open.filter((move) => isOnDisk(move, refs))
  const others = snapshot.state.open.filter((move) => !isOnDisk(move, refs))
  if (others.some((move) => now - Date.parse(move.at) < GRACE_MS)) return 'under-way'
  return { landed, dead: others }
}

function underWay({ inForce }: GuardedView): HeadgateError {
  return new HeadgateError(
    'unavailable',
    `a move of ${inForce.policy.release} is under way, by another relay`,
    {
      hint: 'try again in a minute',
    },
  )
}
