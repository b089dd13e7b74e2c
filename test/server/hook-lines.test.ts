/**
 * What the hooks read is lines of git's. Wrappers that chain hooks pass them on through a variable, which trims the end of
 * the last one; anything that is not such a line is refused before a move, and said after it.
 */
import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestRepository } from '../make-repository.ts'

const ZEROS = '0'.repeat(40)

let repository: TestRepository
let first: string
let second: string
beforeAll(() => {
  repository = new TestRepository()
  first = repository.git('rev-parse', 'HEAD')
  second = repository.release('second')
})
afterAll(() => repository.remove())

function hook(name: string, input: string, ...args: string[]) {
  return repository.run(join(repository.bare, 'hooks', name), args, {
    cwd: repository.bare,
    env: { GIT_DIR: '.', TEST_PUSHER: 'alice' },
    input: Buffer.from(input, 'latin1'),
  })
}

/** More than the shell looks at one by one. */
const many = () =>
  Array.from({ length: 100 }, (_, index) => `${ZEROS} ${first} refs/heads/t/${index}\n`).join('')

const NOT_GITS: [string, (first: string, second: string, ref: string) => string][] = [
  ['a line with a carriage return', (a, b, ref) => `${a} ${b} ${ref}\r\n`],
  ['a blank after the name', (a, b, ref) => `${a} ${b} ${ref} \n`],
  ['a tab for a blank', (a, b, ref) => `${a}\t${b}\t${ref}\n`],
  ['two blanks', (a, b, ref) => `${a}  ${b} ${ref}\n`],
  ['a blank before', (a, b, ref) => ` ${a} ${b} ${ref}\n`],
  ['a terminal escape in the name', (a, b, ref) => `${a} ${b} ${ref}\x1b[2J\n`],
  ['a name alone', (_a, _b, ref) => `${ref}\n`],
  ['the new id missing', (a, _b, ref) => `${a} ${ref}\n`],
  ['ids cut short', (a, b, ref) => `${a.slice(0, 39)} ${b.slice(0, 39)} ${ref}\n`],
  ['ids of two lengths', (a, b, ref) => `${a} ${b}${'0'.repeat(24)} ${ref}\n`],
  ['ids in capitals', (a, b, ref) => `${a.toUpperCase()}A ${b} ${ref}\n`],
  ['an empty line', (a, b) => `\n${a} ${b} refs/heads/topic\n`],
  ['text', () => 'hello\n'],
  ['a long text without an end', () => 'x'.repeat(1_000_000)],
]

function expectMalformed(input: string): void {
  for (const ran of [hook('pre-receive', input), hook('reference-transaction', input, 'prepared')])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('malformed line')])
}

test.each(NOT_GITS)('%s is refused before a move', (_name, line) =>
  expectMalformed(line(second, first, 'refs/heads/release')),
)

test.each([
  ['after many others', many(), ''],
  ['before many others', '', many()],
])('%s such a line is found', (_name, before, after) => {
  for (const line of [
    `${second} ${first} refs/heads/main\r\n`,
    `${second.slice(1)} ${first} refs/heads/main\n`,
    'x\n',
  ])
    expectMalformed(`${before}${line}${after}`)
})

test('after a move it is said', () => {
  for (const before of ['', many()]) {
    const input = `${before}${second} ${first} refs/heads/release\r\n`
    const ran = hook('post-receive', input)
    expect([ran.code, ran.stderr]).toEqual([0, expect.stringContaining("lines that are not git's")])
    expect(hook('reference-transaction', input, 'committed')).toMatchObject({ code: 0, all: '' })
  }
})

test.each([
  ['main', '[staging-history]'],
  ['release', '[fast-forward]'],
])('the last line without its end is judged: %s', (name, rule) => {
  for (const before of ['', many()]) {
    const input = `${before}${second} ${first} refs/heads/${name}`
    const ran = hook('pre-receive', input)
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining(rule)])
    expect(hook('reference-transaction', input, 'prepared').code).toBe(name === 'release' ? 1 : 0)
    const passed = hook('pre-receive', `${before}${ZEROS} ${first} refs/heads/topic/\xc3\x9f`)
    expect([passed.code, passed.all]).toEqual([0, ''])
  }
})

test('lines of symbolic refs are lines of a transaction, and of no push', () => {
  const lines = [
    `ref:refs/heads/topic ref:refs/heads/main HEAD`,
    `${ZEROS} ref:refs/heads/main refs/heads/alias`,
  ]
  for (const input of [...lines, `${many()}${lines.join('\n')}\n`]) {
    expect(hook('reference-transaction', input, 'prepared')).toMatchObject({ code: 0, all: '' })
    expect(hook('pre-receive', input).code).toBe(1)
  }
})

test('names are bytes, and one of German is judged as any other', () => {
  const ran = hook(
    'pre-receive',
    `${second} ${first} refs/heads/main\n${ZEROS} ${first} refs/heads/gr\xc3\xb6\xc3\x9fe\n`,
  )
  expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('[staging-history]')])
})

test('nothing at all passes', () => {
  for (const name of ['pre-receive', 'post-receive', 'reference-transaction'])
    expect(hook(name, '', 'prepared')).toMatchObject({ code: 0, all: '' })
})

test('a list of guarded branches without the end of its last line still guards it', () => {
  const list = join(repository.bare, 'headgate/guarded')
  const text = repository.run('cat', [list]).stdout
  const lines = text.trimEnd().split('\n')
  for (const ref of ['refs/heads/main', 'refs/heads/release']) {
    const last = lines.find((line) => line.endsWith(` ${ref}`)) ?? ''
    writeFileSync(list, [...lines.filter((line) => line !== last), last].join('\n'))
    expect(hook('pre-receive', `${second} ${first} ${ref}\n`).code).toBe(1)
  }
  writeFileSync(list, text)
})

describe('behind a wrapper that trims', () => {
  beforeAll(() => {
    for (const name of ['pre-receive', 'post-receive', 'reference-transaction']) {
      const path = join(repository.bare, 'hooks', name)
      renameSync(path, `${path}.wrapped`)
      writeFileSync(path, `#!/bin/sh\ninput=$(cat)\nprintf %s "$input" | "$0.wrapped" "$@"\n`)
      chmodSync(path, 0o755)
    }
    // The wrapper is put in by hand: the wrapped hook finds the repository by its own folder, as before.
  })

  test('main cannot be rewound, and a proved promotion lands and is announced', () => {
    const rewound = repository.push(`+${first}:refs/heads/main`)
    expect([rewound.code, rewound.all]).toEqual([1, expect.stringContaining('[staging-history]')])
    expect(repository.push(`+${first}:refs/heads/release`).code).toBe(1)
    expect(repository.ref('refs/heads/main')).toBe(second)
    const next = repository.commit('third')
    repository.mustRun(repository.push('main'))
    expect(repository.push(`${next}:refs/heads/release`).all).toContain('[evidence]')
    const envelope = repository.sign(repository.evidencePayload(next), 'ci', 'headgate-evidence')
    repository.mustRun(repository.push(repository.inboxRefspec(envelope)))
    expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
    const landed = repository.mustRun(repository.push(`${next}:refs/heads/release`))
    expect(landed.all).toContain('release is now')
    expect(repository.mustRun(repository.push(`${first}:refs/heads/topic`)).all).not.toContain('remote:')
  })
})
