import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isAppend } from '../../src/core/release-log.ts'

const bytes = (text: string) => Buffer.from(text)

describe('a release log', () => {
  test.for([
    ['is appended to by nothing', 'a\n', 'a\n', true],
    ['is appended to by a line', 'a\n', 'a\nb\n', true],
    ['is appended to by half a line', 'a\n', 'a\nb', true],
    ['is appended to by a line break and a line, where its last line had none', 'a', 'a\nb\n', true],
    ['is appended to by anything while it is empty', '', 'a', true],
    ['is appended to by the break that its last line lacked', 'a', 'a\n', true],
    ['may have lines that end with CRLF', 'a\r\n', 'a\r\nb\r\n', true],
    ['may hold any bytes', '\u0000\n', '\u0000\n\u0000', true],
    ['is not appended to by lengthening its last line', 'a', 'ab', false],
    ['is not appended to by giving its last line another end', 'a', 'a\r\n', false],
    ['is not appended to by an edit', 'a\nb\n', 'x\nb\nc\n', false],
    ['is not appended to by a line before the first', 'a\n', 'b\na\n', false],
    ['is not appended to by truncation', 'a\nb\n', 'a\n', false],
    ['is not appended to by emptying', 'a\n', '', false],
    ['is not appended to by other line ends', 'a\nb\n', 'a\r\nb\r\n', false],
  ] as [string, string, string, boolean][])('%s', ([, before, after, expected]) => {
    expect(isAppend(bytes(before), bytes(after))).toBe(expected)
  })

  const log = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\r'), maxLength: 12 })

  test('that was appended to still has every line that it had, but for the end of the last', () => {
    fc.assert(
      fc.property(log, log, (before, more) => {
        const after = before + more
        const lines = before.split('\n')
        const kept = after.split('\n').slice(0, lines.length)
        const same =
          lines.at(-1) === ''
            ? lines.slice(0, -1).every((line, i) => kept[i] === line)
            : `${lines}` === `${kept}`
        expect(isAppend(bytes(before), bytes(after))).toBe(before === '' || same)
      }),
      { numRuns: 500 },
    )
  })

  test('that does not begin with what it was, was not appended to', () => {
    fc.assert(
      fc.property(log, log, (before, after) => {
        if (!after.startsWith(before)) expect(isAppend(bytes(before), bytes(after))).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test('that was appended to twice was appended to', () => {
    fc.assert(
      fc.property(log, log, log, (a, b, c) => {
        const steps = isAppend(bytes(a), bytes(a + b)) && isAppend(bytes(a + b), bytes(a + b + c))
        if (steps) expect(isAppend(bytes(a), bytes(a + b + c))).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})
