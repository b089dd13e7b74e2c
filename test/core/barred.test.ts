import { describe, expect, test } from 'vitest'
import {
  answer,
  approval,
  authorization,
  type Entry,
  evidence,
  firstRelease,
  foundBy,
  HOUR,
  landed,
  MINUTE,
  NEW,
  NOW,
  OLD,
  outcome,
  rollback,
  smoke,
  TIP,
  ZEROS,
} from './build.ts'

/** NEW was promoted, and production was rolled back from it half an hour ago. */
const ROLLED_BACK = [
  firstRelease(),
  landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR }),
  landed({ from: NEW, to: OLD, fastForward: false, at: NOW - 30 * MINUTE }),
]
const before = evidence(NEW, { finishedAt: NOW - 40 * MINUTE })

describe('a commit that was rolled back from', () => {
  test.for([
    ['does not return on evidence from before the rollback', [before], ['barred']],
    ['returns on newer evidence', [before, evidence(NEW)], 'allowed'],
    [
      'does not return on a run that began before the rollback and ended after it',
      [evidence(NEW, { startedAt: NOW - 31 * MINUTE, finishedAt: NOW - 10 * MINUTE })],
      ['barred'],
    ],
    [
      'does not return on a newer run that failed',
      [before, evidence(NEW, { failed: ['chat'] })],
      ['evidence', 'barred'],
    ],
    [
      'does not return on a newer pass with a failure after it',
      [before, evidence(NEW, { finishedAt: NOW - 20 * MINUTE }), evidence(NEW, { failed: ['chat'] })],
      ['evidence', 'barred'],
    ],
    [
      'does not return on a newer run that is incomplete',
      [before, evidence(NEW, { skipped: ['chat'] })],
      ['barred'],
    ],
    [
      'does not return on a newer run of another configuration',
      [before, evidence(NEW, { configuration: 'f'.repeat(64) })],
      ['barred'],
    ],
    [
      'does not return on a newer run of another build',
      [before, evidence(NEW, { served: { before: OLD, after: OLD } })],
      ['barred'],
    ],
    [
      'does not return on a newer smoke of production',
      [before, smoke(NEW, { finishedAt: NOW - MINUTE })],
      ['barred'],
    ],
    ['is told of the bar beside the missing evidence', [], ['evidence', 'barred']],
  ] as [string, Entry[], string | string[]][])('%s', ([, entries, expected]) => {
    expect(answer([...ROLLED_BACK, ...entries])).toEqual(expected)
  })

  test('is told when it was rolled back from, and the record that says so', () => {
    expect(foundBy('barred', [...ROLLED_BACK, before])).toBe(
      `${NEW.slice(0, 7)} was rolled back from 29 min 59 s ago (record 6), and no staging run since then proves it`,
    )
  })

  test('is barred anew by the second rollback', () => {
    const again = [
      ...ROLLED_BACK,
      landed({ from: OLD, to: NEW, at: NOW - 15 * MINUTE }),
      landed({ from: NEW, to: OLD, fastForward: false, at: NOW - 5 * MINUTE }),
    ]
    expect(answer([...again, evidence(NEW)])).toEqual(['barred'])
    expect(answer([...again, evidence(NEW, { finishedAt: NOW - 2 * MINUTE })])).toBe('allowed')
  })
})

describe('nothing is barred', () => {
  test('by a rollback that was authorized and did not land', () => {
    const entries = [
      firstRelease(),
      landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR }),
      authorization({ from: NEW, to: OLD, fastForward: false, at: NOW - 30 * MINUTE }),
      outcome(OLD, 'not-landed'),
      before,
    ]
    expect(
      answer(entries, { facts: { ...rollback(), from: NEW, to: NEW, claimedFrom: NEW, fastForward: true } }),
    ).toBe('allowed')
  })

  test('of the commits that are beside the one rolled back from', () => {
    const facts = { ...rollback(), from: OLD, claimedFrom: OLD, to: TIP, fastForward: true }
    expect(answer([...ROLLED_BACK, evidence(TIP, { finishedAt: NOW - HOUR })], { facts })).toBe('allowed')
  })
})

describe('a rollback to a commit that was itself rolled back from', () => {
  /** OLD was smoked, then rolled back from to TIP, and NEW is the release now. */
  const entries = [
    landed({ from: ZEROS, to: TIP, at: NOW - 5 * HOUR }),
    landed({ from: TIP, to: OLD, at: NOW - 4 * HOUR }),
    smoke(OLD, { finishedAt: NOW - 4 * HOUR + MINUTE }),
    landed({ from: OLD, to: TIP, fastForward: false, at: NOW - 3 * HOUR }),
    landed({ from: TIP, to: NEW, at: NOW - HOUR }),
    approval(),
  ]
  const facts = rollback()

  test.for([
    ['is refused without newer evidence', [], ['barred']],
    ['is refused with evidence from before', [evidence(OLD, { finishedAt: NOW - 4 * HOUR })], ['barred']],
    ['is allowed with newer evidence', [evidence(OLD)], 'allowed'],
    [
      'is allowed with newer evidence of whatever age and configuration, for rollbacks need none',
      [evidence(OLD, { finishedAt: NOW - 2 * HOUR, configuration: 'f'.repeat(64) })],
      'allowed',
    ],
    [
      'is refused when the newest run failed',
      [evidence(OLD, { finishedAt: NOW - 20 * MINUTE }), evidence(OLD, { failed: ['chat'] })],
      ['barred'],
    ],
    ['is refused with a newer run of another build', [evidence(OLD, { served: null })], ['barred']],
    ['is refused with a newer run that is incomplete', [evidence(OLD, { passed: ['chat'] })], ['barred']],
  ] as [string, Entry[], string | string[]][])('%s', ([, more, expected]) => {
    expect(answer([...entries, ...more], { facts })).toEqual(expected)
  })
})
