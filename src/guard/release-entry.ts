/** What the ledger says of a landed move, as an entry of the release log. */

import type { HistoryRecord } from '../core/history.ts'
import type { LoggedRun } from '../core/logged-run.ts'
import { isZeroOid } from '../core/oid.ts'
import { pushOption } from '../core/push-option.ts'
import type { LogEntry } from '../core/release-log.ts'
import { gatherHistory } from './gather-history.ts'
import type { RemoteView } from './guarded-view.ts'
import type { LandedMove } from './landed-moves.ts'

type TrustedRun = HistoryRecord<'evidence'> & { signer: { trusted: true } }

/**
 * The entry of a move; null for one that is no release: a baseline, an accepted drift. `next` is the move that followed,
 * if there is one: what production was tested for since then is about another commit.
 */
export async function releaseEntry(
  view: RemoteView,
  move: LandedMove,
  next: LandedMove | null,
): Promise<LogEntry | null> {
  const { authorized, record } = move
  if (!hasEntry(move) || authorized === null || record.statement.kind !== 'authorization') return null
  const { about } = await gatherHistory(view.snapshot, move.to, view.inForce)
  const inputs = new Set(record.statement.predicate.inputAttestations.map(({ digest }) => digest.sha256))
  const used = about.filter(({ envelopeDigest }) => inputs.has(envelopeDigest))
  const permissions = used.flatMap(({ statement }) =>
    statement.kind === 'approval' || statement.kind === 'override' ? [statement.predicate] : [],
  )
  const said = (key: 'trigger' | 'reason' | 'symptoms') =>
    permissions.map((permission) => permission[key]).find((text) => text) ?? null
  const option = (name: string) => pushOption(authorized.pushOptions, name)
  const evidence = used.find((one): one is TrustedRun => isRun(one, 'staging'))
  const smoke = smokeOf(about, move, next)
  const { staging, approvedBy } = authorized.facts
  const stagingUrl = move.kind === 'rollback' || evidence === undefined ? null : urlOf(evidence)
  const productionUrl =
    (smoke === null ? null : urlOf(smoke)) ?? view.inForce.policy.environments.production?.url ?? null
  return {
    kind: move.kind,
    commit: move.to,
    from: isZeroOid(move.from) ? null : move.from,
    at: move.authorizedAt,
    operator: move.by,
    stagingBase: typeof staging === 'string' ? staging : null,
    ...(stagingUrl === null ? {} : { stagingUrl }),
    stagingGates: move.kind === 'rollback' || evidence === undefined ? null : loggedRun(evidence),
    waived: [...new Set(authorized.objections.filter(({ waived }) => waived).map(({ rule }) => rule))],
    approvedBy: Array.isArray(approvedBy) ? approvedBy.filter((name) => typeof name === 'string') : [],
    trigger: said('trigger') ?? option('trigger'),
    reason: said('reason'),
    symptoms: said('symptoms') ?? option('symptoms'),
    smoke: smoke === null ? null : loggedRun(smoke),
    ...(productionUrl === null ? {} : { productionUrl }),
    notes: option('note'),
    plan: option('plan'),
    record: move.seq,
  }
}

/** Whether it is a release: a baseline and an accepted drift are none. */
export function hasEntry<Kind extends { kind: LandedMove['kind'] }>(
  move: Kind,
): move is Kind & { kind: LogEntry['kind'] } {
  return move.kind === 'promotion' || move.kind === 'rollback' || move.kind === 'override'
}

/** The newest trusted run against production that was recorded while the move's commit was the release. */
export async function recordedSmoke(view: RemoteView, move: LandedMove): Promise<LoggedRun | null> {
  const { about } = await gatherHistory(view.snapshot, move.to, view.inForce)
  const smoke = smokeOf(about, move, null)
  return smoke === null ? null : loggedRun(smoke)
}

function smokeOf(
  about: readonly HistoryRecord[],
  move: LandedMove,
  next: LandedMove | null,
): TrustedRun | null {
  const since = Date.parse(move.authorizedAt)
  const run = about.findLast(
    (one): one is TrustedRun =>
      isRun(one, 'production') &&
      one.seq > move.seq &&
      (next === null || one.seq < next.seq) &&
      // A run of an earlier time that is delivered late says nothing about this one.
      Date.parse(one.statement.predicate.headgate.finishedAt) >= since - CLOCK_TOLERANCE_MS,
  )
  return run ?? null
}

/** The machine that ran it has a clock of its own. */
const CLOCK_TOLERANCE_MS = 5 * 60_000

function isRun(record: HistoryRecord, environment: string): record is TrustedRun {
  const { statement, signer } = record
  return (
    statement.kind === 'evidence' &&
    signer.trusted &&
    statement.predicate.headgate.environment === environment
  )
}

function urlOf({ statement }: TrustedRun): string | null {
  return statement.predicate.headgate.baseUrl ?? null
}

function loggedRun({ seq, signer, statement }: TrustedRun): LoggedRun {
  const { result, headgate } = statement.predicate
  return {
    result,
    finishedAt: new Date(headgate.finishedAt).toISOString(),
    record: seq,
    by: signer.principal,
    gates: headgate.gates.map(({ name, outcome }) => ({ name, outcome })),
  }
}
