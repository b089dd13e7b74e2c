/** Ledgers, policies and moves for the properties: few commits and few moments, so that records meet. */
import fc from 'fast-check'
import type { ReleaseMove } from '../../src/core/facts.ts'
import type { HistoryRecord } from '../../src/core/history.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { WAIVABLE } from '../../src/core/verdict.ts'
import {
  approval,
  authorization,
  by,
  driftNote,
  type Entry,
  evidence,
  firstRelease,
  foldState,
  freeze,
  invalidation,
  iso,
  MINUTE,
  makePolicy,
  NEW,
  NOW,
  OLD,
  outcome,
  override,
  promotion,
  RELEASE_REF,
  recordsOf,
  smoke,
  TIP,
  ZEROS,
} from './build.ts'

/** Oldest first: a move forward in this list is a fast-forward. */
const COMMITS = [OLD, NEW, TIP] as const
const WAIVED = [...WAIVABLE]

const commit = fc.constantFrom(OLD, NEW, NEW, TIP)
const moment = fc.integer({ min: 0, max: 12 }).map((steps) => NOW - steps * 5 * MINUTE)
const signer = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('alice', 'bob', 'carol') },
  { weight: 1, arbitrary: fc.constantFrom('mallory', { untrusted: 'the key is not listed' }) },
)
const repository = fc.oneof(
  { weight: 9, arbitrary: fc.constant('git.example.com/app') },
  { weight: 1, arbitrary: fc.constant('git.example.com/fork') },
)
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })

type Served = 'same' | 'other' | 'half' | 'none'
const servedMostly = mostly<Served>('same', 'other', 'half', 'none')

/** What the environment said that it served, before and after the gates. */
function reportOf(of: string, served: Served): { before: string | null; after: string | null } | null {
  const reports = {
    same: { before: of, after: of },
    other: { before: OLD, after: NEW },
    half: { before: of, after: null },
    none: null,
  }
  return reports[served]
}

const runs = fc
  .record({
    commit,
    finishedAt: moment,
    lasted: fc.integer({ min: 0, max: 4 }),
    environment: fc.constantFrom('staging' as const, 'staging' as const, 'production' as const),
    gates: mostly<{ failed?: string[]; warned?: string[]; skipped?: string[]; result?: 'FAILED' }>(
      {},
      { failed: ['chat'] },
      { warned: ['chat'] },
      { warned: ['drills'] },
      { skipped: ['chat'] },
      { result: 'FAILED' },
    ),
    configured: mostly(true, false),
    served: servedMostly,
    signer: mostly<string | { untrusted: string }>('ci', { untrusted: 'the key is not listed' }),
    repository,
  })
  .map(({ served, configured, lasted, gates, ...run }) => {
    return evidence(run.commit, {
      ...run,
      ...(run.environment === 'production' && gates.failed ? { failed: ['home'] } : gates),
      startedAt: run.finishedAt - lasted * 5 * MINUTE,
      served: reportOf(run.commit, served),
      ...(configured ? {} : { configuration: 'f'.repeat(64) }),
    })
  })

const way = fc
  .record({
    way: fc.oneof(fc.constantFrom([OLD, NEW] as const, [NEW, OLD] as const), fc.tuple(commit, commit)),
    issuedAt: moment,
    lasts: fc.integer({ min: 1, max: 12 }),
    signer,
    repository,
  })
  .map(({ way: [from, to], lasts, issuedAt, ...rest }) => ({
    ...rest,
    from,
    to,
    issuedAt,
    expiresAt: issuedAt + lasts * 5 * MINUTE,
  }))

const approvals = way.map((options) => approval(options))
const overrides = fc
  .tuple(way, fc.subarray(WAIVED, { minLength: 1 }))
  .map(([options, waives]) => override(waives, options))
const invalidations = fc
  .record({
    commit,
    issuedAt: moment,
    signer: mostly<string | { untrusted: string }>('ci', { untrusted: 'no' }),
  })
  .map((options) => invalidation(options.commit, options))
const freezes = fc
  .record({
    issuedAt: moment,
    until: fc.constantFrom(NOW - 10 * MINUTE, NOW - 20 * MINUTE, NOW + 10 * MINUTE),
  })
  .map((options) => freeze(options))

/** A permission and a move that spent it, or any move. `null` is an authorization that nobody closed yet. */
const moves = fc
  .record({
    from: commit,
    to: commit,
    at: moment,
    result: fc.constantFrom('landed' as const, 'landed' as const, 'not-landed' as const, null),
    spent: fc.array(fc.oneof(approvals, overrides), { maxLength: 2 }),
  })
  .map(({ result, spent, ...move }) => [
    ...spent,
    authorization({ ...move, fastForward: isForward(move.from, move.to), inputs: spent }),
    ...(result === null ? [] : [outcome(move.to, result, { at: move.at })]),
  ])

const drifts = fc.tuple(commit, fc.constantFrom(...COMMITS, ZEROS)).map(([from, to]) => driftNote(from, to))

function isForward(from: string, to: string): boolean {
  return COMMITS.indexOf(from as typeof OLD) <= COMMITS.indexOf(to as typeof OLD)
}

const anything: fc.Arbitrary<Entry[]> = fc.oneof(
  { weight: 5, arbitrary: runs.map((one) => [one]) },
  { weight: 3, arbitrary: approvals.map((one) => [one]) },
  { weight: 3, arbitrary: overrides.map((one) => [one]) },
  { weight: 2, arbitrary: invalidations.map((one) => [one]) },
  { weight: 2, arbitrary: freezes.map((one) => [one]) },
  { weight: 4, arbitrary: moves },
  { weight: 1, arbitrary: drifts.map((one) => [one]) },
)

/** What was recorded in one go, in the order of the ledger. */
const groups = fc.array(anything, { maxLength: 9 })

export const records: fc.Arbitrary<HistoryRecord[]> = groups.map(ledgerOf)

function ledgerOf(more: readonly Entry[][]): HistoryRecord[] {
  return recordsOf([firstRelease(), smoke(OLD), ...more])
}

export const policies: fc.Arbitrary<Policy> = fc
  .record({
    served: fc.constantFrom('required', 'if-reported', 'ignore'),
    maxAge: fc.constantFrom('24h', '30m'),
    approvals: fc.constantFrom(1, 1, 2),
    approverMayPush: fc.boolean(),
    target: fc.constantFrom('smoke-passed', 'landed'),
    notes: mostly('optional', 'required'),
  })
  .map(({ served, maxAge, target, notes, ...rollback }) =>
    makePolicy({
      promotion: `operators: [alice, bob], notes: ${notes}`,
      evidence: `maxAge: ${maxAge}, servedCommit: ${served}`,
      rollback: `approvers: [alice, bob, carol], approvals: ${rollback.approvals}, approverMayPush: ${rollback.approverMayPush}, target: ${target}`,
    }),
  )

export type Scene = {
  readonly records: readonly HistoryRecord[]
  readonly facts: ReleaseMove
  readonly policy: Policy
}

/** What nobody does by accident. */
const oddities = fc.constantFrom<Partial<ReleaseMove>>(
  { objectType: 'tag' },
  { objectType: 'tree', onStaging: false, fastForward: false },
  { to: ZEROS, objectType: 'missing', onStaging: false, fastForward: false },
  { certificate: { offered: true, good: false, reason: 'it is forged' } },
  { claimedFrom: TIP },
)

/** Statements about `commit` that say nothing of it: nobody who counts signed them, or it is another repository. */
export const strangers = (commit: string): fc.Arbitrary<Entry> =>
  fc.constantFrom(
    evidence(commit, { repository: 'git.example.com/fork', failed: ['chat'] }),
    evidence(commit, { signer: { untrusted: 'the key is not listed' }, failed: ['chat'] }),
    evidence(commit, { signer: { untrusted: 'the key is not listed' } }),
    invalidation(commit, { signer: { untrusted: 'the key is not listed' } }),
    approval({ from: NEW, to: commit, signer: 'mallory' }),
    override(WAIVED, { from: NEW, to: commit, signer: 'mallory' }),
    override(WAIVED, { from: NEW, to: commit, repository: 'git.example.com/fork' }),
  )

/** Statements about some commit that change no state: about another one they say nothing. */
export const claims: fc.Arbitrary<Entry> = fc.oneof(runs, approvals, overrides, invalidations)

/** A ledger and a move that mostly starts where the ledger says that release is, and that something mostly permits. */
export const scenes: fc.Arbitrary<Scene> = fc
  .record({
    groups,
    policy: policies,
    to: commit,
    elsewhere: mostly<string | null>(null, ...COMMITS, ZEROS),
    pusher: mostly<string | null>('alice', 'bob', 'mallory', null),
    onStaging: mostly(true, false),
    odd: fc.oneof({ weight: 9, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: oddities }),
    served: servedMostly,
    help: fc.constantFrom('none', 'permission', 'override'),
    waives: fc.subarray(WAIVED, { minLength: 1 }),
    place: fc.nat(),
    pushOptions: mostly<string[]>(['note=weekly'], [], ['note= ']),
  })
  .map(({ groups: without, policy, to, elsewhere, pusher, ...scene }) => {
    const { onStaging, odd, served, help, waives, place, pushOptions } = scene
    const landed = foldState(ledgerOf(without)).landed[RELEASE_REF]?.to ?? ZEROS
    const from = elsewhere ?? landed
    const fastForward = isForward(from, to)
    const helpful: Record<typeof help, Entry[]> = {
      none: [],
      permission: [
        fastForward ? evidence(to, { policy, served: reportOf(to, served) }) : approval({ from, to }),
      ],
      override: [override(waives, { from, to })],
    }
    const all = without.toSpliced(place % (without.length + 1), 0, helpful[help] ?? [])
    const known = pusher === null ? { pusher: { identified: false as const, reason: 'no name' } } : by(pusher)
    const facts = { ...promotion({ from, to, onStaging, fastForward, pushOptions, ...known }), ...odd }
    return { records: ledgerOf(all), policy, facts }
  })

/** Text that a terminal, a shell or a careless reader may trip over. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom(
        '\u001b[2J\u001b[1;31m',
        '\u001b]0;title\u0007',
        '\r\n',
        '\u0000',
        '\u009b31m',
        '\u202e',
        '\u2066',
        '\u200b',
        '\ufeff',
        '\u00ad',
        '\u3164',
        '\u2800',
        '\u00a0',
        '\u2028',
        '\ufe0f',
        '\u{e0041}',
        '\ud800',
        '\u{10ffff}',
        ' ',
        '  fix: ',
        "'; rm -rf /; '",
        '\t',
        'x'.repeat(3000),
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

const anyOid = fc.oneof(commit, fc.constantFrom(ZEROS, '0'.repeat(64)), hostileText)

/** Whatever anybody might hand over as facts, of the right types and nothing more. */
export const anyFacts: fc.Arbitrary<ReleaseMove> = fc.record({
  ref: fc.oneof(
    fc.constant(RELEASE_REF),
    fc.constantFrom('__proto__', 'constructor', 'toString'),
    hostileText,
  ),
  from: anyOid,
  claimedFrom: anyOid,
  to: anyOid,
  objectType: fc.constantFrom('commit', 'tag', 'tree', 'blob', 'missing'),
  staging: fc.option(anyOid),
  onStaging: fc.boolean(),
  strays: fc.array(
    fc.record({ oid: anyOid, parents: fc.array(anyOid, { maxLength: 3 }), subject: hostileText }),
    {
      maxLength: 8,
    },
  ),
  fastForward: fc.boolean(),
  broughtBack: fc.array(
    fc.record({
      commit: anyOid,
      how: fc.constantFrom('same-code' as const, 'contained' as const),
      why: hostileText,
    }),
    { maxLength: 3 },
  ),
  pusher: fc.oneof(
    fc.record({
      identified: fc.constant(true as const),
      principal: fc.oneof(fc.constant('alice'), hostileText),
      source: hostileText,
    }),
    fc.record({ identified: fc.constant(false as const), reason: hostileText }),
  ),
  certificate: fc.oneof(
    fc.constant({ offered: false as const }),
    fc.record({
      offered: fc.constant(true as const),
      good: fc.constant(true as const),
      principal: hostileText,
      fingerprint: hostileText,
      text: hostileText,
    }),
    fc.record({
      offered: fc.constant(true as const),
      good: fc.constant(false as const),
      reason: hostileText,
    }),
  ),
  pusherKeys: fc.option(fc.array(hostileText, { maxLength: 3 })),
  pushOptions: fc.array(hostileText, { maxLength: 3 }),
})

export const moments = fc.oneof(
  moment,
  fc.constantFrom(
    0,
    -1,
    Number.MAX_SAFE_INTEGER,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
  ),
)

/** For messages of failed properties: what the record is, in a word or two. */
export function nameRecord({ seq, at, statement }: HistoryRecord): string {
  return `${seq} ${statement.kind} about ${statement.commit.slice(0, 7)} at ${iso(at)}`
}
