/**
 * Builders for the tests of the core: a policy as its YAML text says it, moves, and ledgers whose records are real
 * statements, written by `statementPayload` and read by `parseStatement`.
 */
import { sha256 } from '../../src/core/canonical-json.ts'
import { decide } from '../../src/core/decide.ts'
import type { ReleaseMove } from '../../src/core/facts.ts'
import type { History, HistoryRecord, Signer } from '../../src/core/history.ts'
import { isZeroOid, type Oid } from '../../src/core/oid.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { advanceState, emptyState, type LedgerState } from '../../src/core/state.ts'
import { parseStatement, type StatementKind, statementPayload } from '../../src/core/statement.ts'
import type { MoveKind, MoveVerdict } from '../../src/core/verdict.ts'

/** The moment at which every test judges, unless it says otherwise. */
export const NOW = Date.parse('2026-03-02T12:00:00.000Z')
export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const REPOSITORY = 'git.example.com/app'
export const RELEASE_REF = 'refs/heads/release'
export const ZEROS = '0'.repeat(40)

/** RFC 3339 of a moment, in ms since the epoch. */
export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** A full object id for a name. */
export function oidOf(name: string): Oid {
  return sha256(name).slice(0, 40)
}

/** The release that is in production at first, the commit of main that is to follow it, and the tip of main. */
export const OLD = `0a11d00${'1'.repeat(33)}`
export const NEW = `2e3c0de${'2'.repeat(33)}`
export const TIP = `7199ed1${'3'.repeat(33)}`

export type PolicyChanges = {
  readonly repository?: string
  readonly enforcement?: string
  readonly guard?: string
  readonly evidence?: string
  readonly promotion?: string
  readonly rollback?: string
  readonly gates?: readonly string[]
  readonly optional?: readonly string[]
  readonly production?: boolean
}

/** What each part of the policy says; a change replaces the part. */
export function policyText(changes: PolicyChanges = {}): string {
  const { gates = ['health', 'chat'], optional = ['drills'], production = true } = changes
  const served = 'servedCommit: { get: /health, json: commit }'
  return [
    'version: 1',
    `repository: ${changes.repository ?? REPOSITORY}`,
    'staging: main',
    'release: release',
    `guard: ${changes.guard ?? 'hooks'}`,
    `enforcement: ${changes.enforcement ?? 'enforce'}`,
    `evidence: { ${changes.evidence ?? 'maxAge: 24h, servedCommit: required'} }`,
    `promotion: { ${changes.promotion ?? 'operators: [alice, bob], signedPush: if-offered'} }`,
    `rollback: { ${changes.rollback ?? 'approvers: [alice, bob, carol], approvals: 1, approvalMaxAge: 1h'} }`,
    'environments:',
    '  staging:',
    '    url: https://staging.example.com',
    `    ${served}`,
    '    gates:',
    ...gates.map((name) => `      - { name: ${name}, get: /${name}, expect: { status: 200 } }`),
    ...optional.map(
      (name) => `      - { name: ${name}, get: /${name}, optional: true, expect: { status: 200 } }`,
    ),
    ...(production
      ? [
          '  production:',
          '    url: https://www.example.com',
          `    ${served}`,
          '    gates: [{ name: home, get: /, expect: { status: 200 } }]',
        ]
      : []),
    '',
  ].join('\n')
}

export function makePolicy(changes: PolicyChanges = {}): Policy {
  return parsePolicy(policyText(changes))
}

export const POLICY = makePolicy()

/** OLD -> NEW by alice, a fast-forward to a commit of main. */
export function promotion(changes: Partial<ReleaseMove> = {}): ReleaseMove {
  const from = changes.from ?? OLD
  return {
    ref: RELEASE_REF,
    from,
    claimedFrom: from,
    to: NEW,
    objectType: 'commit',
    staging: TIP,
    onStaging: true,
    broughtBack: [],
    strays: [],
    fastForward: true,
    pusher: { identified: true, principal: 'alice', source: 'env:REMOTE_USER' },
    certificate: { offered: false },
    pusherKeys: [],
    pushOptions: [],
    ...changes,
  }
}

/** NEW -> OLD by alice: production goes back. */
export function rollback(changes: Partial<ReleaseMove> = {}): ReleaseMove {
  return promotion({ from: NEW, to: OLD, fastForward: false, ...changes })
}

/** A pusher that the server knows by name. */
export function by(principal: string): Pick<ReleaseMove, 'pusher'> {
  return { pusher: { identified: true, principal, source: 'env:REMOTE_USER' } }
}

/** One record that is to be, before it has a place in a ledger. */
export type Entry = {
  readonly kind: StatementKind
  readonly payload: (seq: number) => string
  readonly at: number
  readonly by: string
  readonly signer: Signer
  /** Tells apart two envelopes around the same payload. */
  readonly wrapping?: string
}

/** What every builder of an entry takes: who signed it, when it was recorded, and for which repository. */
export type EntryOptions = {
  readonly signer?: string | { readonly untrusted: string }
  readonly fingerprint?: string
  readonly at?: number
  readonly by?: string
  readonly repository?: string
}

type Predicate<K extends StatementKind> = Parameters<typeof statementPayload<K>>[3]

export function entry<K extends StatementKind>(
  kind: K,
  commit: Oid,
  predicate: Predicate<K> | ((seq: number) => Predicate<K>),
  options: EntryOptions = {},
): Entry {
  const { signer = 'server', at = NOW - 5 * MINUTE, repository = REPOSITORY } = options
  return {
    kind,
    payload: (seq) =>
      statementPayload(
        kind,
        repository,
        commit,
        typeof predicate === 'function' ? predicate(seq) : predicate,
      ),
    at,
    by: options.by ?? (typeof signer === 'string' ? signer : 'somebody'),
    signer:
      typeof signer === 'string'
        ? { trusted: true, principal: signer, fingerprint: options.fingerprint ?? `SHA256:${signer}` }
        : { trusted: false, reason: signer.untrusted },
  }
}

export type EvidenceOptions = EntryOptions & {
  readonly environment?: 'staging' | 'production'
  readonly policy?: Policy
  /** Of the configuration that the gates were read from; else that of `policy`. */
  readonly configuration?: string
  readonly result?: 'PASSED' | 'WARNED' | 'FAILED'
  readonly passed?: readonly string[]
  readonly warned?: readonly string[]
  readonly failed?: readonly string[]
  readonly skipped?: readonly string[]
  /** What the environment reported before and after, else the commit. */
  readonly served?: { readonly before: string | null; readonly after: string | null } | null
  readonly startedAt?: number
  readonly finishedAt?: number
}

/** A run of all required gates that passed ten minutes ago. */
export function evidence(commit: Oid, options: EvidenceOptions = {}): Entry {
  const { environment = 'staging', policy = POLICY, failed = [], warned = [], skipped = [] } = options
  const gates = environment === 'staging' ? ['health', 'chat', 'drills'] : ['home']
  const others = [...failed, ...warned, ...skipped]
  const passed = options.passed ?? gates.filter((name) => !others.includes(name))
  const finishedAt = options.finishedAt ?? NOW - 10 * MINUTE
  const of = (names: readonly string[], outcome: 'passed' | 'failed' | 'skipped') =>
    names.map((name) => ({ name, outcome, status: outcome === 'skipped' ? null : 200, durationMs: 12 }))
  return entry(
    'evidence',
    commit,
    {
      result: options.result ?? (failed.length > 0 ? 'FAILED' : warned.length > 0 ? 'WARNED' : 'PASSED'),
      configuration: [
        {
          name: `.headgate/policy.yaml#environments.${environment}`,
          digest: {
            sha256:
              options.configuration ??
              policy.environments[environment]?.configurationDigest ??
              '0'.repeat(64),
          },
        },
      ],
      passedTests: [...passed],
      warnedTests: [...warned],
      failedTests: [...failed],
      headgate: {
        environment,
        startedAt: iso(options.startedAt ?? finishedAt - MINUTE),
        finishedAt: iso(finishedAt),
        servedCommit: options.served === undefined ? { before: commit, after: commit } : options.served,
        gates: [
          ...of(passed, 'passed'),
          ...of([...failed, ...warned], 'failed'),
          ...of(
            skipped.filter((name) => !warned.includes(name) && !failed.includes(name)),
            'skipped',
          ),
        ],
      },
    },
    { signer: 'ci', at: finishedAt + 10 * SECOND, ...options },
  )
}

/** A production smoke that passed a day ago. */
export function smoke(commit: Oid, options: EvidenceOptions = {}): Entry {
  return evidence(commit, { environment: 'production', finishedAt: NOW - DAY, ...options })
}

export type PermissionOptions = EntryOptions & {
  readonly ref?: string
  readonly from?: Oid
  readonly to?: Oid
  /** The commit that the statement is about, if it is not `to`. */
  readonly subject?: Oid
  readonly issuedAt?: number
  readonly expiresAt?: number
  readonly nonce?: string
}

let nonces = 0

function permission(options: PermissionOptions) {
  const { ref = RELEASE_REF, from = NEW, to = OLD, issuedAt = NOW - 5 * MINUTE } = options
  return {
    ref,
    from,
    to,
    reason: 'checkout fails',
    issuedAt: iso(issuedAt),
    expiresAt: iso(options.expiresAt ?? issuedAt + HOUR),
    nonce: options.nonce ?? `nonce-${String(nonces++).padStart(6, '0')}`,
  }
}

/** bob's approval to go back from NEW to OLD, five minutes old, valid for an hour. */
export function approval(options: PermissionOptions = {}): Entry {
  const predicate = permission(options)
  return entry('approval', options.subject ?? predicate.to, predicate, { signer: 'bob', ...options })
}

/** alice's request for OLD -> NEW, five minutes old, valid for fifteen. */
export function request(
  options: PermissionOptions & { readonly note?: string; readonly despiteBar?: string[] } = {},
): Entry {
  const { reason: _, ...move } = permission({
    from: OLD,
    to: NEW,
    expiresAt: (options.issuedAt ?? NOW - 5 * MINUTE) + 15 * MINUTE,
    ...options,
  })
  const { note, despiteBar } = options
  const words = {
    ...(note === undefined ? {} : { note }),
    ...(despiteBar === undefined ? {} : { despiteBar }),
  }
  return entry('request', options.subject ?? move.to, { ...move, ...words }, { signer: 'alice', ...options })
}

/** bob's override for OLD -> NEW. */
export function override(waives: readonly string[], options: PermissionOptions = {}): Entry {
  const predicate = permission({ from: OLD, to: NEW, ...options })
  return entry(
    'override',
    options.subject ?? predicate.to,
    { ...predicate, waives: [...waives] },
    { signer: 'bob', ...options },
  )
}

export function invalidation(
  commit: Oid,
  options: EntryOptions & { issuedAt?: number; reason?: string } = {},
): Entry {
  const issuedAt = options.issuedAt ?? NOW - 5 * MINUTE
  return entry(
    'invalidation',
    commit,
    { reason: options.reason ?? 'staging ran on the wrong database', issuedAt: iso(issuedAt) },
    { signer: 'ci', ...options },
  )
}

/** A freeze until tomorrow; with `until` not after `issuedAt` the end of one. */
export function freeze(
  options: EntryOptions & { issuedAt?: number; until?: number; reason?: string } = {},
): Entry {
  const issuedAt = options.issuedAt ?? NOW - HOUR
  return entry(
    'freeze',
    OLD,
    {
      until: iso(options.until ?? NOW + DAY),
      reason: options.reason ?? 'sale weekend',
      issuedAt: iso(issuedAt),
    },
    { signer: 'bob', at: issuedAt, ...options },
  )
}

export function unfreeze(options: EntryOptions & { issuedAt?: number } = {}): Entry {
  const issuedAt = options.issuedAt ?? NOW - MINUTE
  return freeze({ issuedAt, until: issuedAt, reason: 'the sale is over', ...options })
}

export function driftNote(expected: Oid, found: Oid, options: EntryOptions = {}): Entry {
  return entry(
    'drift',
    isZeroOid(found) ? expected : found,
    { ref: RELEASE_REF, expected, found, reason: 'the disk was restored', issuedAt: iso(NOW - MINUTE) },
    { signer: 'bob', ...options },
  )
}

export type MoveOptions = EntryOptions & {
  readonly kind?: MoveKind | 'bootstrap'
  readonly ref?: string
  readonly from: Oid
  readonly to: Oid
  readonly fastForward?: boolean
  readonly certificate?: string
  /** The entries whose envelopes the move rests on. */
  readonly inputs?: readonly Entry[]
}

export function authorization(options: MoveOptions): Entry {
  const { from, to, ref = RELEASE_REF, fastForward = true, inputs = [] } = options
  const at = options.at ?? NOW - DAY
  return entry(
    'authorization',
    to,
    {
      verifier: { id: 'urn:headgate:server:v1' },
      timeVerified: iso(at),
      resourceUri: `git+https://${REPOSITORY}`,
      policy: { digest: { sha256: sha256('policy') } },
      inputAttestations: inputs.map((input) => ({ digest: { sha256: digestOf(input) } })),
      verificationResult: 'PASSED',
      verifiedLevels: [],
      'urn:headgate:move': {
        kind: options.kind ?? (fastForward ? 'promotion' : 'rollback'),
        ref,
        from,
        to,
        pusher: 'alice',
        enforcement: 'enforce',
        facts: { fastForward },
        objections: [],
        pushOptions: [],
        pushCertificate: options.certificate ?? null,
      },
    },
    { by: 'alice', ...options, at },
  )
}

/** What became of an authorization: by default of the record before it. */
export function outcome(
  to: Oid,
  result: 'landed' | 'not-landed',
  options: EntryOptions & { authorization?: number } = {},
): Entry {
  return entry(
    'outcome',
    to,
    (seq) => ({
      authorization: options.authorization ?? seq - 1,
      result,
      observed: result === 'landed' ? to : ZEROS,
    }),
    options,
  )
}

/** A move that was authorized and landed ten milliseconds later. */
export function landed(options: MoveOptions): Entry[] {
  const at = options.at ?? NOW - DAY
  return [authorization({ ...options, at }), outcome(options.to, 'landed', { by: 'alice', at: at + 10 })]
}

/** The first release of every test's repository, two days ago, and the smoke that it passed. */
export function firstRelease(): Entry[] {
  return landed({ kind: 'bootstrap', from: ZEROS, to: OLD, at: NOW - 2 * DAY })
}

/** The name by which an authorization calls an entry's envelope. Entries that know their number have none before. */
export function digestOf(entryOfIt: Entry): string {
  return sha256(`envelope of ${entryOfIt.payload(1)}`)
}

/** The records of a ledger, numbered from 1 in this order. */
export function recordsOf(entries: readonly (Entry | readonly Entry[])[]): HistoryRecord[] {
  return (entries.flat() as Entry[]).map((item, index) => {
    const seq = index + 1
    const payload = item.payload(seq)
    const statement = parseStatement(Buffer.from(payload))
    const envelopeDigest = sha256(`${item.wrapping ?? ''}envelope of ${payload}`)
    return { seq, at: item.at, by: item.by, statement, envelopeDigest, signer: item.signer }
  })
}

export function foldState(records: readonly HistoryRecord[]): LedgerState {
  return records.reduce(
    (state, { seq, at, by: who, statement }) => advanceState(state, { seq, at: iso(at), by: who, statement }),
    emptyState,
  )
}

/** What the ledger with these records says when a move to `commit` is judged. */
export function historyOf(records: readonly HistoryRecord[], commit: Oid): History {
  return {
    state: foldState(records),
    about: records.filter((record) => record.statement.commit === commit),
  }
}

export type Judged = {
  readonly facts?: ReleaseMove
  readonly policy?: Policy
  readonly now?: number
}

/** The verdict on a move (a promotion, if nothing else is said) with these records in the ledger. */
export function judge(entries: readonly (Entry | readonly Entry[])[], judged: Judged = {}): MoveVerdict {
  const { facts = promotion(), policy = POLICY, now = NOW } = judged
  return decide(facts, policy, historyOf(recordsOf(entries), facts.to), now)
}

/** `allowed`, or the rules that refuse, in the order in which people read them. */
export function answer(
  entries: readonly (Entry | readonly Entry[])[],
  judged: Judged = {},
): string | string[] {
  const verdict = judge(entries, judged)
  return verdict.verdict === 'allowed' ? 'allowed' : verdict.objections.map((objection) => objection.rule)
}

/** What the rule found, as one text. Fails loudly if it found nothing. */
export function foundBy(
  rule: string,
  entries: readonly (Entry | readonly Entry[])[],
  judged: Judged = {},
): string {
  const objection = judge(entries, judged).objections.find((candidate) => candidate.rule === rule)
  if (objection === undefined) throw new Error(`${rule} has nothing against it`)
  return objection.found.join('\n')
}
