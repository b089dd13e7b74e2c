/** The moves as the ledger tells them, and what it holds about a commit or a move, to take along. */

import { objectionToTip } from '../../audit/audit-start.ts'
import { type AuditedMove, closeMove, moveOf } from '../../audit/audited-move.ts'
import { bundleOf, makeReceipt } from '../../audit/receipt.ts'
import { HeadgateError } from '../../core/errors.ts'
import { isOid, type Oid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { GitRepository } from '../../git/repository.ts'
import { listEntries, readEntries } from '../../ledger/entry-list.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { openAuditSource } from './audit-source.ts'
import type { PolicyListing } from './log-policies.ts'

export type LogOptions = {
  readonly remote: string
  readonly offline: boolean
  /** Only moves to or from this commit, as the user names it. */
  readonly commit: string | undefined
  /** From `since` on and before `until`, ms since the epoch. */
  readonly since: number | null
  readonly until: number | null
  readonly by: string | undefined
  readonly kind: AuditedMove['kind'] | 'policy' | undefined
  /** The last so many. */
  readonly limit: number | undefined
  /** The commit, as the user names it, whose statements are asked for instead of a list. */
  readonly export: string | undefined
  /** The record of the authorization whose receipt is asked for instead of a list. */
  readonly receipt: number | undefined
}

/** `earlier`: how many more there are that the limit leaves out. */
export type LogResult =
  | { readonly kind: 'moves'; readonly moves: readonly AuditedMove[]; readonly earlier: number }
  | { readonly kind: 'policies'; readonly policies: readonly PolicyListing[]; readonly earlier: number }
  | { readonly kind: 'bundle'; readonly text: string }
  | { readonly kind: 'receipt'; readonly text: string }

export async function log(caller: Caller, options: LogOptions): Promise<LogResult> {
  const commit = options.commit === undefined ? null : await commitNamed(caller, options.commit)
  if (options.limit !== undefined && !(Number.isInteger(options.limit) && options.limit > 0)) {
    throw new HeadgateError('usage', '--limit takes a whole number above zero', {
      hint: 'such as --limit 10',
    })
  }
  const source = await openAuditSource(caller, options)
  try {
    const { repository, tip } = source
    const objection = await objectionToTip(repository, tip)
    if (tip === null || objection !== null || source.snapshot === null) {
      throw new HeadgateError('data', objection ?? 'the ledger cannot be read', {
        hint: 'headgate verify says what is wrong with it',
      })
    }
    if (options.export !== undefined)
      return { kind: 'bundle', text: await statementsAbout(caller, repository, tip, options.export) }
    if (options.receipt !== undefined)
      return { kind: 'receipt', text: await makeReceipt(repository, tip, options.receipt) }
    const isThen = whenOf(options)
    if (options.kind === 'policy') {
      const { listPolicies } = await import('./log-policies.ts')
      const { shown, earlier } = lastOf((await listPolicies(repository, tip)).filter(isThen), options.limit)
      return { kind: 'policies', policies: shown, earlier }
    }
    const moves = (await movesOf(repository, tip)).filter(
      (move) =>
        isThen(move) &&
        (options.kind === undefined || move.kind === options.kind) &&
        (commit === null || move.from === commit || move.to === commit),
    )
    const { shown, earlier } = lastOf(moves, options.limit)
    return { kind: 'moves', moves: shown, earlier }
  } finally {
    source.close()
  }
}

function lastOf<T>(all: readonly T[], limit: number | undefined): { shown: readonly T[]; earlier: number } {
  const shown = limit === undefined ? all : all.slice(-limit)
  return { shown, earlier: all.length - shown.length }
}

/** Only what moves is read: on the way to a move most records are evidence. */
async function movesOf(repository: GitRepository, tip: Oid): Promise<AuditedMove[]> {
  const entries = await listEntries(repository, tip)
  const wanted = entries.filter(({ kind }) => kind === 'authorization' || kind === 'outcome')
  const moves = new Map<number, AuditedMove>()
  for await (const record of readEntries(repository, wanted)) {
    const move = moveOf(record)
    if (move !== null) moves.set(record.seq, move)
    if (record.statement.kind !== 'outcome') continue
    const { authorization } = record.statement.predicate
    const open = moves.get(authorization)
    if (open?.outcome === 'open') moves.set(authorization, closeMove(open, record))
  }
  return [...moves.values()]
}

/** When it was, and by whom. */
function whenOf({ since, until, by: name }: LogOptions) {
  return ({ at, by }: { readonly at: string; readonly by: string }) => {
    const ms = Date.parse(at)
    return (
      (since === null || ms >= since) && (until === null || ms < until) && (name === undefined || by === name)
    )
  }
}

/** A commit that the ledger speaks of need not be in this clone any more; its full id will do. */
async function commitNamed(caller: Caller, name: string): Promise<Oid> {
  return isOid(name) ? name : new ClientRepository(caller).resolveCommit(name)
}

async function statementsAbout(
  caller: Caller,
  repository: GitRepository,
  tip: Oid,
  name: string,
): Promise<string> {
  const commit = await commitNamed(caller, name)
  const entries = (await listEntries(repository, tip)).filter((entry) => entry.commit === commit)
  if (entries.length === 0) {
    throw new HeadgateError('refused', `the ledger says nothing about ${printable(commit)}`, {
      hint: 'headgate log lists the commits that moved',
    })
  }
  const records = []
  for await (const record of readEntries(repository, entries)) records.push(record)
  return bundleOf(records)
}
