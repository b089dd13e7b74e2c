/** The first step of pre-receive: everything that a verdict about a push rests on, read and not yet judged. */
import { pusherLine } from '../../src/core/decision-lines.ts'
import type { RefReport } from '../../src/core/explain.ts'
import type { ObjectType, ReleaseMove, StagingMove } from '../../src/core/facts.ts'
import type { History } from '../../src/core/history.ts'
import { isZeroOid } from '../../src/core/oid.ts'
import { guardedBranches, INBOX, releaseRef, stagingRef } from '../../src/core/refs.ts'
import { namesakesOf } from '../../src/core/rules/namesake.ts'
import { isSameVoice } from '../../src/core/single-use.ts'
import type { Move } from '../../src/core/state.ts'
import type { Objection } from '../../src/core/verdict.ts'
import { debug } from '../../src/git/debug.ts'
import { gatherReleaseMove, gatherStagingMove, typeOf } from '../../src/git/gather-facts.ts'
import type { ServerView } from '../../src/guard/guarded-view.ts'
import { historyWith } from '../../src/guard/history-with.ts'
import type { TermsInForce } from '../../src/guard/policy-in-force.ts'
import { judgeSubmission, type Submission } from '../../src/guard/submissions.ts'
import { withReasons } from '../../src/guard/why-rolled-back.ts'
import { keysOfPusher } from '../../src/signing/key-holder.ts'
import { type GuardedRepository, viewServer } from '../guarded-repository.ts'
import { parseIdentitySource } from '../settings.ts'
import { pendingMove } from '../settle.ts'
import {
  certificateFor,
  type IdentityInput,
  identifyPusher,
  type JudgedCertificate,
  judgeCertificate,
} from './identity.ts'
import { formerRefs, isNoChange } from './judge-push.ts'
import { reportOf } from './push-report.ts'
import type { TargetedUpdate } from './push-targets.ts'
import type { ReadOnce } from './read-once.ts'

export type Push = {
  readonly updates: readonly TargetedUpdate[]
  readonly identity: IdentityInput
  readonly pushOptions: readonly string[]
  /** Whether somebody still waits for the answer: nothing is permitted to those who left. */
  readonly isAwaited: () => Promise<boolean>
}

/** One look at everything on behalf of one push. */
export type Look = {
  readonly now: number
  /** Others wait: the append may be made, and nothing large may be read. */
  readonly hasTurn: boolean
  readonly read: ReadOnce
  /** How many there were, this one among them. */
  readonly looks: number
}

/** Submissions that can be taken, those that the ledger has already, and what speaks against others. */
export type GatheredInbox = {
  readonly reports: readonly RefReport[]
  readonly submissions: readonly Submission[]
  readonly known: readonly number[]
}

export type GatheredRelease =
  | {
      readonly kind: 'move'
      readonly update: TargetedUpdate
      readonly facts: ReleaseMove
      readonly history: History
    }
  /** A push of the same ref was allowed before and has not moved it: it is under way, or died. */
  | { readonly kind: 'pending'; readonly move: Move }

export type GatheredPush = {
  readonly now: number
  readonly updates: readonly TargetedUpdate[]
  readonly view: ServerView
  readonly source: ReturnType<typeof parseIdentitySource>
  readonly certificate: JudgedCertificate
  readonly inbox: GatheredInbox
  readonly staging: readonly { readonly update: TargetedUpdate; readonly facts: StagingMove }[]
  /** Refs that git would take for a guarded branch, and what they would name. */
  readonly namesakes: readonly {
    readonly update: TargetedUpdate
    readonly branch: string
    readonly objectType: ObjectType
  }[]
  /** Null where the push leaves the release branch where it is. */
  readonly release: GatheredRelease | null
}

/** What a verdict rests on is not read yet, and can be large: others wait for the turn. */
export const UNREAD = 'unread'

export async function gatherPush(
  guarded: GuardedRepository,
  push: Push,
  look: Look,
): Promise<GatheredPush | typeof UNREAD> {
  const { now } = look
  const view = await viewServer(guarded)
  const { inForce } = view
  const source = parseIdentitySource(guarded.settings.identity)
  const certificate = await judgeCertificate(guarded.repository, push.identity, inForce?.signers ?? [], now)
  const inbox = await gatherInbox(guarded, push, view, now)
  const gathered = { now, updates: push.updates, view, source, certificate, inbox }
  if (inForce === null) return { ...gathered, staging: [], namesakes: [], release: null }
  const staging = await gatherStaging(guarded, push, view, inForce, look)
  if (staging === UNREAD) return UNREAD
  const namesakes = await gatherNamesakes(guarded, push, view, inForce)
  const moves = push.updates.filter(({ target }) => target === releaseRef(inForce.policy))
  const [update] = moves
  // Of two changes of one branch neither is judged.
  if (update === undefined || isNoChange(update, view) || moves.length > 1)
    return { ...gathered, staging, namesakes, release: null }
  const pending = pendingMove(view, update.target)
  const release: GatheredRelease =
    pending !== undefined
      ? { kind: 'pending', move: pending }
      : await gatherRelease(guarded, push, { ...gathered, inForce, read: look.read }, update)
  return { ...gathered, staging, namesakes, release }
}

/** Each becomes a record, and the ledger takes a thousand in one append. */
const MAX_SUBMISSIONS = 500

async function gatherInbox(
  { repository }: GuardedRepository,
  push: Push,
  view: ServerView,
  now: number,
): Promise<GatheredInbox> {
  const reports: RefReport[] = []
  const submissions: Submission[] = []
  const known: number[] = []
  const updates = push.updates.filter(({ target }) => target.startsWith(INBOX))
  const [first] = updates
  if (first !== undefined && updates.length > MAX_SUBMISSIONS) {
    const found = [`this push brings ${updates.length} submissions, and ${MAX_SUBMISSIONS} is the limit`]
    const objection: Objection = { rule: 'inbox', found, fix: ['push them in several parts'] }
    return { reports: [reportOf(first, 'a submission', [objection])], submissions, known }
  }
  for (const update of updates) {
    const verdict = await judgeSubmission(repository, view, update, now)
    if (verdict.kind === 'known') known.push(verdict.seq)
    if (verdict.kind === 'accepted') {
      const { statement } = verdict.submission
      const twice = submissions.some(
        (other) =>
          other.statement.payloadDigest === statement.payloadDigest && isSameVoice(other, verdict.submission),
      )
      if (!twice) submissions.push(verdict.submission)
    }
    const objections = verdict.kind === 'refused' ? [verdict.objection] : []
    reports.push(reportOf(update, 'a submission', objections))
  }
  return { reports, submissions, known }
}

async function gatherStaging(
  { repository }: GuardedRepository,
  { updates }: Push,
  view: ServerView,
  { policy }: TermsInForce,
  { hasTurn, read }: Look,
): Promise<GatheredPush['staging'] | typeof UNREAD> {
  const refs = [stagingRef(policy), ...formerRefs(view, 'staging')]
  const moves: GatheredPush['staging'][number][] = []
  for (const update of updates) {
    const ref = update.target
    if (!refs.includes(ref) || isNoChange(update, view)) continue
    const current = view.refs.get(ref) ?? null
    const about = { update: { ...update, ref }, current, log: policy.releaseLog }
    if (hasTurn && !read.has(about)) return UNREAD
    const facts = await read.get(about, () =>
      gatherStagingMove(repository, about.update, current, policy.releaseLog),
    )
    moves.push({ update, facts })
  }
  return moves
}

/** What is there already may be deleted, and is in nobody's way but its own: the branches are judged by their full names. */
async function gatherNamesakes(
  { repository }: GuardedRepository,
  { updates }: Push,
  view: ServerView,
  { policy }: TermsInForce,
): Promise<GatheredPush['namesakes']> {
  const branches = [...guardedBranches(policy), ...formerRefs(view)]
  const found: GatheredPush['namesakes'][number][] = []
  for (const update of updates) {
    const { target, from, to } = update
    const branch = branches.find((ref) => namesakesOf(ref).includes(target))
    if (branch === undefined || isZeroOid(to) || from === to) continue
    found.push({ update, branch, objectType: await typeOf(repository, to) })
  }
  return found
}

async function gatherRelease(
  { repository }: GuardedRepository,
  push: Push,
  {
    now,
    view,
    source,
    certificate: judged,
    inbox,
    inForce,
    read,
  }: Omit<GatheredPush, 'staging' | 'namesakes' | 'release'> & {
    readonly inForce: TermsInForce
    readonly read: ReadOnce
  },
  update: TargetedUpdate,
): Promise<GatheredRelease> {
  const ref = update.target
  const certificate = certificateFor(judged, update)
  const pusher = identifyPusher(source, push.identity, certificate, inForce.signers, now)
  debug(() => pusherLine(pusher))
  const about = {
    update: { ...update, ref },
    current: view.refs.get(ref) ?? null,
    staging: view.refs.get(stagingRef(inForce.policy)) ?? null,
    pusher,
    certificate,
    pusherKeys: keysOfPusher(inForce.signers, pusher, certificate),
    pushOptions: push.pushOptions,
    releaseLog: inForce.policy.releaseLog,
  }
  const history = await historyWith(view, update.to, inbox.submissions, now)
  const question = { ...about, bars: history.state.bars.map(({ commit }) => commit) }
  const gathered = await read.get(question, () => gatherReleaseMove(repository, question))
  const broughtBack = await withReasons(view.snapshot, history.state, gathered.broughtBack)
  return { kind: 'move', update, facts: { ...gathered, broughtBack }, history }
}
