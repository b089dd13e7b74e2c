/** Everything about one authorization: it is decided again, and what it spends and where it starts from is looked at. */

import { HeadgateError } from '../core/errors.ts'
import { type HistoryRecord, movesTo } from '../core/history.ts'
import { isZeroOid, shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { releaseRef } from '../core/refs.ts'
import { payloadsOf } from '../core/single-use.ts'
import type { LedgerState } from '../core/state.ts'
import type { CommitAncestry } from '../git/commit-ancestry.ts'
import { compareWithBars } from '../git/gather-bars.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import { MAX_RECORDS_ABOUT } from '../ledger/ledger-tree.ts'
import type { CommitHistories } from './commit-histories.ts'
import type { Finding, Findings } from './finding.ts'
import { type MoveGraph, movedCommits, replay } from './replay.ts'
import { statesBars, wrongBaseline } from './stated-facts.ts'

export type AuthorizationInput = {
  readonly record: LedgerRecord
  readonly sealedBy: string | null
  readonly inForce: PolicyInForce
  /** Before this record. */
  readonly state: LedgerState
  /** Whether the record before it puts a policy in force. */
  readonly afterPolicy: boolean
  readonly findings: Findings
}

export async function checkAuthorization(
  input: AuthorizationInput,
  histories: CommitHistories,
  ancestry: CommitAncestry,
): Promise<void> {
  const { record, state, findings } = input
  if (record.statement.kind !== 'authorization') return
  const move = record.statement.predicate['urn:headgate:move']
  const add = reporter(input)
  const open = state.open.find(({ ref }) => ref === move.ref)
  if (open !== undefined) {
    add(
      'violation',
      'outcome',
      `it was given while the authorization in record ${open.seq} had no outcome yet`,
      'look at the moves of both commits; the server never permits two at a time',
    )
  }
  if (move.kind === 'bootstrap') return checkBootstrap(input)
  let about: readonly HistoryRecord[]
  try {
    about = await histories.about(move.to, record.seq)
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code === 'unavailable') throw error
    about = []
    add('violation', 'replay', `the records about its commit cannot be read: ${error.message}`, ASK)
  }
  if (about.length > MAX_RECORDS_ABOUT) {
    const found = `there are more than ${MAX_RECORDS_ABOUT} records about its commit, and the server judges none such`
    add('violation', 'replay', found, ASK)
    return
  }
  const graph = await graphOf(input, ancestry)
  const { contradictions, verdict } = replay(record, input.inForce, { state, about }, graph)
  for (const { grade, rule, found } of contradictions) add(grade, rule, found, FIXES[grade])
  checkSpent(input, about)
  if (move.enforcement === 'evaluate' && verdict !== null && verdict.verdict === 'refused') {
    const rules = [...new Set(verdict.objections.map(({ rule }) => rule))].join(', ')
    add(
      'exception',
      'override',
      `${move.kind} of ${shortOid(move.to)} by ${printable(record.by, 80)} was only evaluated; it would have been refused: ${rules}`,
      'nothing is refused in evaluate mode: set enforcement: enforce',
    )
  }
  for (const used of usedPermissions(about, move.kind, inputsOf(record))) {
    if (used.statement.kind !== 'override' || !used.signer.trusted) continue
    const { reason, waives } = used.statement.predicate
    findings.add({
      grade: 'exception',
      rule: 'override',
      record: record.seq,
      at: record.at,
      commit: move.to,
      key: used.signer.fingerprint,
      found: `OVERRIDE by ${printable(used.signer.principal, 80)} (record ${used.seq}) waived ${printable(waives.join(', '), 200)}: ${printable(reason, 300)}`,
      fix: 'ask whether the reason holds, and whether what was waived was made up for',
    })
  }
}

const ASK = 'ask the server admin, and look at this move with: headgate verify --commit COMMIT'
const FIXES: Readonly<Record<Finding['grade'], string>> = {
  violation: 'the server recorded what the rules do not allow: find out who changed it, and look at the move',
  exception: 'look at the record, and ask who pushed',
  note: 'fetch the commit, where somebody still has it, and verify again',
}

function reporter({ record, sealedBy, findings }: AuthorizationInput) {
  return (grade: Finding['grade'], rule: Finding['rule'], found: string, fix: string): void =>
    findings.add({
      grade,
      rule,
      record: record.seq,
      at: record.at,
      commit: record.statement.commit,
      key: sealedBy,
      found,
      fix,
    })
}

/** The release that was there before headgate, as the admin found it who applied the policy in the same step. */
function checkBootstrap(input: AuthorizationInput): void {
  const { record, state, afterPolicy, inForce } = input
  const move = movedCommits(record)
  if (record.statement.kind !== 'authorization' || move === null) return
  const { ref } = record.statement.predicate['urn:headgate:move']
  const add = reporter(input)
  const known = state.landed[ref]
  const isBaseline = ref === releaseRef(inForce.policy) && isZeroOid(move.from)
  if (!afterPolicy || known !== undefined || !isBaseline || isZeroOid(move.to)) {
    const why =
      known === undefined ? 'no policy was applied with it' : `record ${known.seq} had put it elsewhere`
    add('violation', 'replay', `it takes ${shortOid(move.to)} as found at installation, and ${why}`, ASK)
    return
  }
  for (const difference of wrongBaseline(record, inForce)) add('violation', 'replay', difference, ASK)
  if (inForce.version > 1) {
    const found = `policy version ${inForce.version} took ${shortOid(move.to)} as the release, as it found ${printable(ref, 200)}: nothing proves it`
    add('exception', 'installation', found, 'ask who put it there; the next promotion is proved')
    return
  }
  add(
    'note',
    'installation',
    `${shortOid(move.to)} was the release before headgate was there: nothing proves it`,
    'the next promotion is proved',
  )
}

async function graphOf(
  { record, state, inForce }: AuthorizationInput,
  ancestry: CommitAncestry,
): Promise<MoveGraph> {
  const none = { found: [], unknown: [] }
  const commits = movedCommits(record)
  if (commits === null) throw new TypeError('only an authorization moves')
  const { from, to, staging } = commits
  if (isZeroOid(to)) return { objectType: 'missing', onStaging: false, fastForward: false, bars: none }
  const objectType = await ancestry.typeOf(to)
  if (objectType !== null && objectType !== 'commit')
    return { objectType, onStaging: false, fastForward: false, bars: none }
  const [onStaging, fastForward] = await Promise.all([
    staging === null ? false : ancestry.contains(to, staging),
    isZeroOid(from) ? true : ancestry.contains(from, to),
  ])
  const { releaseLog } = inForce.policy
  const bars = statesBars(record, inForce)
    ? await compareWithBars(
        state.bars.map(({ commit }) => commit),
        { from, to },
        {
          codeOf: (commit) => ancestry.codeOf(commit, releaseLog),
          contains: (commit) => ancestry.contains(commit, to),
          ships: async (commit) => {
            const isIn = await ancestry.contains(commit, to)
            if (isIn !== true || isZeroOid(from)) return isIn
            const wasIn = await ancestry.contains(commit, from)
            return wasIn === null ? null : !wasIn
          },
        },
      )
    : none
  return { objectType, onStaging, fastForward, bars }
}

function inputsOf(record: LedgerRecord): string[] {
  if (record.statement.kind !== 'authorization') return []
  return record.statement.predicate.inputAttestations.map((input) => input.digest.sha256)
}

/** The approvals and overrides among the statements that a move rests on. */
function usedPermissions(
  about: readonly HistoryRecord[],
  kind: string,
  inputs: readonly string[],
): HistoryRecord[] {
  if (kind !== 'rollback' && kind !== 'override') return []
  return about.filter(
    ({ statement, envelopeDigest }) =>
      (statement.kind === 'approval' || statement.kind === 'override') && inputs.includes(envelopeDigest),
  )
}

/** A permission is for one move; one that did not land has spent nothing. */
function checkSpent(input: AuthorizationInput, about: readonly HistoryRecord[]): void {
  const { record } = input
  if (record.statement.kind !== 'authorization') return
  const move = record.statement.predicate['urn:headgate:move']
  const used = usedPermissions(about, move.kind, inputsOf(record))
  if (used.length === 0) return
  for (const earlier of movesTo(about, move.ref, move.to)) {
    if (earlier.outcome === 'not-landed') continue
    const inputs = earlier.authorization.statement.predicate.inputAttestations.map(
      ({ digest }) => digest.sha256,
    )
    const spent = payloadsOf(about, new Set(inputs))
    for (const permission of used) {
      if (!spent.has(permission.statement.payloadDigest)) continue
      reporter(input)(
        'violation',
        'approval',
        `it spends the ${permission.statement.kind} in record ${permission.seq}, which record ${earlier.authorization.seq} had spent`,
        'an approval is for one move: find out who changed the server, and look at both moves',
      )
    }
  }
}
