/** The status as text that fits a terminal of 80 columns. */

import { remoteOption, shownRemote } from '../../app/clone/shown-remote.ts'
import { goOnLine, promoteLine } from '../../app/release/promote-line.ts'
import type { Serving } from '../../app/served-commits.ts'
import type { StatusReport } from '../../app/status.ts'
import { nameMove } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import type { Policy } from '../../core/policy/policy.ts'
import { printable } from '../../core/printable.ts'
import { withoutSecrets } from '../../core/without-secrets.ts'
import type { Candidate } from '../../guard/candidates.ts'
import { age, type Status } from '../../guard/gather-status.ts'
import type { LandedMove } from '../../guard/landed-moves.ts'
import type { RollbackOption } from '../../guard/rollback-targets.ts'
import { colour, note, plural, print } from '../output.ts'
import { wrapText } from '../wrap-text.ts'

/** As wide as most terminals are at least. */
const WIDTH = 80
/** What evidence and author may take before the subject. */
const EVIDENCE_WIDTH = 25
const AUTHOR_WIDTH = 12

type Columns = { readonly evidence: number; readonly author: number }

/** Where an environment was not asked: why, and what allows it. Of every output, since it is no part of any. */
export function remarkUnasked({ serving }: StatusReport): void {
  for (const served of [serving?.staging, serving?.production])
    if (served?.kind === 'unknown' && served.hint !== undefined)
      note(`remark: ${served.reason}\n  ${served.hint}`)
}

export function showStatus(report: StatusReport): void {
  print(statusText(report))
}

function statusText(report: StatusReport): string {
  const { status, policy, remote } = report
  const name = printable(policy.repository, 60)
  const mode = policy.enforcement === 'evaluate' ? ', evaluate mode: refuses nothing' : ''
  return [
    colour('bold', `${name} on ${shownRemote(remote, 60)}, as of record ${status.record}${mode}`),
    '',
    ...places(report),
    '',
    ...candidateLines(report),
    ...concerns(report),
    '',
    ...nextStep(report),
  ].join('\n')
}

function places({ status, policy, serving, now }: StatusReport): string[] {
  const { staging, release, lastMove, drift } = status
  const width = Math.max('production'.length, policy.staging.length, policy.release.length) + 2
  const row = (label: string, rest: string) => cut(`${printable(label, 30).padEnd(width)}${rest}`)
  const at = (commit: Oid | null) => {
    if (commit === null) return 'no commit'
    const names = [
      ...(commit === release?.oid ? [policy.release] : []),
      ...(commit === staging?.oid ? [policy.staging] : []),
    ]
    return `${shortOid(commit)}${names.length === 0 ? '' : ` (${names.join(', ')})`}`
  }
  const serves = (served: Serving | null, expected: Oid | null) => {
    if (served === null) return 'the policy does not know it'
    if (served.kind === 'unknown') return `unknown: ${printable(served.reason, 120)}`
    const text = `serves ${at(served.commit)}`
    return served.commit === expected ? text : colour('yellow', `${text}, not ${at(expected)}`)
  }
  const moved = (move: LandedMove) => describeMove(move, now)
  const smoke = ({ smoke: run }: Status) => {
    if (run === null) return 'not recorded since that move'
    const bad = run.gates.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
    const text = `${run.result.toLowerCase()} ${age(Date.parse(run.finishedAt), now)} ago, by ${printable(run.by, 30)} (record ${run.record})`
    return run.result === 'FAILED'
      ? colour('red', `${text}${bad.length === 0 ? '' : `: ${printable(bad.join(', '), 100)}`}`)
      : text
  }
  return [
    row(
      policy.staging,
      staging === null
        ? 'does not exist yet'
        : `${shortOid(staging.oid)}  ${age(staging.at, now)} ago, ${printable(staging.subject, 100)}`,
    ),
    row(
      policy.release,
      release === null
        ? 'does not exist yet'
        : `${shortOid(release.oid)}  ${drift !== null ? colour('red', 'drifted: no move that is recorded put it there') : lastMove === null ? 'no move of it is recorded' : moved(lastMove)}`,
    ),
    ...(serving === null
      ? []
      : [
          row('staging', serves(serving.staging, staging?.oid ?? null)),
          ...(serving.production === null
            ? []
            : [row('production', serves(serving.production, release?.oid ?? null))]),
        ]),
    ...(policy.environments.production === undefined || lastMove === null || drift !== null
      ? []
      : [row('smoke', smoke(status))]),
  ]
}

function describeMove({ kind, by, landedAt, authorizedAt, seq }: LandedMove, now: number): string {
  return `${kind} by ${printable(by, 40)}, ${age(Date.parse(landedAt ?? authorizedAt), now)} ago (record ${seq})`
}

function candidateLines({ status, policy, now }: StatusReport): string[] {
  const { candidates, candidateCount, promotable } = status
  if (status.staging === null) return []
  if (candidateCount === 0) return [`${policy.release} has everything that ${policy.staging} has`]
  const more = candidateCount - candidates.length
  const ahead = status.release === null ? '' : ` ahead of ${policy.release}`
  const widest = (texts: readonly string[], most: number) =>
    Math.min(most, Math.max(...texts.map((text) => printable(text).length)))
  const columns = {
    evidence: widest(
      candidates.map((candidate) => evidenceText(candidate, now)),
      EVIDENCE_WIDTH,
    ),
    author: widest(
      candidates.map(({ author }) => author),
      AUTHOR_WIDTH,
    ),
  }
  return [
    `${plural(candidateCount, 'commit')} on ${policy.staging}${ahead}, newest first:`,
    ...candidates.map((candidate) =>
      candidateLine(candidate, candidate.oid === promotable?.oid, columns, now),
    ),
    ...(more > 0 ? [`  and ${more} more: headgate status --limit ${candidateCount}`] : []),
  ]
}

function candidateLine(candidate: Candidate, next: boolean, columns: Columns, now: number): string {
  const { oid, author, subject, foresight } = candidate
  const column = (text: string, width: number) => printable(text, width).padEnd(width)
  const refused = foresight?.answer === 'no' ? foresight.report.objections.map(({ rule }) => rule) : []
  const contained = foresight?.broughtBack.filter(({ how }) => how === 'contained') ?? []
  const bars =
    contained.length === 0
      ? ''
      : `[contains ${contained.map(({ commit: one }) => shortOid(one)).join(', ')}] `
  const evidence = column(evidenceText(candidate, now), columns.evidence)
  const line = [
    `${next ? '>' : ' '} ${shortOid(oid)}`,
    candidate.evidence.state === 'passed' ? colour('green', evidence) : paint(candidate, evidence),
    column(author, columns.author),
    printable(`${refused.length === 0 ? bars : `[${refused.join(', ')}] `}${subject}`, 100),
  ].join('  ')
  return cut(line)
}

function paint({ evidence }: Candidate, text: string): string {
  return evidence.state === 'none' ? colour('dim', text) : colour('red', text)
}

/** `passed 5 min ago, ci`. */
function evidenceText({ evidence }: Candidate, now: number): string {
  const { state, by, at } = evidence
  if (state === 'none') return 'no evidence'
  const word = state === 'other-build' ? 'other build' : state
  const who = by === null ? '' : `, ${by.replace(/@.*/, '')}`
  return at === null ? word : `${word} ${age(at, now)}${who}`
}

function concerns({ status, policy, now }: StatusReport): string[] {
  const { drift, freeze, bars, lastMove, pending, wayBack, candidates } = status
  const lines: string[] = []
  const loud = (text: string) => lines.push('', ...wrapText(text).map((line) => colour('red', line)))
  if (drift !== null) {
    const where = (oid: Oid | null) => (oid === null ? 'not there' : shortOid(oid))
    loud(
      `DRIFT: ${policy.release} is ${where(drift.found)}, and the ledger says ${where(drift.expected)}: someone moved it behind the guard.`,
    )
    if (lastMove !== null)
      lines.push(
        ...wrapText(
          `the last move that is recorded: ${describeMove(lastMove, now)} to ${shortOid(lastMove.to)}`,
        ),
      )
  }
  if (freeze !== null) {
    loud(
      `FROZEN until ${freeze.until}, by ${printable(freeze.by, 60)} (record ${freeze.seq}): ${printable(freeze.reason, 300)}`,
    )
  }
  for (const { kind, to, by, at } of pending) {
    const since = age(Date.parse(at), now)
    lines.push(
      '',
      ...wrapText(
        `under way: ${nameMove(kind === 'drift' ? 'override' : kind)} to ${shortOid(to)} by ${printable(by, 60)}, authorized ${since} ago`,
      ),
    )
  }
  const approved = wayBack.filter(({ approvals }) => approvals.valid.length > 0)
  for (const option of approved) lines.push('', ...wrapText(approvalText(option, policy)))
  const remarks = candidates.flatMap(({ foresight }) => foresight?.remarks ?? [])
  for (const remark of remarks.slice(0, 3)) lines.push('', ...wrapText(`remark: ${remark}`))
  if (bars.length > 0) {
    const shown = bars
      .slice(-3)
      .map(({ commit, at }) => `${shortOid(commit)} (${age(Date.parse(at), now)} ago)`)
    const others = bars.length > 3 ? ` and ${bars.length - 3} older` : ''
    lines.push(
      '',
      ...wrapText(
        `rolled back from, barred until staging proves it anew: ${shown.reverse().join(', ')}${others}`,
      ),
    )
  }
  return lines
}

function approvalText({ commit, approvals }: RollbackOption, policy: Policy): string {
  const by = approvals.valid
    .map(
      ({ signer, statement }) => `${printable(signer.principal, 60)} until ${statement.predicate.expiresAt}`,
    )
    .join(', ')
  const missing = policy.rollback.approvals - approvals.valid.length
  const rest = missing > 0 ? `; ${missing} more needed` : ''
  return `open approval to roll back to ${shortOid(commit)}: by ${by}${rest}`
}

function nextStep({ status, policy, remote, abbreviated, unfinished }: StatusReport): string[] {
  const names = (oid: Oid) => abbreviated.get(oid) ?? oid
  const newest = status.candidates[0] === undefined ? 'COMMIT' : names(status.candidates[0].oid)
  const { promotable, wayBack, smoke } = status
  const at = remoteOption(remote)
  if (status.drift !== null && policy.enforcement === 'enforce') {
    return [
      'no move is taken until an operator, who knows who did it and why, accepts that:',
      `  headgate drift --reason TEXT --key FILE${at}`,
    ]
  }
  const back = wayBack.find(({ obstacles }) => obstacles.length === 0)
  const lines =
    promotable === null
      ? status.candidateCount === 0
        ? []
        : [
            'nothing can be promoted now; what stands against the newest, rule by rule:',
            `  headgate check ${newest}${at}`,
          ]
      : [
          `${policy.release} can move to ${shortOid(promotable.oid)} now:`,
          `  ${colour('bold', promoteLine(policy, names(promotable.oid), remote))}`,
          ...(promotable.evidence.url === null
            ? []
            : [`  (proved at ${printable(withoutSecrets(promotable.evidence.url), 60)})`]),
        ]
  if (back !== undefined) {
    const way = [
      `the last known-good release before is ${shortOid(back.commit)}:`,
      `  headgate rollback ${names(back.commit)} --trigger TEXT --symptoms TEXT${at}`,
    ]
    // An operator who looks while production is broken wants the way back.
    if (smoke?.result === 'FAILED') lines.unshift(...way)
    else lines.push(...way)
  }
  if (unfinished !== null) {
    const { kind, to, by } = unfinished
    const goOn =
      kind === 'rollback'
        ? `headgate rollback ${names(to)} --trigger TEXT --symptoms TEXT --key FILE${at}`
        : goOnLine(policy, names(to), remote)
    lines.unshift(
      ...wrapText(
        `unfinished: the ${kind} to ${shortOid(to)} by ${printable(by, 40)} is not in ${printable(policy.releaseLog, 100)} yet; who goes on with it waits for production, tests it and writes it down:`,
      ),
      `  ${goOn}`,
    )
  }
  return lines.length === 0 ? ['nothing to do'] : lines
}

/** One line of at most 80 columns; codes for colour take none. */
function cut(line: string): string {
  const parts = [...line.matchAll(/(\x1b\[\d+m)|[^\x1b]/gu)]
  const visible = parts.filter(([, code]) => code === undefined).length
  const limit = visible <= WIDTH ? WIDTH : WIDTH - 3
  let columns = 0
  let text = ''
  for (const [part, code] of parts) {
    if (code === undefined) columns += 1
    if (code !== undefined || columns <= limit) text += part
    if (columns === limit && visible > WIDTH && code === undefined) text += '...'
  }
  return text.trimEnd()
}
