import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { escapeUnsafe, printable, shellWord } from '../../src/core/printable.ts'
import { hostileText } from './generate.ts'

describe('printable text', () => {
  test.for([
    ['plain text', 'Fix the checkout (#42)', 'Fix the checkout (#42)'],
    ['other scripts', 'Größe, 変更, изменение', 'Größe, 変更, изменение'],
    ['an emoji', 'ship it \u{1f680}', 'ship it \u{1f680}'],
    ['a line break', 'a\nb\r\n', 'a\\x0ab\\x0d\\x0a'],
    ['a tab', 'a\tb', 'a\\x09b'],
    ['a terminal escape', '\u001b[31mred', '\\x1b[31mred'],
    ['an escape of eight bits', '\u009b31m', '\\x9b31m'],
    ['DEL and NUL', '\u007f\u0000', '\\x7f\\x00'],
    ['a change of direction', 'a\u202eb\u2066', 'a\\u{202e}b\\u{2066}'],
    ['a blank of no width', 'al\u200bice', 'al\\u{200b}ice'],
    ['a byte order mark', '\ufeffx', '\\u{feff}x'],
    ['a soft hyphen', 'a\u00adb', 'a\\xadb'],
    ['a filler', 'a\u3164\u115f', 'a\\u{3164}\\u{115f}'],
    ['an empty Braille cell', 'a\u2800', 'a\\u{2800}'],
    ['blanks that are no space', 'a\u00a0b\u2003c\u3000', 'a\\xa0b\\u{2003}c\\u{3000}'],
    ['separators of lines and paragraphs', 'a\u2028b\u2029', 'a\\u{2028}b\\u{2029}'],
    ['a variation selector', 'a\ufe0f', 'a\\u{fe0f}'],
    ['a tag character', 'a\u{e0041}', 'a\\u{e0041}'],
    ['private use', '\ue000', '\\u{e000}'],
    ['half a character', 'a\ud800', 'a\\u{d800}'],
  ] as [string, string, string][])('shows %s', ([, text, expected]) => {
    expect(printable(text)).toBe(expected)
  })

  test('is cut with three dots where it is too long, and not one character earlier', () => {
    expect(printable('x'.repeat(200))).toBe('x'.repeat(200))
    expect(printable('x'.repeat(201))).toBe(`${'x'.repeat(197)}...`)
    expect(printable('abcdef', 5)).toBe('ab...')
  })

  test('is never cut in the middle of a character', () => {
    expect(printable(`${'x'.repeat(6)}\u{1f680}xxx`, 10)).toBe('xxxxxx...')
  })

  test('of any input is one bounded line of visible characters', () => {
    fc.assert(
      fc.property(hostileText, fc.integer({ min: 4, max: 300 }), (text, maxLength) => {
        const shown = printable(text, maxLength)
        expect(shown.length).toBeLessThanOrEqual(maxLength)
        expect(shown).toBe(escapeUnsafe(shown))
        expect(shown).not.toMatch(/[\p{C}\p{DI}\n\u2800]|(?! )\p{Z}/u)
        expect(shown.isWellFormed()).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a word of a shell command', () => {
  test.for([
    ['main', 'main'],
    ['feature/x-1.2_y', 'feature/x-1.2_y'],
    ['two words', "'two words'"],
    ["it's", `'it'\\''s'`],
    ['$(rm -rf /)', "'$(rm -rf /)'"],
    ['a;b', "'a;b'"],
    ['~root', "'~root'"],
    ['*', "'*'"],
    ['', "''"],
    ['a\nb', "'a\\x0ab'"],
  ] as [string, string][])('%j is %s', ([text, expected]) => {
    expect(shellWord(text)).toBe(expected)
  })
})
