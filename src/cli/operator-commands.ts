import { randomUUID } from 'node:crypto'
import { ClientRepository } from '../app/clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../app/clone/guarded-place.ts'
import { viewGuarded } from '../app/clone/guarded-remote.ts'
import { remoteWord, shownRemote } from '../app/clone/shown-remote.ts'
import { requireDuration, requireKey, requireReason } from '../app/requirements.ts'
import { signAndSubmit } from '../app/statements/submit.ts'
import { HeadgateError } from '../core/errors.ts'
import { type Oid, shortOid, zeroOidLike } from '../core/oid.ts'
import { formatDuration } from '../core/policy/duration.ts'
import type { Policy } from '../core/policy/policy.ts'
import { printable, shellWord } from '../core/printable.ts'
import { releaseRef } from '../core/refs.ts'
import type { LedgerState } from '../core/state.ts'
import { statementPayload } from '../core/statement.ts'
import { RULE_NAMES, type RuleName, WAIVABLE } from '../core/verdict.ts'
import { refsOf } from '../guard/foresee.ts'
import { colour, note, print, printJson } from './output.ts'
import { tellSubmit } from './screens/submit.ts'
import { thisCaller } from './this-caller.ts'

type Common = {
  readonly reason: string
  readonly key: string | undefined
  readonly remote: string
  readonly json: boolean
}

type Permission = Common & { readonly from: string; readonly to: string; readonly expires: string }

export async function approve(
  options: Permission & { trigger: string | undefined; symptoms: string | undefined },
): Promise<void> {
  const { release, to, from, push, move } = await permit('approval', options, (repository, move) =>
    statementPayload('approval', repository, move.to, {
      ...move,
      trigger: options.trigger ?? null,
      symptoms: options.symptoms ?? null,
    }),
  )
  if (options.json) return printJson({ recorded: 'approval', remote: options.remote, ...told(move), push })
  print(`approved: ${release} from ${from} back to ${to}, once, for ${options.expires}. An operator runs:`)
  print(`  ${push}`)
}

export async function override(options: Permission & { waive: readonly string[] }): Promise<void> {
  const waives = requireWaivable(options.waive)
  const { release, to, from, push, move } = await permit('override', options, (repository, move) =>
    statementPayload('override', repository, move.to, { ...move, waives }),
  )
  if (options.json)
    return printJson({ recorded: 'override', remote: options.remote, waives, ...told(move), push })
  print(
    `${colour('red', 'OVERRIDE recorded')}: ${waives.join(', ')} waived once for ${release} ${from} -> ${to}. An operator runs:`,
  )
  print(`  ${push}`)
}

function requireWaivable(waive: readonly string[]): RuleName[] {
  const names = [...new Set(waive.flatMap((list) => list.split(',')).filter((name) => name !== ''))]
  const waivable = `these can be waived: ${[...WAIVABLE].join(', ')}`
  for (const name of names) {
    if (WAIVABLE.has(name as RuleName)) continue
    const known = (RULE_NAMES as readonly string[]).includes(name)
    const shown = printable(name, 60)
    throw new HeadgateError(
      'usage',
      known ? `the rule ${shown} cannot be waived` : `there is no rule named "${shown}"`,
      { hint: waivable },
    )
  }
  if (names.length === 0) throw new HeadgateError('usage', '--waive names no rule', { hint: waivable })
  return names as RuleName[]
}

/** What approvals and overrides have in common. */
type NamedMove = {
  readonly ref: string
  readonly from: Oid
  readonly to: Oid
  readonly reason: string
  readonly nonce: string
  readonly issuedAt: string
  readonly expiresAt: string
}

/** What programs may want to know of it. */
function told({ ref, from, to, expiresAt }: NamedMove): object {
  return { ref, from, to, expiresAt }
}

/** Signs and sends what allows exactly one move; returns its parts for the message and the push that makes it. */
async function permit(
  kind: 'approval' | 'override',
  options: Permission,
  write: (repository: string, move: NamedMove) => string,
): Promise<{ release: string; from: string; to: string; push: string; move: NamedMove }> {
  const key = requireKey(options.key, thisCaller().environment)
  const reason = requireReason(options.reason)
  const expiresMs = requireDuration('expires', options.expires)
  const repository = new ClientRepository(thisCaller())
  // First, so that an approver need not fetch before the commits can be named.
  const { place, policy, release } = await remoteView(repository, options.remote)
  const from = await repository.resolveCommit(options.from)
  const to = await repository.resolveCommit(options.to)
  if (from === to) {
    throw new HeadgateError('usage', `--from and --to are the same commit, ${shortOid(to)}`, {
      hint: 'from is the release as it is now, to the one that it must become',
    })
  }
  const now = Date.now()
  const move: NamedMove = {
    ref: releaseRef(policy),
    from,
    to,
    reason,
    nonce: randomUUID(),
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + expiresMs).toISOString(),
  }
  const payload = write(policy.repository, move)
  await signAndSubmit(repository, { place, kind, payload, key }, tellSubmit)
  if (release !== from) {
    const is = release === null ? 'does not exist' : `is at ${shortOid(release)}`
    note(`remark: ${policy.release} ${is}, and this counts only while it is at ${shortOid(from)}`)
  }
  if (expiresMs > policy.rollback.approvalMaxAgeMs) {
    note(`remark: the policy lets it count for ${formatDuration(policy.rollback.approvalMaxAgeMs)} only`)
  }
  const [shortFrom, shortTo] = [await repository.abbreviate(from), await repository.abbreviate(to)]
  const lease = shellWord(`--force-with-lease=${policy.release}:${shortFrom}`)
  return {
    release: policy.release,
    from: shortFrom,
    to: shortTo,
    push: `git push ${lease} ${remoteWord(options.remote)} ${shellWord(`${shortTo}:refs/heads/${policy.release}`)}`,
    move,
  }
}

/** Freezes for a duration; null ends the freeze in force. */
export async function freeze(options: Common, duration: string | null): Promise<void> {
  const key = requireKey(options.key, thisCaller().environment)
  const reason = requireReason(options.reason)
  const lastingMs = duration === null ? 0 : requireDuration('for', duration)
  const repository = new ClientRepository(thisCaller())
  const { place, policy, state, release } = await remoteView(repository, options.remote)
  if (release === null) {
    throw new HeadgateError(
      'configuration',
      `there is no ${policy.release} on ${shownRemote(options.remote)} yet, and a freeze speaks of its tip`,
      { hint: 'freeze it after the first promotion' },
    )
  }
  const now = Date.now()
  const answer = { remote: options.remote, ref: releaseRef(policy), commit: release }
  if (duration === null && (state.freeze === null || Date.parse(state.freeze.until) <= now)) {
    if (options.json) printJson({ recorded: null, ...answer, until: null })
    else print(`${policy.release} is not frozen`)
    return
  }
  const until = new Date(now + lastingMs).toISOString()
  const payload = statementPayload('freeze', policy.repository, release, {
    until,
    reason,
    issuedAt: new Date(now).toISOString(),
  })
  await signAndSubmit(repository, { place, kind: 'freeze', payload, key }, tellSubmit)
  if (options.json)
    return printJson({ recorded: 'freeze', ...answer, until: duration === null ? null : until })
  print(
    duration === null
      ? `${policy.release} is no longer frozen`
      : `${policy.release} is ${colour('yellow', 'frozen')} until ${until}; rollbacks stay possible`,
  )
}

export async function acceptDrift(options: Common): Promise<void> {
  const key = requireKey(options.key, thisCaller().environment)
  const reason = requireReason(options.reason)
  const repository = new ClientRepository(thisCaller())
  const { place, policy, state, release } = await remoteView(repository, options.remote)
  const ref = releaseRef(policy)
  const expected = state.landed[ref]?.to ?? null
  const known = release ?? expected
  const answer = { remote: options.remote, ref, expected, found: release }
  if (known === null || (expected ?? zeroOidLike(known)) === (release ?? zeroOidLike(known))) {
    if (options.json) return printJson({ recorded: null, ...answer })
    print(`${policy.release} has not drifted: it is where its last landed move put it`)
    return
  }
  const payload = statementPayload('drift', policy.repository, known, {
    ref,
    expected: expected ?? zeroOidLike(known),
    found: release ?? zeroOidLike(known),
    reason,
    issuedAt: new Date().toISOString(),
  })
  await signAndSubmit(repository, { place, kind: 'drift', payload, key }, tellSubmit)
  if (options.json) return printJson({ recorded: 'drift', ...answer })
  print(
    `accepted: ${policy.release} ${release === null ? 'does not exist' : `is at ${shortOid(release)}`}; the next move starts from there`,
  )
}

/** Where statements go, what the ledger there says, and where its release branch is now. */
async function remoteView(
  client: ClientRepository,
  remote: string,
): Promise<{ place: GuardedPlace; policy: Policy; state: LedgerState; release: Oid | null }> {
  const place = await guardedPlace(client, remote)
  const { inForce, snapshot, refs } = await viewGuarded(client, place.reads)
  const { policy } = inForce
  return { place, policy, state: snapshot.state, release: refs.get(refsOf(policy).release) ?? null }
}
