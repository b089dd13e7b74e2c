/** What `headgate log` prints. */
import type { LogResult } from '../../app/audit/log.ts'
import type { AuditedMove } from '../../audit/audited-move.ts'
import { isZeroOid, type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { markdown, note, print, printExactly, printJson, table } from '../output.ts'
import { wrapText } from '../wrap-text.ts'
import { showPolicies } from './log-policies.ts'

export type LogFormat = 'text' | 'md' | 'json'

export function showLog(result: LogResult, format: LogFormat): void {
  switch (result.kind) {
    case 'bundle':
      process.stdout.write(result.text)
      return
    case 'receipt':
      printExactly(result.text)
      return
    case 'policies':
      showPolicies(result.policies, format)
      break
    case 'moves':
      showMoves(result.moves, format)
      break
  }
  if (result.earlier > 0) note(`${result.earlier} earlier ones are not listed`)
}

function showMoves(moves: readonly AuditedMove[], format: LogFormat): void {
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
