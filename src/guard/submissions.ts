/**
 * The inbox: `git push <remote> <blob>:refs/headgate/inbox/<sha256 of the blob>`. Each blob is one DSSE envelope. It is
 * checked here before it becomes a record; everything about it is hostile until its signature is trusted.
 */

import { sha256 } from '../core/canonical-json.ts'
import type { Envelope } from '../core/envelope.ts'
import { HeadgateError } from '../core/errors.ts'
import type { HistoryRecord } from '../core/history.ts'
import { isZeroOid, shortOid, zeroOidLike } from '../core/oid.ts'
import type { Terms } from '../core/policy/policy.ts'
import { printable } from '../core/printable.ts'
import { INBOX, stagingRef } from '../core/refs.ts'
import { isSameVoice } from '../core/single-use.ts'
import { formerBranches, type LedgerState } from '../core/state.ts'
import { parseStatement, type Statement, type SubmittedKind } from '../core/statement.ts'
import { objectionToSubmission } from '../core/submission.ts'
import type { Objection } from '../core/verdict.ts'
import type { RefUpdate } from '../git/hook-input.ts'
import type { GitRepository } from '../git/repository.ts'
import { MAX_ENVELOPE_BYTES, parseEnvelope, payloadBytes } from '../signing/dsse.ts'
import { envelopeDigest, isSubmitted, judgeSigner } from './gather-history.ts'
import type { GuardedView, ServerView } from './guarded-view.ts'
import { knownStaging } from './known-staging.ts'
import type { TermsInForce } from './policy-in-force.ts'

export type Submission = {
  readonly envelope: Envelope
  readonly statement: Statement<SubmittedKind>
  readonly principal: string
  readonly fingerprint: string
}

export type SubmissionVerdict =
  | { readonly kind: 'accepted'; readonly submission: Submission }
  /** The same statement stands in the ledger already: nothing to do, and no error. */
  | { readonly kind: 'known'; readonly seq: number }
  | { readonly kind: 'refused'; readonly objection: Objection }

/** Judges one submission against a server's view. `now` in ms since the epoch. */
export async function judgeSubmission(
  repository: GitRepository,
  view: ServerView,
  update: RefUpdate,
  now: number,
): Promise<SubmissionVerdict> {
  try {
    return await judge(repository, view, update, now)
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code === 'unavailable') throw error
    return refused(error.message, error.hint)
  }
}

async function judge(
  repository: GitRepository,
  { inForce, snapshot, refs }: ServerView,
  update: RefUpdate,
  now: number,
): Promise<SubmissionVerdict> {
  if (inForce === null) {
    return refused(
      'no policy is in force here, so no key is trusted yet',
      'the server admin runs: headgate policy apply REPO.git',
    )
  }
  if (isZeroOid(update.to)) return refused('the server empties the inbox itself')
  const name = update.ref.slice(INBOX.length)
  const info = await repository.objects().info(update.to)
  if (info === null) return refused(`${shortOid(update.to)} is not an object of this repository`)
  if (info.type !== 'blob')
    return refused(`a submission is a blob, and ${shortOid(update.to)} is a ${info.type}`)
  if (info.size > MAX_ENVELOPE_BYTES) {
    return refused(`the submission has ${info.size} bytes, and ${MAX_ENVELOPE_BYTES} is the limit`)
  }
  const object = await repository.objects().read(update.to, MAX_ENVELOPE_BYTES)
  if (object === null) return refused(`${shortOid(update.to)} cannot be read`)
  if (sha256(object.body) !== name) {
    return refused(
      'the ref is not named after the SHA-256 of the submission',
      `its name would be ${INBOX}${sha256(object.body)}`,
    )
  }

  const envelope = parseEnvelope(object.body)
  const statement = parseStatement(payloadBytes(envelope))
  if (!isSubmitted(statement.kind))
    return refused(`only the server itself makes a statement of kind ${statement.kind}`)
  const submitted = statement as Statement<SubmittedKind>
  const { policy, signers } = inForce
  if (statement.repository !== policy.repository) {
    return refused(
      `the statement is for repository "${statement.repository}", and this is "${policy.repository}"`,
    )
  }
  const signer = judgeSigner(envelope, submitted.kind, signers, now)
  if (!signer.trusted) {
    return refused(
      `${signer.reason} (${submitted.kind} statement)`,
      'keys are trusted by .headgate/allowed_signers as the server admin applied it: headgate policy show',
    )
  }
  // Two people may sign one statement; one person's second signature on it says nothing new.
  const known = (await snapshot.about(statement.commit)).find((record) => {
    if (record.statement.payloadDigest !== statement.payloadDigest) return false
    const earlier = judgeSigner(record.envelope, submitted.kind, signers, Date.parse(record.at))
    return !earlier.trusted || isSameVoice(earlier, signer)
  })
  if (known !== undefined) return { kind: 'known', seq: known.seq }

  const about = await repository.objects().info(statement.commit)
  if (about?.type !== 'commit') {
    return refused(
      `the statement is about ${shortOid(statement.commit)}, which is not a commit that this repository has`,
      'push the commit first, or with the submission',
    )
  }
  const objection =
    objectionToSubmission(submitted, { policy, principal: signer.principal, at: now }) ??
    (await objectionToRewrite(submitted, { snapshot, inForce, refs })) ??
    objectionToDrift(submitted, policy, snapshot.state, refs) ??
    objectionToRetirement(submitted, snapshot.state, refs)
  if (objection !== null) return refused(objection)
  const { principal, fingerprint } = signer
  return { kind: 'accepted', submission: { envelope, statement: submitted, principal, fingerprint } }
}

/** A note about the staging branch accepts what became of it since the ledger saw it last; null for any other statement. */
async function objectionToRewrite(
  statement: Statement<SubmittedKind>,
  view: Pick<GuardedView<TermsInForce>, 'snapshot' | 'inForce' | 'refs'>,
): Promise<string | null> {
  const { policy } = view.inForce
  if (statement.kind !== 'drift' || statement.predicate.ref !== stagingRef(policy)) return null
  const { expected, found } = statement.predicate
  const known = await knownStaging(view)
  if (known === null) return `nothing is known of ${policy.staging} that it could have drifted from`
  const actual = view.refs.get(stagingRef(policy)) ?? zeroOidLike(found)
  if (expected === known && found === actual) return null
  return `it speaks of ${shortOid(expected)} -> ${shortOid(found)}, and ${policy.staging} went from ${shortOid(known)} to ${shortOid(actual)}`
}

/** A drift note settles what is on disk now, and nothing else; null for any other statement. */
function objectionToDrift(
  statement: Statement<SubmittedKind>,
  policy: Terms,
  state: LedgerState,
  refs: ServerView['refs'],
): string | null {
  if (statement.kind !== 'drift' || statement.predicate.ref === stagingRef(policy)) return null
  const { ref, expected, found } = statement.predicate
  const landed = state.landed[ref]?.to ?? zeroOidLike(expected)
  const actual = refs.get(ref) ?? zeroOidLike(found)
  if (landed === actual) return `${policy.release} has not drifted`
  if (expected === landed && found === actual) return null
  return `it speaks of ${shortOid(expected)} -> ${shortOid(found)}, and the drift is ${shortOid(landed)} -> ${shortOid(actual)}`
}

/** A branch is retired as it is now, so that an auditor knows where it was left; null for any other statement. */
function objectionToRetirement(
  statement: Statement<SubmittedKind>,
  state: LedgerState,
  refs: ServerView['refs'],
): string | null {
  if (statement.kind !== 'retire') return null
  const { role, ref, found } = statement.predicate
  if (!formerBranches(state).some((former) => former.role === role && former.ref === ref))
    return `${printable(ref)} is no branch that an earlier policy named as ${role}`
  const actual = refs.get(ref) ?? zeroOidLike(found)
  return actual === found ? null : `it speaks of ${shortOid(found)}, and the branch is at ${shortOid(actual)}`
}

/** The record that a submission will be, for judging a move that travels in the same push. */
export function anticipate(submission: Submission, seq: number, now: number, by: string): HistoryRecord {
  const { envelope, statement, principal, fingerprint } = submission
  return {
    seq,
    at: now,
    by,
    statement,
    envelopeDigest: envelopeDigest(envelope),
    signer: { trusted: true, principal, fingerprint },
  }
}

function refused(found: string, fix?: string): SubmissionVerdict {
  return {
    kind: 'refused',
    objection: { rule: 'inbox', found: [found], fix: fix === undefined ? [] : [fix] },
  }
}
