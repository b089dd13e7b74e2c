/** The status as JSON: with exactly the keys of docs/command-line.md. */

import { promoteLine } from '../../app/release/promote-line.ts'
import type { StatusReport } from '../../app/status.ts'
import { type Candidate, type Described, isOffered } from '../../guard/candidates.ts'
import type { RollbackOption } from '../../guard/rollback-targets.ts'
import { printJson } from '../output.ts'

export function showStatusJson(report: StatusReport): void {
  printJson(statusJson(report))
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
