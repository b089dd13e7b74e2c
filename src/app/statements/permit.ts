/** What permits exactly one move, once: an approval of a rollback, an override of named rules. */
import { randomUUID } from 'node:crypto'
import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { releaseRef } from '../../core/refs.ts'
import { statementPayload } from '../../core/statement.ts'
import { RULE_NAMES, type RuleName, WAIVABLE } from '../../core/verdict.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { requireDuration, requireKey, requireReason } from '../requirements.ts'
import { type StatementOptions, viewRelease } from './guarded-release.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type PermitOptions = StatementOptions & {
  /** Names of commits. */
  readonly from: string
  readonly to: string
  /** A duration. */
  readonly expires: string
}

/** The move that is permitted, as the statement names it. */
type NamedMove = {
  readonly ref: string
  readonly from: Oid
  readonly to: Oid
  readonly reason: string
  readonly nonce: string
  readonly issuedAt: string
  readonly expiresAt: string
}

export type Permission = {
  readonly move: NamedMove
  /** Both commits as short as they can be pasted. */
  readonly short: { readonly from: string; readonly to: string }
  /** Short name of the release branch. */
  readonly branch: string
  /** Whether a relay makes the move, and is asked for it. */
  readonly relayed: boolean
  /** Where that is now: the permission counts only while it is at the commit to go from. */
  readonly release: Oid | null
  readonly expiresMs: number
  /** However long it is valid, the policy lets it count for no longer than this. */
  readonly maxAgeMs: number
}

export function approve(
  caller: Caller,
  options: PermitOptions & { readonly trigger: string | undefined; readonly symptoms: string | undefined },
  tell: (event: SubmitEvent) => void,
): Promise<Permission> {
  const { trigger = null, symptoms = null } = options
  const write = (repository: string, move: NamedMove) =>
    statementPayload('approval', repository, move.to, { ...move, trigger, symptoms })
  return permit(caller, 'approval', options, write, tell)
}

export async function override(
  caller: Caller,
  options: PermitOptions & { readonly waive: readonly string[] },
  tell: (event: SubmitEvent) => void,
): Promise<Permission & { readonly waives: readonly RuleName[] }> {
  const waives = requireWaivable(options.waive)
  const write = (repository: string, move: NamedMove) =>
    statementPayload('override', repository, move.to, { ...move, waives })
  return { ...(await permit(caller, 'override', options, write, tell)), waives }
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

/** Signs and sends what allows exactly one move. */
async function permit(
  caller: Caller,
  kind: 'approval' | 'override',
  options: PermitOptions,
  write: (repository: string, move: NamedMove) => string,
  tell: (event: SubmitEvent) => void,
): Promise<Permission> {
  const key = requireKey(options.key, caller.environment)
  const reason = requireReason(options.reason)
  const expiresMs = requireDuration('expires', options.expires)
  const client = new ClientRepository(caller)
  // First, so that an approver need not fetch before the commits can be named.
  const { place, policy, release } = await viewRelease(client, options.remote)
  const from = await client.resolveCommit(options.from)
  const to = await client.resolveCommit(options.to)
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
  await signAndSubmit(client, { place, kind, payload: write(policy.repository, move), key }, tell)
  const short = { from: await client.abbreviate(from), to: await client.abbreviate(to) }
  const maxAgeMs = policy.rollback.approvalMaxAgeMs
  return {
    move,
    short,
    branch: policy.release,
    relayed: policy.guard === 'relay',
    release,
    expiresMs,
    maxAgeMs,
  }
}
