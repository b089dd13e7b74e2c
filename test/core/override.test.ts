import { describe, expect, test } from 'vitest'
import { WAIVABLE } from '../../src/core/verdict.ts'
import {
  answer,
  approval,
  authorization,
  by,
  DAY,
  type Entry,
  evidence,
  firstRelease,
  freeze,
  HOUR,
  judge,
  landed,
  MINUTE,
  NEW,
  NOW,
  OLD,
  outcome,
  override,
  promotion,
  recordsOf,
  rollback,
  TIP,
  ZEROS,
} from './build.ts'

const UNPROVED = [firstRelease()]
const ALL = [...WAIVABLE]

describe('an override', () => {
  test('waives the rules that it names, for its exact move', () => {
    const entries = [...UNPROVED, override(['evidence'])]
    const verdict = judge(entries)
    expect(verdict).toMatchObject({
      verdict: 'allowed',
      kind: 'override',
      objections: [],
      waived: [{ rule: 'evidence' }],
      inputs: [recordsOf(entries).at(-1)?.envelopeDigest],
      approvedBy: ['bob'],
    })
  })

  test('waives no other rule, and both kinds of reasons are told', () => {
    const verdict = judge([...UNPROVED, freeze(), override(['evidence'])])
    expect(verdict.verdict).toBe('refused')
    expect(verdict.kind).toBe('promotion')
    expect(verdict.objections.map(({ rule }) => rule)).toEqual(['frozen'])
    expect(verdict.waived.map(({ rule }) => rule)).toEqual(['evidence'])
    expect(verdict.inputs).toEqual([])
    expect(verdict.approvedBy).toEqual([])
  })

  test('of the evidence covers what staging served', () => {
    const entries = [...UNPROVED, evidence(NEW, { served: null }), override(['evidence'])]
    expect(judge(entries)).toMatchObject({ verdict: 'allowed', waived: [{ rule: 'served-commit' }] })
  })

  test('of what staging served does not cover the evidence', () => {
    expect(answer([...UNPROVED, override(['served-commit'])])).toEqual(['evidence'])
  })

  test('that is not needed is not spent', () => {
    const entries = [...UNPROVED, evidence(NEW), override(['evidence'])]
    expect(judge(entries)).toMatchObject({
      kind: 'promotion',
      approvedBy: [],
      inputs: [recordsOf(entries)[2]?.envelopeDigest],
    })
  })

  test('lets a commit through that main lacks, in one push with all that it needs', () => {
    const facts = promotion({ onStaging: false })
    expect(answer([...UNPROVED, override(['evidence', 'on-staging'])], { facts })).toBe('allowed')
  })

  test('lets release go back without approval', () => {
    const entries = [firstRelease(), landed({ from: OLD, to: NEW })]
    const all = override(['fast-forward', 'approval', 'known-good'], { from: NEW, to: OLD })
    expect(answer([...entries, all], { facts: rollback() })).toBe('allowed')
    const some = override(['approval'], { from: NEW, to: OLD })
    expect(answer([...entries, some], { facts: rollback() })).toEqual(['fast-forward', 'known-good'])
  })

  test('spends the approvals that it stands beside, in the order of their records', () => {
    const entries = [
      firstRelease(),
      landed({ from: OLD, to: NEW }),
      override(['fast-forward', 'known-good'], { from: NEW, to: OLD }),
      approval(),
    ]
    const [, , , , first, second] = recordsOf(entries)
    expect(judge(entries, { facts: rollback() }).inputs).toEqual([
      first?.envelopeDigest,
      second?.envelopeDigest,
    ])
  })

  test('two overrides waive what either names', () => {
    expect(answer([...UNPROVED, freeze(), override(['evidence']), override(['frozen'])])).toBe('allowed')
  })

  test('lets a barred commit return', () => {
    const entries = [
      firstRelease(),
      landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR }),
      landed({ from: NEW, to: OLD, fastForward: false, at: NOW - HOUR }),
    ]
    expect(answer([...entries, override(['evidence'])])).toEqual(['barred'])
    expect(answer([...entries, override(['evidence', 'barred'])])).toBe('allowed')
  })
})

describe('no override waives', () => {
  const everything = [...ALL, 'release-delete', 'commit-object', 'operator', 'drift', 'reserved', 'inbox']

  test('who pushes', () => {
    const entries = [...UNPROVED, override(everything)]
    expect(answer(entries, { facts: promotion(by('mallory')) })).toEqual(['operator'])
  })

  test('a drift', () => {
    const entries = [...UNPROVED, override(everything, { from: TIP })]
    expect(answer(entries, { facts: promotion({ from: TIP }) })).toEqual(['drift'])
  })

  test('what release may hold', () => {
    const entries = [...UNPROVED, override(everything)]
    const facts = promotion({ objectType: 'tree', onStaging: false, fastForward: false })
    expect(answer(entries, { facts })).toEqual(['commit-object'])
  })

  test('a deletion', () => {
    const facts = promotion({ to: ZEROS, objectType: 'missing', onStaging: false, fastForward: false })
    const entries = [firstRelease(), override(everything, { subject: ZEROS })]
    expect(answer(entries, { facts })).toEqual(['release-delete'])
  })
})

describe('an override counts', () => {
  test('until its last millisecond, of its age and of its expiry', () => {
    const entries = [...UNPROVED, override(ALL, { issuedAt: NOW - HOUR + 1, expiresAt: NOW + 1 })]
    expect(answer(entries)).toBe('allowed')
    const old = [...UNPROVED, override(ALL, { issuedAt: NOW - HOUR, expiresAt: NOW + 1 })]
    expect(answer(old)).toEqual(['evidence'])
  })
})

describe('an override does not count', () => {
  test('for a push that is wrong about where release is', () => {
    const facts = promotion({ claimedFrom: TIP })
    expect(answer([...UNPROVED, override(ALL)], { facts })).toEqual(['fast-forward', 'evidence'])
  })

  test.for([
    ['for the way from another commit', override(ALL, { from: TIP })],
    ['for the way to another commit', override(ALL, { to: TIP, subject: NEW })],
    ['for another branch', override(ALL, { ref: 'refs/heads/other' })],
    ['for another repository', override(ALL, { repository: 'git.example.com/fork' })],
    ['once it has expired', override(ALL, { issuedAt: NOW - 30 * MINUTE, expiresAt: NOW })],
    [
      'when it is older than approvalMaxAge',
      override(ALL, { issuedAt: NOW - HOUR - 1, expiresAt: NOW + DAY }),
    ],
    ['when it was issued in the future', override(ALL, { issuedAt: NOW + 6 * MINUTE })],
    ['by an approver who is no operator', override(ALL, { signer: 'carol' })],
    ['by an untrusted key', override(ALL, { signer: { untrusted: 'the key is not listed' } })],
    ['for rules that do not exist', override(['everything', '*'])],
  ] as [string, Entry][])('%s', ([, entry]) => {
    expect(answer([...UNPROVED, entry])).toEqual(['evidence'])
  })
})

describe('an override is used once', () => {
  const used = override(['evidence', 'barred'], { nonce: 'used once' })
  const move = { kind: 'override' as const, from: OLD, to: NEW, inputs: [used] }
  const back = landed({ from: NEW, to: OLD, fastForward: false, at: NOW - 2 * MINUTE })

  test('a move that landed spends it', () => {
    const entries = [...UNPROVED, used, landed({ ...move, at: NOW - 4 * MINUTE }), back]
    expect(answer(entries)).toEqual(['evidence', 'barred'])
  })

  test('a move that did not land gives it back', () => {
    const entries = [
      ...UNPROVED,
      used,
      authorization({ ...move, at: NOW - 4 * MINUTE }),
      outcome(NEW, 'not-landed'),
    ]
    expect(answer(entries)).toBe('allowed')
  })
})
