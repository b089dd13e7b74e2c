/**
 * An authorization, decided again: the same `decide`, from the commit graph and the records before it, at its own time.
 * What the server says of the commit graph is compared with the graph; who pushed is only what the server says, unless a push
 * certificate is in the record.
 */

import { canonicalJson } from '../core/canonical-json.ts'
import { decide } from '../core/decide.ts'
import type { BroughtBack, Certificate, ObjectType, ReleaseMove } from '../core/facts.ts'
import type { History, HistoryRecord } from '../core/history.ts'
import { isOid, isZeroOid, type Oid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { requestOptions, withRequestKey } from '../core/request.ts'
import { levelsOf, type MoveVerdict, type Objection } from '../core/verdict.ts'
import type { BarAnswers } from '../git/gather-bars.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import { keysOfPusher } from '../signing/key-holder.ts'
import type { AuditRule, Grade } from './finding.ts'
import { judgeRecordedCertificate } from './recorded-certificate.ts'
import { differenceOf, show, statesBars, wrongCircumstances } from './stated-facts.ts'

/** What the commit graph says; null where a commit is not there to ask. */
export type MoveGraph = {
  readonly objectType: ObjectType | null
  readonly onStaging: boolean | null
  readonly fastForward: boolean | null
  readonly bars: BarAnswers
}

export type Contradiction = {
  readonly rule: AuditRule
  readonly grade: Grade
  readonly found: string
}

export type Replayed = {
  readonly contradictions: readonly Contradiction[]
  /** What `decide` says; null where that cannot be known. */
  readonly verdict: MoveVerdict | null
}

export function replay(
  record: LedgerRecord,
  inForce: PolicyInForce,
  history: History,
  graph: MoveGraph,
): Replayed {
  if (record.statement.kind !== 'authorization') throw new TypeError('only an authorization is decided again')
  const { predicate } = record.statement
  const move = predicate['urn:headgate:move']
  const contradictions: Contradiction[] = []
  const contradict = (found: string, rule: AuditRule = 'replay') =>
    contradictions.push({ rule, grade: 'violation', found })
  const expect = (what: string, said: unknown, is: unknown) => {
    const difference = differenceOf(what, said, is)
    if (difference !== null) contradict(difference)
  }
  for (const difference of wrongCircumstances(record, inForce)) contradict(difference)
  if (!isCommitId(move.facts.staging)) expect('the staging branch was at', move.facts.staging, null)

  const at = Date.parse(record.at)
  const about = (what: string, said: unknown, is: boolean | null): boolean => {
    if (is === null) {
      const found = `a commit of this move is not in this clone, so that ${what} is the server's word`
      contradictions.push({ rule: 'replay', grade: 'note', found })
      return said === true
    }
    expect(`${what}:`, said, is)
    return is
  }

  const certificate = judgeRecordedCertificate(record, inForce.signers)
  if (certificate.problem !== null) contradict(`its push certificate ${certificate.problem}`)
  if (certificate.elsewhere !== null) {
    const found = `its push certificate names ${printable(certificate.elsewhere)}, and the move is of ${move.ref}`
    contradictions.push({ rule: 'replay', grade: 'exception', found })
  }
  const broughtBack = broughtBackBy(move, graph)
  if (statesBars(record, inForce)) expect('that it brings back', move.facts.broughtBack, broughtBack)
  if (graph.bars.unknown.length > 0) {
    const found = `commits are not in this clone, so that which barred ones come back with this move is the server's word`
    contradictions.push({ rule: 'replay', grade: 'note', found })
  }
  const pusher = pusherOf(move.facts.identitySource, move.pusher)
  const inputs = predicate.inputAttestations.map(({ digest }) => digest.sha256)
  const request = requestAmong(history, inputs)
  const plainKeys = keysOfPusher(inForce.signers, pusher, certificate.certificate)
  const keys = request?.signer.trusted ? withRequestKey(plainKeys, request.signer.fingerprint) : plainKeys
  // Older records do not state the pusher's keys: approvals were compared with the pusher by name alone.
  const statesKeys = Object.hasOwn(move.facts, 'pusherKeys')
  if (statesKeys) expect('keys of the pusher', move.facts.pusherKeys, keys)
  const facts: ReleaseMove = {
    ref: move.ref,
    from: move.from,
    claimedFrom: move.from,
    to: move.to,
    objectType: graph.objectType ?? 'commit',
    staging: movedCommits(record)?.staging ?? null,
    onStaging: about('on staging', move.facts.onStaging, graph.onStaging),
    strays: [],
    fastForward: about('fast-forward', move.facts.fastForward, graph.fastForward),
    broughtBack,
    pusher,
    certificate: certificate.certificate,
    pusherKeys: statesKeys ? keys : null,
    pushOptions: move.pushOptions,
  }
  expect('signed by', move.facts.signedBy, signerOf(certificate.certificate))
  if (move.facts.identitySource === 'push-cert')
    expect('the pusher', move.pusher, signerOf(certificate.certificate))

  const { identitySource } = move.facts
  if (identitySource !== null && !IDENTITY_SOURCE.test(String(identitySource)))
    contradict(
      `it says that the pusher's name came from ${show(identitySource)}, which is no source of names`,
    )

  const asThen = Object.hasOwn(move.facts, 'allowedSigners') ? history : withoutUrls(history)
  const verdict = decideAsRecorded(facts, inForce, asThen, at, move)
  // Of a move that was asked for, the request says what a push would have said.
  if (request !== undefined)
    expect('the push options', move.pushOptions, requestOptions(request.statement.predicate))
  if (!statesKeys && verdict.verdict === 'allowed') {
    const now = decide({ ...facts, pusherKeys: keys }, inForce.policy, asThen, at)
    const found = `approvals were compared with the pusher by name alone: ${reasons(now.objections)}`
    if (now.verdict === 'refused') contradictions.push({ rule: 'replay', grade: 'exception', found })
  }
  const found = differences(verdict, predicate)
  for (const difference of found) contradict(difference)
  return { contradictions, verdict }
}

/**
 * Servers that did not state `allowedSigners` did not ask against which URL a run was made. A server cannot go back to
 * that: a policy record that names `former` makes the fact a must.
 */
function withoutUrls(history: History): History {
  const about = history.about.map((record): HistoryRecord => {
    if (record.statement.kind !== 'evidence') return record
    const { predicate } = record.statement
    const headgate = { ...predicate.headgate, baseUrl: null }
    return { ...record, statement: { ...record.statement, predicate: { ...predicate, headgate } } }
  })
  return { ...history, about }
}

/** In the order of the bars: what the commits say or, where they are not here to ask, the server. */
function broughtBackBy(move: StatedMove, { bars }: MoveGraph): BroughtBack[] {
  const said = Array.isArray(move.facts.broughtBack) ? move.facts.broughtBack : []
  const asked = bars.found.filter(({ commit }) => !bars.unknown.includes(commit))
  const trusted = said.flatMap((entry): BroughtBack[] => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return []
    const { commit, how } = entry
    if (typeof commit !== 'string' || !bars.unknown.includes(commit)) return []
    return how === 'same-code' || how === 'contained' ? [{ commit, how }] : []
  })
  const order = said.map((entry) => JSON.stringify(entry))
  const place = (back: BroughtBack) => order.indexOf(JSON.stringify(back))
  const all = [...asked, ...trusted]
  return trusted.length === 0 ? all : all.toSorted((a, b) => place(a) - place(b))
}

const IDENTITY_SOURCE = /^(?:env:[A-Z_][A-Z0-9_]{0,99}|ssh-auth-info|push-cert|request)$/

function requestAmong({ about }: History, inputs: readonly string[]): HistoryRecord<'request'> | undefined {
  return about.find(
    (record): record is HistoryRecord<'request'> =>
      record.statement.kind === 'request' && inputs.includes(record.envelopeDigest),
  )
}

type Authorization = Extract<LedgerRecord['statement'], { readonly kind: 'authorization' }>['predicate']
type StatedMove = Authorization['urn:headgate:move']

/**
 * Where the client believed the branch to be is not recorded. A push that was wrong about it is only ever authorized in
 * evaluate mode, with an objection that says so.
 */
function decideAsRecorded(
  facts: ReleaseMove,
  { policy }: PolicyInForce,
  history: History,
  at: number,
  move: StatedMove,
): MoveVerdict {
  const verdict = decide(facts, policy, history, at)
  if (policy.enforcement === 'enforce' || sameRules(verdict, move)) return verdict
  const elsewhere = isZeroOid(facts.from) ? 'f'.repeat(facts.from.length) : zeroOidLike(facts.from)
  const other = decide({ ...facts, claimedFrom: elsewhere }, policy, history, at)
  return sameRules(other, move) ? other : verdict
}

function differences(verdict: MoveVerdict, predicate: Authorization): string[] {
  const move = predicate['urn:headgate:move']
  const found: string[] = []
  const passed = verdict.verdict === 'allowed'
  if (!passed && move.enforcement === 'enforce')
    return [`decided again, it is refused: ${reasons(verdict.objections)}`]
  const recorded = predicate.verificationResult === 'PASSED'
  if (passed !== recorded) {
    const why = passed ? '' : `: ${reasons(verdict.objections)}`
    found.push(
      `it says ${predicate.verificationResult}, and decided again it is ${passed ? 'allowed' : 'refused'}${why}`,
    )
  }
  if (!sameRules(verdict, move)) {
    const said = rulesOf(move.objections.map(({ rule, waived }) => ({ rule, waived })))
    const is = rulesOf(ownRules(verdict))
    found.push(`it names the objections ${said}, and decided again there are ${is}`)
  }
  const compare = (what: string, said: unknown, is: unknown) => {
    if (canonicalJson(said ?? null) !== canonicalJson(is))
      found.push(`it says ${what} ${show(said)}, and decided again it is ${show(is)}`)
  }
  compare('that it is a', move.kind, verdict.kind)
  const inputs = predicate.inputAttestations.map((input) => input.digest.sha256)
  if (canonicalJson(inputs) !== canonicalJson(verdict.inputs)) {
    const missing = inputs.find((input) => !verdict.inputs.includes(input))
    found.push(
      missing === undefined
        ? 'it does not name all statements that it rests on'
        : `it rests on the envelope ${missing}, which does not support it`,
    )
  }
  compare('approved by', move.facts.approvedBy, verdict.approvedBy)
  compare('the levels', predicate.verifiedLevels, levelsOf(verdict))
  return found
}

type NamedRule = { readonly rule: string; readonly waived: boolean }

function ownRules({ objections, waived }: MoveVerdict): NamedRule[] {
  return [
    ...objections.map(({ rule }) => ({ rule, waived: false })),
    ...waived.map(({ rule }) => ({ rule, waived: true })),
  ]
}

/** The words of an objection may change from version to version; which rules object does not. */
function sameRules(verdict: MoveVerdict, move: StatedMove): boolean {
  return rulesOf(ownRules(verdict)) === rulesOf(move.objections)
}

function rulesOf(rules: readonly NamedRule[]): string {
  const names = rules.map(({ rule, waived }) => printable(waived ? `${rule} (waived)` : rule, 60)).sort()
  return names.length === 0 ? 'none' : names.join(', ')
}

function reasons(objections: readonly Objection[]): string {
  return objections
    .map(({ rule, found }) => `[${rule}] ${found[0] ?? ''}`)
    .join('; ')
    .slice(0, 1000)
}

function pusherOf(source: unknown, principal: string): ReleaseMove['pusher'] {
  return typeof source === 'string'
    ? { identified: true, principal, source }
    : { identified: false, reason: 'the server could not tell' }
}

function signerOf(certificate: Certificate): string | null {
  return certificate.offered && certificate.good ? certificate.principal : null
}

function isCommitId(value: unknown): value is Oid {
  return typeof value === 'string' && isOid(value) && !isZeroOid(value)
}

/** The commits that a move is about, which the graph is asked for. */
export function movedCommits(record: LedgerRecord): { from: Oid; to: Oid; staging: Oid | null } | null {
  if (record.statement.kind !== 'authorization') return null
  const { from, to, facts } = record.statement.predicate['urn:headgate:move']
  return { from, to, staging: isCommitId(facts.staging) ? facts.staging : null }
}
