/** `headgate log`: the moves as the ledger tells them, and what it holds about a commit or a move, to take along. */

import { objectionToTip } from '../../audit/audit-start.ts'
import { type AuditedMove, closeMove, moveOf } from '../../audit/audited-move.ts'
import { bundleOf, makeReceipt } from '../../audit/receipt.ts'
import { markdown, note, print, printExactly, printJson, table } from '../../cli/output.ts'
import { thisCaller } from '../../cli/this-caller.ts'
import { wrapText } from '../../cli/wrap-text.ts'
import { HeadgateError } from '../../core/errors.ts'
import { isOid, isZeroOid, type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { GitRepository } from '../../git/repository.ts'
import { listEntries, readEntries } from '../../ledger/entry-list.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { openAuditSource } from './audit-source.ts'
import { parseDate } from './verify.ts'

type LogOptions = {
  readonly commit: string | undefined
  readonly remote: string
  readonly offline: boolean
  readonly format: 'text' | 'md' | 'json'
  readonly since: string | undefined
  readonly until: string | undefined
  readonly by: string | undefined
  readonly kind: AuditedMove['kind'] | 'policy' | undefined
  readonly limit: number | undefined
  readonly export: string | undefined
  readonly receipt: number | undefined
}

export async function log(options: LogOptions): Promise<void> {
  const filter = await filterOf(options)
  if (options.limit !== undefined && !(Number.isInteger(options.limit) && options.limit > 0)) {
    throw new HeadgateError('usage', '--limit takes a whole number above zero', {
      hint: 'such as --limit 10',
    })
  }
  const source = await openAuditSource(thisCaller(), options)
  try {
    const { repository, tip } = source
    const objection = await objectionToTip(repository, tip)
    if (tip === null || objection !== null || source.snapshot === null) {
      throw new HeadgateError('data', objection ?? 'the ledger cannot be read', {
        hint: 'headgate verify says what is wrong with it',
      })
    }
    if (options.export !== undefined) {
      await exportBundle(repository, tip, options.export)
      return
    }
    if (options.receipt !== undefined) {
      printExactly(await makeReceipt(repository, tip, options.receipt))
      return
    }
    if (options.kind === 'policy') {
      const { showPolicies } = await import('./log-policies.ts')
      await showPolicies(repository, tip, { ...options, filter: whenOf(options) })
      return
    }
    const moves = (await movesOf(repository, tip)).filter(filter)
    const shown = options.limit === undefined ? moves : moves.slice(-options.limit)
    show(shown, options.format)
    if (shown.length < moves.length) note(`${moves.length - shown.length} earlier ones are not listed`)
  } finally {
    source.close()
  }
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
function whenOf(options: LogOptions): (record: { readonly at: string; readonly by: string }) => boolean {
  const since = options.since === undefined ? Number.NEGATIVE_INFINITY : parseDate(options.since)
  const until = options.until === undefined ? Number.POSITIVE_INFINITY : parseDate(options.until)
  return ({ at, by }) => {
    const ms = Date.parse(at)
    return ms >= since && ms < until && (options.by === undefined || by === options.by)
  }
}

async function filterOf(options: LogOptions): Promise<(move: AuditedMove) => boolean> {
  const isThen = whenOf(options)
  const commit = options.commit === undefined ? null : await resolve(options.commit)
  return (move) => {
    const { kind, from, to } = move
    return (
      isThen(move) &&
      (options.kind === undefined || kind === options.kind) &&
      (commit === null || from === commit || to === commit)
    )
  }
}

/** A commit that the ledger speaks of need not be in this clone any more; its full id will do. */
async function resolve(name: string): Promise<Oid> {
  return isOid(name) ? name : new ClientRepository(thisCaller()).resolveCommit(name)
}

async function exportBundle(repository: GitRepository, tip: Oid, name: string): Promise<void> {
  const commit = await resolve(name)
  const entries = (await listEntries(repository, tip)).filter((entry) => entry.commit === commit)
  if (entries.length === 0) {
    throw new HeadgateError('refused', `the ledger says nothing about ${printable(commit)}`, {
      hint: 'headgate log lists the commits that moved',
    })
  }
  const records = []
  for await (const record of readEntries(repository, entries)) records.push(record)
  process.stdout.write(bundleOf(records))
}

function show(moves: readonly AuditedMove[], format: LogOptions['format']): void {
  if (format === 'json') {
    printJson({ moves })
    return
  }
  if (moves.length === 0) {
    print('no move is recorded that fits')
    return
  }
  const rows = moves.map((move) => [
    String(move.record),
    move.at,
    kindOf(move),
    `${end(move.from)} -> ${end(move.to)}`,
    move.by,
    move.outcome === 'open' ? 'no outcome yet' : move.outcome.replace('-', ' '),
  ])
  const header = ['record', 'at', 'move', 'commits', 'by', 'outcome']
  if (format === 'text') {
    print(logText(moves))
    return
  }
  const line = (cells: readonly string[]) => `| ${cells.map(markdown).join(' | ')} |`
  print([line(header), `|${header.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n'))
}

/** A line of at most 80 columns for each move; what is special about it stands below. */
function logText(moves: readonly AuditedMove[]): string {
  const rows = moves.map((move) => [
    String(move.record),
    `${move.at.slice(0, 10)} ${move.at.slice(11, 19)}Z`,
    move.kind === 'override' ? 'OVERRIDE' : move.kind,
    `${end(move.from)} -> ${end(move.to)}`,
    printable(move.by, BY_WIDTH),
  ])
  const [header = '', ...lines] = table(['record', 'at', 'move', 'commits', 'by'], rows).split('\n')
  const below = moves.map((move) => {
    const details = [...outcomeOf(move), ...detailsOf(move)]
    return details.length === 0 ? [] : wrapText(details.join('; '), 78).map((line) => `  ${line}`)
  })
  return [header, ...lines.flatMap((line, index) => [line, ...(below[index] ?? [])])].join('\n')
}

/** What is left of 80 columns. */
const BY_WIDTH = 18

/** Most moves have landed. */
function outcomeOf({ outcome }: AuditedMove): string[] {
  if (outcome === 'landed') return []
  return [outcome === 'open' ? 'no outcome yet' : 'it did not land']
}

function detailsOf({ waived, passed, approvedBy }: AuditedMove): string[] {
  return [
    ...(waived.length === 0 ? [] : [`waives ${waived.join(', ')}`]),
    ...(approvedBy.length === 0 ? [] : [`approved by ${approvedBy.join(', ')}`]),
    ...(passed ? [] : ['only evaluated']),
  ].map((detail) => printable(detail, 400))
}

function kindOf(move: AuditedMove): string {
  const details = detailsOf(move)
  return `${move.kind === 'override' ? 'OVERRIDE' : move.kind}${details.length === 0 ? '' : ` (${details.join('; ')})`}`
}

function end(oid: Oid): string {
  return isZeroOid(oid) ? '-' : shortOid(oid)
}
