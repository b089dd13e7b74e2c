import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { formatDuration, parseDuration } from '../../src/core/policy/duration.ts'

test.each([
  ['24h', 86_400_000],
  ['90m', 5_400_000],
  ['10s', 10_000],
  ['7d', 604_800_000],
  ['1h30m', 5_400_000],
  ['1d2h3m4s5ms', 93_784_005],
  ['250ms', 250],
  ['0s', 0],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each([
  '',
  '24',
  'h',
  '1.5h',
  '-1h',
  '1h 30m',
  '30m1h',
  '1h1h',
  '24H',
  '24h\n',
  '١h',
  '1e3s',
  ' 1h',
  '1w',
])('%j is no duration', (text) => {
  expect(() => parseDuration(text)).toThrow(HeadgateError)
  expect(() => parseDuration(text)).toThrow('is not a duration: write it like 90s, 15m, 24h, 7d or 1h30m')
})

test('ten years are the longest', () => {
  expect(parseDuration('3650d')).toBe(3650 * 86_400_000)
  expect(() => parseDuration('3650d1ms')).toThrow('"3650d1ms" is longer than ten years')
  expect(() => parseDuration('999999999d999999999h')).toThrow('longer than ten years')
})

test.each([
  [0, '0 ms'],
  [-5, '0 ms'],
  [350.7, '350 ms'],
  [999, '999 ms'],
  [1000, '1 s'],
  [40_999, '40 s'],
  [60_000, '1 min'],
  [303_000, '5 min 3 s'],
  [7_500_000, '2 h 5 min'],
  [3_605_000, '1 h'],
  [86_400_000, '1 day'],
  [93_600_000, '1 day 2 h'],
  [3 * 86_400_000, '3 days'],
])('%d ms reads %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('any text is a duration or refused by a HeadgateError', () => {
  const texts = fc.oneof(fc.string(), fc.stringMatching(/^[0-9dhms]{0,12}$/))
  fc.assert(
    fc.property(texts, (text) => {
      try {
        expect(Number.isSafeInteger(parseDuration(text))).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(HeadgateError)
      }
    }),
  )
})
