import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  appendEntries,
  isAppend,
  type LogEntry,
  parseReleaseLog,
  renderEntry,
} from '../../src/core/release-log.ts'

const PROMOTION: LogEntry = {
  kind: 'promotion',
  commit: '3f2c1ab000000000000000000000000000000001',
  from: '9d0e1f2000000000000000000000000000000002',
  at: '2026-01-31T12:00:00.123Z',
  operator: 'alice',
  stagingBase: '3f2c1ab000000000000000000000000000000001',
  stagingGates: {
    result: 'PASSED',
    finishedAt: '2026-01-31T11:58:00.000Z',
    record: 31,
    by: 'ci@example.com',
    gates: [
      { name: 'health', outcome: 'passed' },
      { name: 'chat', outcome: 'passed' },
    ],
  },
  waived: [],
  approvedBy: [],
  trigger: null,
  reason: null,
  symptoms: null,
  smoke: {
    result: 'PASSED',
    finishedAt: '2026-01-31T12:01:00.000Z',
    record: 36,
    by: 'alice',
    gates: [{ name: 'health', outcome: 'passed' }],
  },
  notes: 'weekly release, see https://wiki.example.com/weekly_release',
  plan: 'ticket 4711',
  record: 34,
}

const ROLLBACK: LogEntry = {
  ...PROMOTION,
  kind: 'rollback',
  commit: '9d0e1f2000000000000000000000000000000002',
  from: '3f2c1ab000000000000000000000000000000001',
  stagingGates: null,
  approvedBy: ['bob'],
  trigger: 'pager',
  reason: 'checkout fails',
  symptoms: '500 on /pay',
  smoke: null,
  notes: null,
  plan: null,
  record: 40,
}

test('a promotion reads well', () => {
  expect(renderEntry(PROMOTION)).toBe(`## 2026-01-31 12:00:00 UTC: promotion to \`3f2c1ab\`

- Commit: \`3f2c1ab000000000000000000000000000000001\`
- From: \`9d0e1f2000000000000000000000000000000002\`
- Date: 2026-01-31T12:00:00.123Z
- Operator: alice
- Staging base: \`3f2c1ab000000000000000000000000000000001\`
- Staging gates: PASSED at 2026-01-31T11:58:00.000Z, record 31, by ci@example.com: health passed, chat passed
- Production smoke: PASSED at 2026-01-31T12:01:00.000Z, record 36, by alice: health passed
- Rollout notes: weekly release, see https://wiki.example.com/weekly_release
- Rollback plan: ticket 4711
- Ledger record: 34
`)
})

test('the URLs of staging and production stand beside the commit, and above the smoke test', () => {
  const entry = {
    ...PROMOTION,
    stagingUrl: 'https://staging.example.com/a_b',
    productionUrl: 'https://www.example.com',
  }
  const text = renderEntry(entry)
  expect(text).toContain(
    '- Staging base: `3f2c1ab000000000000000000000000000000001` at https://staging.example.com/a_b\n',
  )
  expect(text).toContain('- Production base: https://www.example.com\n- Production smoke: PASSED')
  const { entries, problems } = parseReleaseLog(Buffer.from(text))
  expect([entries.map((one) => one.entry), problems]).toEqual([[entry], []])
  const moved = text.replace(' at https', ' at  https')
  expect(parseReleaseLog(Buffer.from(moved)).entries).toEqual([])
})

test('a rollback reads well', () => {
  expect(renderEntry(ROLLBACK)).toBe(`## 2026-01-31 12:00:00 UTC: rollback to \`9d0e1f2\`

- Commit: \`9d0e1f2000000000000000000000000000000002\`
- From: \`3f2c1ab000000000000000000000000000000001\`
- Date: 2026-01-31T12:00:00.123Z
- Operator: alice
- Staging base: \`3f2c1ab000000000000000000000000000000001\`
- Approved by: bob
- Trigger: pager
- Reason: checkout fails
- Symptoms: 500 on /pay
- Post-rollback verification: not recorded
- Ledger record: 40
`)
})

test('a log grows below whatever people wrote into it, and their words are left alone', () => {
  const first = appendEntries(Buffer.from(''), [PROMOTION])
  expect(first.toString()).toMatch(/^# Release log\n/)
  const noted = Buffer.concat([
    first,
    Buffer.from('\nbob: went well.\n\n## 2026-02-01: a heading of our own\nlast'),
  ])
  const second = appendEntries(noted, [ROLLBACK, PROMOTION])
  expect(isAppend(first, noted) && isAppend(noted, second)).toBe(true)
  const { entries, problems } = parseReleaseLog(second)
  expect(problems).toEqual([])
  expect(entries.map(({ entry }) => entry)).toEqual([PROMOTION, ROLLBACK, PROMOTION])
  expect(second.toString().split('\n')[entries[1]!.line - 1]).toBe(
    '## 2026-01-31 12:00:00 UTC: rollback to `9d0e1f2`',
  )
})

describe('an entry that is not as headgate writes it is a problem with its line', () => {
  const text = renderEntry(PROMOTION)
  test.for([
    ['another spelling of an id', text.replace('`3f2c1ab0', '`3F2C1AB0')],
    ['a heading that names another commit', text.replace('to `3f2c1ab`', 'to `9d0e1f2`')],
    ['a heading of another time', text.replace('12:00:00 UTC', '12:00:01 UTC')],
    ['a heading of a kind that there is not', text.replace('promotion to', 'promotion of')],
    ['fields in another order', text.replace(/(- Date.*\n)(- Operator.*\n)/, '$2$1')],
    ['a field too many', text.replace('- Ledger', '- Weather: fine\n- Ledger')],
    ['a field twice', text.replace('- Ledger', '- Operator: alice\n- Ledger')],
    ['a field too few', text.replace(/- Operator.*\n/, '')],
    ['a line below the last field', `${text}- and more\n`],
    ['no blank line', text.replace('\n\n', '\n')],
    ['line ends of another system', text.replaceAll('\n', '\r\n')],
    ['a record that is no number', text.replace('record: 34', 'record: 034')],
    ['a result that there is not', text.replace('smoke: PASSED', 'smoke: FINE')],
    ['a result without gates', text.replace(': health passed\n', ': \n')],
    ['a field of rollbacks', text.replace('Production smoke', 'Post-rollback verification')],
    ['a date that is none', text.replaceAll('12:00:00', '12.00.00')],
  ] as [string, string][])('%s', ([, damaged]) => {
    expect(damaged).not.toBe(text)
    const { entries, problems } = parseReleaseLog(Buffer.from(`# Log\n\n${damaged}`))
    expect(entries).toEqual([])
    expect(problems.map(({ line }) => line)).toEqual([3])
  })

  test('bytes that are no UTF-8', () => {
    const bytes = Buffer.from(text.replace('ticket', 'tick\u00fft'), 'latin1')
    expect(parseReleaseLog(bytes)).toMatchObject({ entries: [], problems: [{ line: 1 }] })
  })
})

describe('text by people', () => {
  const noted = (notes: string) => ({ ...PROMOTION, notes })
  const line = (notes: string) => /- Rollout notes: (.*)\n/.exec(renderEntry(noted(notes)))?.[1]

  test.for([
    ['a heading', 'done\n\n## 2026-01-31 12:00:00 UTC: promotion to `3f2c1ab`'],
    ['a link', '[click](https://evil.example)'],
    ['an image', '![x](https://evil.example/x.png)'],
    ['a tag', '<img src=x onerror=alert(1)> <!-- -->'],
    ['an entity', '&lt;b&gt; &#60; &#x3c;'],
    ['emphasis', '*loud* _soft_ ~~gone~~ `code` $math$'],
    ['text that turns around', 'abc\u202egpj.exe'],
  ] as [string, string][])('makes no markup: %s', ([, notes]) => {
    const text = renderEntry(noted(notes))
    expect(text.split('\n').length).toBe(renderEntry(PROMOTION).split('\n').length)
    expect(line(notes)?.replace(/\\./g, '')).not.toMatch(/[*`<>[\]$\u202e]|&(?!#x[0-9a-f]+;)/)
    expect(parseReleaseLog(Buffer.from(text)).entries[0]?.entry.notes).toBe(notes)
  })

  test('with nothing that Markdown minds stays as it is', () => {
    const plain = 'weekly: a & b, snake_case, 50%, "quoted"; see https://x.example/a_b?c=1&d=2#e (ok!)'
    expect(line(plain)).toBe(plain)
  })
})

test('every entry parses back to exactly what it was made of', () => {
  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 })
  const prose = fc.option(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...'\\`*_[]<>&#xa;, :\n\ufffda~$'), maxLength: 12 }),
    ),
  )
  const oid = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 40, maxLength: 40 })
  const at = fc
    .date({ min: new Date(0), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true })
    .map((date) => date.toISOString())
  const record = fc.integer({ min: 1, max: 2 ** 40 })
  const gates = fc.array(
    fc.record({ name, outcome: fc.constantFrom('passed' as const, 'failed' as const, 'skipped' as const) }),
    { maxLength: 4 },
  )
  const result = fc.constantFrom('PASSED' as const, 'WARNED' as const, 'FAILED' as const)
  const run = fc.option(fc.record({ result, finishedAt: at, record, by: name, gates }))
  const entry: fc.Arbitrary<LogEntry> = fc
    .record({
      kind: fc.constantFrom('promotion' as const, 'rollback' as const, 'override' as const),
      commit: oid,
      from: fc.option(oid),
      at,
      operator: name,
      stagingBase: fc.option(oid),
      stagingGates: run,
      waived: fc.array(name, { maxLength: 3 }),
      approvedBy: fc.array(name, { maxLength: 3 }),
      trigger: prose,
      reason: prose,
      symptoms: prose,
      smoke: run,
      notes: prose,
      plan: prose,
      record,
    })
    .map((made) => (made.kind === 'rollback' ? { ...made, stagingGates: null } : made))
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 3 }), (entries) => {
      const log = appendEntries(Buffer.from(''), entries)
      expect(parseReleaseLog(log)).toMatchObject({
        entries: entries.map((one) => ({ entry: one })),
        problems: [],
      })
    }),
    { numRuns: 300 },
  )
})
