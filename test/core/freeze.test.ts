import { describe, expect, test } from 'vitest'
import {
  answer,
  DAY,
  type Entry,
  evidence,
  firstRelease,
  foundBy,
  freeze,
  HOUR,
  MINUTE,
  NEW,
  NOW,
  promotion,
  SECOND,
  unfreeze,
} from './build.ts'

const PROVED = [firstRelease(), evidence(NEW)]

describe('a promotion', () => {
  test.for([
    ['is refused during a freeze', [freeze()], ['frozen']],
    ['is refused until the last millisecond of it', [freeze({ until: NOW + 1 })], ['frozen']],
    ['is allowed when the freeze is over', [freeze({ until: NOW })], 'allowed'],
    ['is allowed after an unfreeze', [freeze(), unfreeze()], 'allowed'],
    ['is refused after a new freeze', [freeze(), unfreeze(), freeze({ issuedAt: NOW - SECOND })], ['frozen']],
    [
      'is refused when an unfreeze from before the freeze arrives late',
      [freeze({ issuedAt: NOW - HOUR }), unfreeze({ issuedAt: NOW - 2 * HOUR, at: NOW - MINUTE })],
      ['frozen'],
    ],
    [
      'is allowed when a freeze from before the unfreeze arrives late',
      [
        freeze({ issuedAt: NOW - 3 * HOUR }),
        unfreeze({ issuedAt: NOW - HOUR }),
        freeze({ issuedAt: NOW - 2 * HOUR, at: NOW - MINUTE }),
      ],
      'allowed',
    ],
    [
      'is allowed when a later statement made the freeze shorter',
      [freeze({ until: NOW + DAY }), freeze({ issuedAt: NOW - 30 * MINUTE, until: NOW - MINUTE })],
      'allowed',
    ],
    [
      'is refused when of two statements of one moment the last one freezes',
      [unfreeze({ issuedAt: NOW - HOUR }), freeze({ issuedAt: NOW - HOUR })],
      ['frozen'],
    ],
  ] as [string, Entry[], string | string[]][])('%s', ([, entries, expected]) => {
    expect(answer([...PROVED, ...entries])).toEqual(expected)
  })

  test('that creates release is refused during a freeze, too', () => {
    const facts = promotion({ from: '0'.repeat(40) })
    expect(answer([evidence(NEW), freeze()], { facts })).toEqual(['frozen'])
  })
})

test('a freeze is told with its end, its reason, its record and who made it', () => {
  expect(foundBy('frozen', [...PROVED, freeze({ reason: 'sale weekend' })])).toBe(
    'release is frozen until 2026-03-03T12:00:00.000Z: sale weekend (record 4, by bob)',
  )
})
