/** Where everything stands, and what can be done next. */

import { namedHosts } from '../app/clone/allowed.ts'
import { ClientRepository } from '../app/clone/client-repository.ts'
import { lookAtGuarded, requireHistory } from '../app/clone/guarded-remote.ts'
import { loggedRecordsOf } from '../app/release/logged-records.ts'
import { promoteLine } from '../app/release/promote-line.ts'
import { isUnfinished } from '../app/release/unfinished.ts'
import { lookAtAll } from '../app/served-commits.ts'
import type { Oid } from '../core/oid.ts'
import type { GitRepository } from '../git/repository.ts'
import { type Candidate, type Described, isOffered } from '../guard/candidates.ts'
import { refsOf } from '../guard/foresee.ts'
import { gatherStatus, type Status } from '../guard/gather-status.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import type { LandedMove } from '../guard/landed-moves.ts'
import type { RollbackOption } from '../guard/rollback-targets.ts'
import { note, print, printJson } from './output.ts'
import { type StatusReport, statusText } from './screens/status.ts'
import { thisCaller } from './this-caller.ts'

export type StatusOptions = {
  readonly remote: string
  /** Candidates that are listed. */
  readonly limit: number
  /** Whether staging and production are asked what they serve. */
  readonly environments: boolean
  readonly json: boolean
}

export async function showStatus(options: StatusOptions): Promise<void> {
  const client = new ClientRepository(thisCaller())
  const repository = await client.open()
  try {
    requireHistory(repository, options.remote)
    const view = await lookAtGuarded(client, repository, options.remote)
    const { policy } = view.inForce
    const now = Date.now()
    const [serving, status] = await Promise.all([
      options.environments ? lookAtAll(policy, await namedHosts(client)) : null,
      gatherStatus(repository, view, { limit: options.limit, now }),
    ])
    const named = [
      status.lastMove?.to,
      status.promotable?.oid,
      status.candidates[0]?.oid,
      ...status.wayBack.map((option) => option.commit),
    ]
    const abbreviated = new Map<Oid, string>()
    for (const oid of named) if (oid !== undefined) abbreviated.set(oid, await client.abbreviate(oid))
    const unfinished = await findUnfinished(client, repository, view, status, now)
    const report = { status, policy, remote: options.remote, serving, abbreviated, unfinished, now }
    for (const served of [serving?.staging, serving?.production])
      if (served?.kind === 'unknown' && served.hint !== undefined)
        note(`remark: ${served.reason}\n  ${served.hint}`)
    if (options.json) printJson(statusJson(report))
    else print(statusText(report))
  } finally {
    repository.close()
  }
}

/** The last move, if `promote` or `rollback` would go on with it. */
async function findUnfinished(
  client: ClientRepository,
  repository: GitRepository,
  view: RemoteView,
  { lastMove, drift }: Status,
  now: number,
): Promise<LandedMove | null> {
  if (lastMove === null || drift !== null || view.refs.get(refsOf(view.inForce.policy).staging) === undefined)
    return null
  const logged = await loggedRecordsOf(client, repository, view)
  return isUnfinished(lastMove, logged, now) ? lastMove : null
}

function statusJson({ status, policy, remote, serving, unfinished }: StatusReport): object {
  const { lastMove, wayBack, candidates, promotable, bars, pending, freeze, ...rest } = status
  const { seq, kind, from, to, by, authorizedAt, landedAt } = lastMove ?? {}
  return {
    repository: policy.repository,
    remote,
    enforcement: policy.enforcement,
    branches: { staging: policy.staging, release: policy.release },
    ...rest,
    staging: rest.staging === null ? null : describedJson(rest.staging),
    release: rest.release === null ? null : describedJson(rest.release),
    freeze: freeze === null ? null : withRecord(freeze),
    bars: bars.map(withRecord),
    pending: pending.map(withRecord),
    lastMove: lastMove === null ? null : { record: seq, kind, from, to, by, authorizedAt, landedAt },
    unfinished: unfinished?.seq ?? null,
    serving,
    candidates: candidates.map(candidateJson),
    promotable: promotable === null ? null : promotable.oid,
    command: promotable === null ? null : promoteLine(policy, promotable.oid, remote),
    wayBack: wayBack.map(wayBackJson),
  }
}

/** Times are texts in every JSON that is printed, and a record is called that. */
function describedJson<T extends Described>(commit: T): object {
  return { ...commit, at: new Date(commit.at).toISOString() }
}

function withRecord<T extends { readonly seq: number }>({ seq, ...rest }: T): object {
  return { record: seq, ...rest }
}

function candidateJson({ foresight, evidence, ...candidate }: Candidate): object {
  const { at } = evidence
  return {
    ...describedJson(candidate),
    evidence: { ...evidence, at: at === null ? null : new Date(at).toISOString() },
    promotable: foresight?.answer === 'yes' && isOffered(foresight),
    remarks: foresight?.remarks ?? [],
    objections: foresight?.report.objections ?? [],
    pushers: foresight?.pushers ?? [],
  }
}

function wayBackJson({ commit, obstacles, approvals, foresight }: RollbackOption): object {
  return {
    commit,
    knownGood: obstacles.length === 0,
    ready: foresight.answer === 'yes',
    obstacles,
    approvals: approvals.valid.map(({ seq, signer, statement }) => ({
      record: seq,
      by: signer.principal,
      expiresAt: statement.predicate.expiresAt,
    })),
  }
}
