import { isZeroOid, shortOid } from './oid.ts'
import { printable } from './printable.ts'
import type { LedgerState } from './state.ts'
import type { Statement } from './statement.ts'

/**
 * One line for the ledger's commit subject, so that `git log` on it reads as an audit log. `state` is the ledger's after
 * the record: an outcome names its authorization by number, and people want to know what landed, and whose it was.
 */
export function summarizeRecord(by: string, statement: Statement, state: LedgerState): string {
  const at = shortOid(statement.commit)
  const line = (): string => {
    switch (statement.kind) {
      case 'evidence': {
        const { result, headgate } = statement.predicate
        return `evidence ${at} ${result.toLowerCase()} on ${headgate.environment}`
      }
      case 'approval': {
        const { from, to, ref } = statement.predicate
        return `approval to roll ${branchOf(ref)} back from ${shortOid(from)} to ${shortOid(to)}`
      }
      case 'override':
        return `OVERRIDE for ${at} waives ${statement.predicate.waives.join(', ')}: ${statement.predicate.reason}`
      case 'invalidation':
        return `evidence ${at} invalidated: ${statement.predicate.reason}`
      case 'freeze': {
        const { until, issuedAt, reason } = statement.predicate
        return Date.parse(until) <= Date.parse(issuedAt)
          ? `unfreeze: ${reason}`
          : `freeze until ${until}: ${reason}`
      }
      case 'drift': {
        const { ref, expected, found, reason } = statement.predicate
        return `drift of ${branchOf(ref)} from ${shortOid(expected)} to ${shortOid(found)} accepted: ${reason}`
      }
      case 'retire': {
        const { ref, reason } = statement.predicate
        return `${branchOf(ref)} retired: ${reason}`
      }
      case 'request': {
        const { ref, from, to } = statement.predicate
        const start = isZeroOid(from) ? '' : ` from ${shortOid(from)}`
        return `request to move ${branchOf(ref)}${start} to ${shortOid(to)}`
      }
      case 'authorization': {
        const { kind, from, to, ref, enforcement, objections } = statement.predicate['urn:headgate:move']
        const start = isZeroOid(from) ? '' : ` from ${shortOid(from)}`
        const evaluate =
          enforcement === 'evaluate' && objections.some((objection) => !objection.waived)
            ? ' (evaluate mode: would be refused)'
            : ''
        return `${kind} ${shortOid(to)} authorized on ${branchOf(ref)}${start}, by ${by}${evaluate}`
      }
      case 'outcome': {
        const { authorization, result } = statement.predicate
        const move = Object.values(state.landed).find(({ seq }) => seq === authorization)
        if (result === 'landed' && move !== undefined) return `${move.kind} ${at} landed, by ${move.by}`
        return `${at} ${result === 'landed' ? 'landed' : 'did not land'}, authorization ${authorization}`
      }
      case 'policy':
        return `policy version ${statement.predicate.version} applied, by ${by}`
    }
  }
  return printable(line(), 200)
}

function branchOf(ref: string): string {
  return ref.replace(/^refs\/heads\//, '')
}
