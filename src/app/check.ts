/** What would the server say of a push? Asked before it is made. */

import { RELEASE_RULES, STAGING_RULES } from '../core/decide.ts'
import { HeadgateError } from '../core/errors.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import { fullRef, isReserved } from '../core/refs.ts'
import { namesake, namesakesOf } from '../core/rules/namesake.ts'
import { reserved } from '../core/rules/reserved.ts'
import { formerBranches } from '../core/state.ts'
import type { RuleName } from '../core/verdict.ts'
import type { GitRepository } from '../git/repository.ts'
import { type Foresight, foreseeRelease, foreseeStaging, refsOf } from '../guard/foresee.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import type { Caller } from './caller.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { lookAtGuarded } from './clone/guarded-remote.ts'
import { type PushSigning, pushSigning, signsInVain } from './clone/push-signing.ts'

export type CheckOptions = {
  /** As the caller names it. */
  readonly commit: string
  readonly remote: string
  /** Branch or full ref; the release branch unless told. */
  readonly to: string | undefined
  /** Who pushes; any operator unless told. */
  readonly as: string | undefined
}

/** The push that was asked about. */
export type CheckedPush = {
  readonly remote: string
  readonly ref: string
  readonly commit: Oid
  /** Where the ref is on the remote; zeros where it is not there. */
  readonly current: Oid
  /** The last record of the ledger that was looked at. */
  readonly record: number
}

/** One rule's part in the answer. A note is `needed` where the push only lacks that. */
export type CheckedRule = {
  readonly rule: RuleName
  readonly verdict: 'passed' | 'refused' | 'waived' | 'needed'
  readonly found: readonly string[]
  readonly fix: readonly string[]
}

export type Check =
  /** Nobody judges a push of this ref. */
  | { readonly kind: 'unguarded'; readonly push: CheckedPush }
  /** The ref is at the commit already. */
  | { readonly kind: 'up-to-date'; readonly push: CheckedPush }
  | {
      readonly kind: 'judged'
      readonly push: CheckedPush
      readonly foresight: Foresight
      /** In the order in which people should read them. */
      readonly rules: readonly CheckedRule[]
      /** False where the policy only evaluates: the server refuses nothing. */
      readonly enforced: boolean
      /** What git here would sign the push with, where that makes the server refuse it; else null. */
      readonly signsInVain: PushSigning['format'] | null
      /** Whether a relay makes the move, and is asked for it. */
      readonly relayed: boolean
    }

/**
 * Throws HeadgateError 'configuration' for a remote that nobody guards, 'refused' for a ref that is headgate's own,
 * 'usage' for a commit that is not there, 'unavailable' for a remote that cannot be reached.
 */
export async function check(caller: Caller, options: CheckOptions): Promise<Check> {
  const client = new ClientRepository(caller)
  const repository = await client.open()
  try {
    const view = await lookAtGuarded(client, repository, options.remote)
    const commit = await client.resolveCommit(options.commit)
    const ref = fullRef(options.to ?? refsOf(view.inForce.policy).release)
    const push: CheckedPush = {
      remote: options.remote,
      ref,
      commit,
      current: view.refs.get(ref) ?? zeroOidLike(commit),
      record: view.snapshot.head.seq,
    }
    return await judge(repository, view, push, options.as, await pushSigning(client))
  } finally {
    repository.close()
  }
}

async function judge(
  repository: GitRepository,
  view: RemoteView,
  push: CheckedPush,
  pusher: string | undefined,
  signing: PushSigning,
): Promise<Check> {
  const { policy } = view.inForce
  const { staging, release } = refsOf(policy)
  const { ref, commit, current } = push
  const isUnsure = ref === release && policy.promotion.signedPush !== 'ignore' && signsInVain(signing)
  const judged = (foresight: Foresight, rules: readonly RuleName[]): Check => ({
    kind: 'judged',
    push,
    foresight,
    rules: rules.map((rule) => checkedRule(rule, foresight)),
    enforced: policy.enforcement === 'enforce',
    signsInVain: isUnsure ? signing.format : null,
    relayed: policy.guard === 'relay' && ref === release,
  })
  const branches = [staging, release, ...formerBranches(view.snapshot.state).map((former) => former.ref)]
  const branch = branches.find((one) => namesakesOf(one).includes(ref))
  if (branch !== undefined) return judged(foreseeNamesake(push, branch), ['namesake'])
  if (ref !== release && ref !== staging) {
    requireUnreserved(ref)
    return { kind: 'unguarded', push }
  }
  if (current === commit) return { kind: 'up-to-date', push }
  const update = { from: current, to: commit, ref }
  if (ref === staging) return judged(await foreseeStaging(repository, view, update), STAGING_RULES)
  const asked = { now: Date.now(), toleranceMs: 0, pusher }
  // Where no note is wanted nobody need read of it.
  const isAsked = (rule: RuleName) => rule !== 'note' || policy.promotion.notes === 'required'
  return judged(await foreseeRelease(repository, view, update, asked), RELEASE_RULES.filter(isAsked))
}

function checkedRule(rule: RuleName, foresight: Foresight): CheckedRule {
  const objections = foresight.report.objections.filter((one) => one.rule === rule)
  const waived = foresight.waived.filter((one) => one.rule === rule)
  return {
    rule,
    verdict:
      objections.length > 0
        ? 'refused'
        : waived.length > 0
          ? 'waived'
          : rule === 'note' && foresight.note
            ? 'needed'
            : 'passed',
    found: [...objections, ...waived].flatMap(({ found }) => found),
    fix: objections.flatMap(({ fix }) => fix),
  }
}

/** The server makes and moves no ref of such a name; whether it is there already does not matter. */
function foreseeNamesake({ ref, commit, current }: CheckedPush, branch: string): Foresight {
  const objections = [namesake(ref, branch, { to: commit, objectType: 'commit' })]
  const report = { ref, from: current, to: commit, what: '', objections }
  const nothing = {
    reason: '',
    note: false,
    pushers: [],
    signed: false,
    waived: [],
    broughtBack: [],
    remarks: [],
  }
  return { report, answer: 'no', ...nothing }
}

function requireUnreserved(ref: string): void {
  if (!isReserved(ref)) return
  const { found, fix } = reserved(ref)
  throw new HeadgateError('refused', found.join(' '), { hint: fix.join(' ') })
}
