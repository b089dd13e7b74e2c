/** Everything that waits in the inbox of a host, judged as the hooks of a server would judge a push of all of it. */
import { decide, decideStaging } from '../core/decide.ts'
import { HeadgateError } from '../core/errors.ts'
import { explainRef, nameMove, type RefReport } from '../core/explain.ts'
import type { ReleaseMove } from '../core/facts.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { INBOX, releaseRef, stagingRef } from '../core/refs.ts'
import { REQUEST_SOURCE, requestOptions, withRequestKey } from '../core/request.ts'
import { isSameVoice } from '../core/single-use.ts'
import type { Statement } from '../core/statement.ts'
import type { MoveVerdict, Objection } from '../core/verdict.ts'
import { gatherReleaseMove, gatherStagingMove } from '../git/gather-facts.ts'
import type { GitRepository } from '../git/repository.ts'
import type { GuardedView } from '../guard/guarded-view.ts'
import { historyWith } from '../guard/history-with.ts'
import { knownStaging } from '../guard/known-staging.ts'
import { judgeSubmission, type Submission } from '../guard/submissions.ts'
import { withReasons } from '../guard/why-rolled-back.ts'
import { keysOfPusher } from '../signing/key-holder.ts'

/** One ref of the inbox, and the blob that it names. */
export type Waiting = { readonly ref: string; readonly oid: Oid }

export type Refusal = {
  readonly waiting: Waiting
  readonly rules: readonly string[]
  readonly lines: readonly string[]
}

export type RelayedMove = {
  readonly waiting: Waiting
  readonly request: Submission
  readonly facts: ReleaseMove
  readonly verdict: MoveVerdict
}

export type Judged = {
  /** What becomes a record, in this order; the request of a move is the last of them. */
  readonly submissions: readonly { readonly waiting: Waiting; readonly submission: Submission }[]
  readonly move: RelayedMove | null
  readonly refusals: readonly Refusal[]
  /** What the ledger has already. */
  readonly known: readonly Waiting[]
  /** Requests that are judged when this answer has become a fact: one move at a time. */
  readonly later: readonly Waiting[]
}

/** A single answer is to stay small, and there is another round. */
const MAX_SUBMISSIONS = 200

type Asked = {
  readonly waiting: Waiting
  readonly submission: Submission & { readonly statement: Statement<'request'> }
}

/** `now` in ms since the epoch. */
export async function judgeInbox(
  repository: GitRepository,
  view: GuardedView,
  inbox: readonly Waiting[],
  now: number,
): Promise<Judged> {
  const submissions: { waiting: Waiting; submission: Submission }[] = []
  const requests: Asked[] = []
  const refusals: Refusal[] = []
  const known: Waiting[] = []
  for (const waiting of inbox) {
    if (submissions.length === MAX_SUBMISSIONS) break
    const update = { ref: waiting.ref, from: zeroOidLike(waiting.oid), to: waiting.oid }
    const verdict = await judgeSubmission(repository, view, update, now)
    if (verdict.kind === 'known') known.push(waiting)
    else if (verdict.kind === 'refused')
      refusals.push(refusal(waiting, { ...update, what: 'a submission', objections: [verdict.objection] }))
    else if (isRequest(verdict.submission)) requests.push({ waiting, submission: verdict.submission })
    else if (submissions.some(({ submission }) => isSame(submission, verdict.submission))) known.push(waiting)
    else submissions.push({ waiting, submission: verdict.submission })
  }
  // Who asked first is served first.
  const inTurn = requests.toSorted((a, b) => issuedAt(a) - issuedAt(b))
  const found = { move: null as RelayedMove | null, later: [] as Waiting[] }
  for (const asked of inTurn) {
    if (found.move !== null) {
      found.later.push(asked.waiting)
      continue
    }
    // What an operator has just accepted is a record first.
    if (acceptsStaging(submissions, view)) {
      found.later.push(asked.waiting)
      continue
    }
    const judged = await judgeOrSay(repository, view, {
      asked,
      submissions: submissions.map((one) => one.submission),
      now,
    })
    if ('facts' in judged) found.move = judged
    else refusals.push(judged)
  }
  const { move, later } = found
  const recorded =
    move === null ? submissions : [...submissions, { waiting: move.waiting, submission: move.request }]
  return { submissions: recorded, move, refusals, known, later }
}

function acceptsStaging(
  submissions: readonly { readonly submission: Submission }[],
  view: GuardedView,
): boolean {
  const ref = stagingRef(view.inForce.policy)
  return submissions.some(
    ({ submission: { statement } }) => statement.kind === 'drift' && statement.predicate.ref === ref,
  )
}

/** Where it cannot be decided, that is the answer: whoever asked can ask again. */
async function judgeOrSay(...args: Parameters<typeof judgeRequest>): Promise<RelayedMove | Refusal> {
  try {
    return await judgeRequest(...args)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    const [, , { asked }] = args
    return {
      waiting: asked.waiting,
      rules: [],
      lines: [`the relay could not decide: ${printable(error.message, 500)}`],
    }
  }
}

async function judgeRequest(
  repository: GitRepository,
  view: GuardedView,
  {
    asked,
    submissions,
    now,
  }: { readonly asked: Asked; readonly submissions: readonly Submission[]; readonly now: number },
): Promise<RelayedMove | Refusal> {
  const { waiting, submission } = asked
  const { inForce, refs } = view
  const { policy, signers } = inForce
  const { from, to } = submission.statement.predicate
  const ref = releaseRef(policy)
  const history = await historyWith(view, to, [...submissions, submission], now)
  const pusher = { identified: true, principal: submission.principal, source: REQUEST_SOURCE } as const
  const gathered = await gatherReleaseMove(repository, {
    update: { ref, from, to },
    current: refs.get(ref) ?? null,
    staging: refs.get(stagingRef(policy)) ?? null,
    pusher,
    certificate: { offered: false },
    pusherKeys: withRequestKey(keysOfPusher(signers, pusher, { offered: false }), submission.fingerprint),
    pushOptions: requestOptions(submission.statement.predicate),
    bars: history.state.bars.map(({ commit }) => commit),
    releaseLog: policy.releaseLog,
  })
  const facts = {
    ...gathered,
    broughtBack: await withReasons(view.snapshot, history.state, gathered.broughtBack),
  }
  const verdict = decide(facts, policy, history, now)
  const objections = [...(await stagingObjections(repository, view)), ...verdict.objections]
  if (objections.length === 0) return { waiting, request: submission, facts, verdict }
  const what = `${nameMove(verdict.kind)} by ${printable(submission.principal, 80)}`
  return refusal(waiting, { ref, from: facts.from, to, what, objections })
}

/** What the host let somebody do to the staging branch, and no operator has accepted yet. */
async function stagingObjections(repository: GitRepository, view: GuardedView): Promise<Objection[]> {
  const { policy } = view.inForce
  const ref = stagingRef(policy)
  const known = await knownStaging(view)
  const to = view.refs.get(ref) ?? null
  if (known === null || known === to) return []
  const update = { ref, from: known, to: to ?? zeroOidLike(known) }
  // After a rewrite, what was there may be on no branch any more.
  const isAncestor = async (ancestor: Oid, descendant: Oid) =>
    (await repository.objects().info(ancestor)) !== null &&
    (await repository.isAncestor(ancestor, descendant))
  const facts = await gatherStagingMove(repository, update, known, policy.releaseLog, isAncestor)
  const fix = [
    'find out who and why; then an operator accepts what is there, with a reason:',
    `  headgate drift --branch ${policy.staging} --reason TEXT --key FILE`,
  ]
  return decideStaging(facts).map(({ rule, found }) => ({ rule, found: found.map(afterwards), fix }))
}

/** The rules speak of a push, which has been made here. */
function afterwards(text: string): string {
  return text
    .replace(/^this push /, 'a push ')
    .replace(' would rewrite ', ' has rewritten ')
    .replace('would be gone', 'are gone')
}

function refusal(waiting: Waiting, report: RefReport): Refusal {
  const rules = [...new Set(report.objections.map(({ rule }) => rule))]
  return { waiting, rules, lines: explainRef(report) }
}

function isRequest(submission: Submission): submission is Submission & { statement: Statement<'request'> } {
  return submission.statement.kind === 'request'
}

function isSame(one: Submission, other: Submission): boolean {
  return one.statement.payloadDigest === other.statement.payloadDigest && isSameVoice(one, other)
}

function issuedAt({ submission }: Asked): number {
  return Date.parse(submission.statement.predicate.issuedAt)
}

/** The SHA-256 that names a ref of the inbox. */
export function nameOf({ ref }: Waiting): string {
  return ref.slice(INBOX.length)
}
