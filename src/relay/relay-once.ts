/**
 * One look at a host and one answer: what waits in the inbox is judged, and its records, the move that it asks for and the
 * emptied inbox reach the host as one push. The host's refs are the only state; an answer that does not get there has
 * changed nothing.
 */
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { guardedBranches, INBOX, LEDGER_BRANCH, LEDGER_REF } from '../core/refs.ts'
import { formerBranches, isOnDisk, type Move } from '../core/state.ts'
import { parseStatement } from '../core/statement.ts'
import { debug } from '../git/debug.ts'
import type { GitRepository } from '../git/repository.ts'
import type { GuardedView } from '../guard/guarded-view.ts'
import { readPolicyOf } from '../guard/policy-in-force.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import { MAX_ENVELOPE_BYTES, parseEnvelope, payloadBytes } from '../signing/dsse.ts'
import { adoptLedger } from './adopt-ledger.ts'
import { FETCHED_LEDGER } from './cache.ts'
import type { Host } from './host.ts'
import { type Judged, judgeInbox, type Waiting } from './judge-inbox.ts'
import { pushAnswer } from './push-answer.ts'
import type { Relay } from './relay.ts'

/** Statements are small. */
const INBOX_TIMEOUT_MS = 60_000
/** Others may be as fast; then everything is looked at anew. */
const MAX_ROUNDS = 50
/** Refs of the inbox that one round looks at. */
const MAX_WAITING = 500
/** A move that was authorized so long ago and is not there is not under way any more. */
const GRACE_MS = 10 * 60_000

/**
 * Answers all that waits; returns the host's refs as they were when nothing did any more. Throws HeadgateError:
 * 'unavailable' where the host cannot be reached or others are always faster, 'data' where its ledger does not hold, 'refused' where the host takes nothing from this relay.
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
    if (!(await host.fetch([`+${ledgerRef}:${FETCHED_LEDGER}`]))) return 'again'
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
  const waiting = waitingIn(listed).slice(0, MAX_WAITING)
  if (!(await bring(relay, [...refs]))) return 'again'
  const inbox = await bringInbox(relay, waiting)
  const view: GuardedView = { snapshot, inForce, refs }
  const now = clock()
  const settled = settle(view, now)
  // Another relay may be about to make it.
  if (settled === 'under-way') throw underWay(view)
  // What became of earlier moves is a record before anything is judged by it.
  const isSettled = settled.landed.length + settled.dead.length === 0
  const judged = isSettled ? await judgeInbox(cache, view, inbox, now) : NOTHING
  debug(
    () =>
      `${inbox.length} wait in the inbox: ${judged.submissions.length} taken, ${judged.refusals.length} refused`,
  )
  const answered = await pushAnswer(relay, { view, judged, settled, listed, ledgerRef, tip, now })
  return answered === 'again' ? 'again' : listed
}

const NOTHING: Judged = { submissions: [], move: null, refusals: [], known: [], later: [] }

async function readLedger(cache: GitRepository) {
  const snapshot = await new GitLedger(cache, undefined, { ref: LEDGER_REF }).snapshot()
  const inForce = await readPolicyOf(snapshot)
  if (inForce?.policy.guard === 'relay') return { snapshot, inForce }
  const found = inForce === null ? 'no policy is in force' : 'the policy in force does not say guard: relay'
  throw new HeadgateError('configuration', `${found}, so that this host is not a relay's to guard`, {
    hint: 'headgate relay init puts a policy with guard: relay in force',
  })
}

/** What waits: names as statements have them first, and these in no order that anybody can choose. */
function waitingIn(listed: ReadonlyMap<string, Oid>): Waiting[] {
  const all = [...listed].filter(([ref]) => ref.startsWith(INBOX)).map(([ref, oid]) => ({ ref, oid }))
  const isDigest = ({ ref }: Waiting) => /^[0-9a-f]{64}$/.test(ref.slice(INBOX.length))
  const shuffled = all.map((waiting) => ({ waiting, at: Math.random() })).toSorted((a, b) => a.at - b.at)
  const inTurn = shuffled.map(({ waiting }) => waiting)
  return [...inTurn.filter(isDigest), ...inTurn.filter((waiting) => !isDigest(waiting))]
}

type Named = readonly (readonly [ref: string, oid: Oid])[]

/** Fetches the branches that have moved; false where the host has something else by now. */
async function bring(relay: Relay, branches: Named): Promise<boolean> {
  const missing = await lacking(relay, branches)
  if (missing.length === 0) return true
  if (!(await relay.host.fetch(missing.map(([ref]) => `+${ref}:${copyOf(ref)}`)))) return false
  return (await lacking(relay, missing)).length === 0
}

/** git moves a copy when all that it needs is here: that an object is here says less. */
async function lacking({ cache }: Relay, wanted: Named): Promise<Named> {
  const copies = await cache.refs(wanted.map(([ref]) => copyOf(ref)))
  return wanted.filter(([ref, oid]) => copies.get(copyOf(ref))?.oid !== oid)
}

/** Nothing else in the cache names what was fetched. */
function copyOf(ref: string): string {
  return `refs/relay/${ref.slice('refs/'.length)}`
}

/** What anybody may push is fetched by itself, so that it keeps nothing else from coming. Those that came. */
async function bringInbox(relay: Relay, waiting: readonly Waiting[]): Promise<Waiting[]> {
  const { cache, host } = relay
  const here = async (some: readonly Waiting[]) => {
    const infos = await Promise.all(some.map(({ oid }) => cache.objects().info(oid)))
    return some.filter((_, index) => infos[index] !== null)
  }
  const known = new Set((await here(waiting)).map(({ ref }) => ref))
  const missing = waiting.filter(({ ref }) => !known.has(ref))
  if (missing.length > 0 && !(await fetchInbox(host, missing)))
    // One that is gone, or too large, must not hold up the others.
    for (const one of missing) await fetchInbox(host, [one])
  const all = await here(waiting)
  if (await speakOfStrangers(relay, all)) await host.fetch(['+refs/heads/*:refs/relay/heads/*'])
  return all
}

async function fetchInbox(host: Host, waiting: readonly Waiting[]): Promise<boolean> {
  try {
    return await host.fetch(
      waiting.map(({ ref }) => ref),
      INBOX_TIMEOUT_MS,
    )
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    debug(() => `the inbox: ${error.message}`)
    return false
  }
}

/** Whether a statement is about a commit that is on no branch which was fetched. */
async function speakOfStrangers({ cache }: Relay, inbox: readonly Waiting[]): Promise<boolean> {
  for (const { oid } of inbox) {
    const object = await cache.objects().read(oid, MAX_ENVELOPE_BYTES)
    if (object?.type !== 'blob') continue
    try {
      const { commit } = parseStatement(payloadBytes(parseEnvelope(object.body)))
      if ((await cache.objects().info(commit)) === null) return true
    } catch (error) {
      // What it is wrong with is said when it is judged.
      if (!(error instanceof HeadgateError)) throw error
    }
  }
  return false
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
