import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { baseUrlProblem } from '../../src/core/policy/base-url.ts'
import { branchProblem } from '../../src/core/policy/policy-words.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'

/** Parses; every failure must be ours, and every line of it must be printable. */
function failureOf(text: string): HeadgateError | null {
  try {
    parsePolicy(text)
    return null
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    expect(error.code).toBe('configuration')
    for (const line of error.message.split('\n')) expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u)
    expect(error.message.split('\n').length).toBeLessThanOrEqual(22)
    return error
  }
}

const WORDS = [
  ...[
    'version',
    'staging',
    'release',
    'rollback',
    'environments',
    'gates',
    'expect',
    'json',
    'get',
    'servedCommit',
  ],
  ...[
    ': ',
    '- ',
    '\n',
    '  ',
    '{',
    '}',
    '[',
    ']',
    ',',
    '&a ',
    '*a',
    '!!str ',
    '"',
    "'",
    '|\n',
    '? ',
    '<<',
    '# ',
    '---\n',
  ],
  ...['1', '.nan', 'null', '__proto__', 'constructor', '\\ud800', '\t', '\u202e', '\u0000', '%YAML 1.1\n'],
]

test('any text is a policy or refused by a HeadgateError', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => void failureOf(text)))
  const yamlish = fc.array(fc.constantFrom(...WORDS), { maxLength: 60 }).map((words) => words.join(''))
  fc.assert(
    fc.property(yamlish, (text) => void failureOf(text)),
    { numRuns: 2000 },
  )
})

test('any JSON value in place of any part of a policy is accepted or refused by a HeadgateError', () => {
  const whole = {
    version: 1,
    repository: 'app',
    staging: 'main',
    release: 'release',
    promotion: { operators: ['alice'] },
    rollback: { approvers: ['bob'] },
    environments: {
      staging: {
        url: 'https://staging.example.com',
        servedCommit: { get: '/health', json: 'commit' },
        gates: [
          { name: 'a', post: '/a', json: {}, headers: { x: 'y' }, expect: { status: 200, json: { a: 1 } } },
        ],
      },
    },
  }
  expect(failureOf(JSON.stringify(whole))).toBeNull()
  const paths: (string | number)[][] = []
  const visit = (value: unknown, path: (string | number)[]) => {
    paths.push(path)
    if (typeof value !== 'object' || value === null) return
    for (const key of Object.keys(value)) visit((value as Record<string, unknown>)[key], [...path, key])
  }
  visit(whole, [])
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 3 }), (path, value) => {
      const copy = { whole: structuredClone(whole) as unknown }
      let inner = copy as Record<string, unknown>
      const steps = ['whole', ...path]
      for (const step of steps.slice(0, -1)) inner = inner[step] as Record<string, unknown>
      inner[String(steps.at(-1))] = value
      failureOf(JSON.stringify(copy.whole))
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['flow lists', '['.repeat(65_000)],
  ['flow maps', '{a: '.repeat(16_000)],
  ['lists', '- '.repeat(32_000)],
  ['keys that are lists', '? '.repeat(32_000)],
  ['keys twice', 'a: 1\n'.repeat(13_000)],
  ['aliases', `promotion: { operators: [${'*a ,'.repeat(15_000)}] }`],
  ['documents', '---\n'.repeat(16_000)],
  ['gates', `environments: { staging: { gates: [${'{},'.repeat(20_000)}] } }`],
])('64 KiB of %s are refused in good time', (_, text) => {
  const started = performance.now()
  expect(failureOf(text)).not.toBeNull()
  expect(performance.now() - started).toBeLessThan(5000)
})

test('a branch name is one exactly where git says so', () => {
  const part = fc.constantFrom(
    'a',
    'b.c',
    '.',
    '..',
    '.lock',
    '@',
    '@{',
    '/',
    '-',
    '~',
    '^',
    ':',
    '?',
    '*',
    '[',
    '\\',
    ' ',
    'é',
    '\u007f',
  )
  const names = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(names, (name) => {
      const git = spawnSync('git', ['check-ref-format', '--branch', name], { cwd: '/', encoding: 'utf8' })
      // What git expands (@, @{-1}) is no name of a branch.
      const allowed = git.status === 0 && git.stdout === `${name}\n`
      expect(branchProblem(name) === null, name).toBe(allowed && name !== '@')
    }),
    { numRuns: 300 },
  )
})

test('an accepted base URL keeps its host and carries no credentials', () => {
  const texts = fc.oneof(
    fc.webUrl({ withFragments: true, withQueryParameters: true }),
    fc
      .array(fc.constantFrom('http://', 'https://', 'a', '@', ':', '/', '\\', '?', '#', '[::1]', '\n', ' '), {
        maxLength: 8,
      })
      .map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      if (baseUrlProblem(text) !== null) return
      const { host, username, password, search, hash } = new URL(text)
      expect([username, password, search, hash]).toEqual(['', '', '', ''])
      expect(host).not.toBe('')
    }),
  )
})
