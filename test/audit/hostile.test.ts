/** Ledgers that nobody would write but to hurt whoever reads them: bounded time, bounded memory, no crash. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { countFindings, Findings } from '../../src/audit/finding.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { released } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { Forger, sealOf, violations } from './forged-ledger.ts'

let repository: TestRepository
let forger: Forger

beforeAll(async () => {
  repository = new TestRepository({ prepare: released })
  forger = await Forger.of(repository)
}, 300_000)
afterAll(() => repository.remove())

const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`

/** The second record with this payload, sealed as the server would. */
function withPayload(payload: string | Buffer) {
  const drafts = forger.drafts()
  drafts[1]!.envelope.payload = Buffer.from(payload as string).toString('base64')
  return forger.rechain(drafts)
}

test.for([
  ['is empty', Buffer.alloc(0)],
  ['is no JSON', Buffer.from('{'.repeat(1000))],
  ['is no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ['is a hundred thousand levels deep', Buffer.from(deep)],
  ['is larger than a record may be', Buffer.alloc(3 * 1024 * 1024, 0x20)],
  ['has a megabyte of zeros', Buffer.alloc(1024 * 1024)],
  ['has a key twice', Buffer.from('{"seq":2,"seq":2}')],
] as const)('a record that %s', { timeout: 300_000 }, async ([, bytes]) => {
  const drafts = forger.drafts()
  const audit = await forger.audit(forger.forge([drafts[0]!, bytes, ...drafts.slice(2)]))
  expect(violations(audit)).toContain('record@2')
  expect(audit.stoppedAt).toBe(2)
  expect(JSON.stringify(audit.findings).length).toBeLessThan(20_000)
})

test.for([
  ['is a hundred thousand levels deep', deep],
  ['is endless', `"${'a'.repeat(900_000)}`],
  ['is one long text', JSON.stringify('a'.repeat(700_000))],
  [
    'has a thousand keys',
    JSON.stringify(Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, n]))),
  ],
  [
    'is of no known kind',
    JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject: [], predicateType: 'x' }),
  ],
] as const)('a statement that %s', { timeout: 300_000 }, async ([, payload]) => {
  const audit = await forger.audit(forger.forge(withPayload(payload)))
  expect(violations(audit)).toContain('record@2')
})

test('control characters in every text reach nobody', async () => {
  const evil = '\u001b[2J\u202e\u0000]8;;http://evil\u0007'
  const drafts = forger.drafts()
  for (const draft of drafts) draft.by = `x${evil}`
  const audit = await forger.audit(forger.forge(forger.rechain(drafts)))
  const texts = audit.findings.flatMap(({ found, fix }) => [found, fix])
  expect(texts.length).toBeGreaterThan(0)
  for (const text of texts) expect(text).not.toMatch(/\p{Cc}|\u202e/u)
})

test('a seal that is no signature, and one of sixteen thousand bytes', async () => {
  for (const seal of ['AAAA', Buffer.alloc(16_000, 1).toString('base64')]) {
    const drafts = forger.drafts()
    drafts[1]!.seal = seal
    expect(violations(await forger.audit(forger.forge(drafts)))).toContain('seal@2')
  }
})

test('a tip without a state, a tip that is no ledger', async () => {
  const commits = forger.commits(forger.drafts())
  commits.at(-1)!.files.delete('state.json')
  for (const { files } of commits.slice(0, -1)) files.delete('state.json')
  expect(violations(await forger.audit(forger.write(commits)))).toContain('state@1')
  const main = repository.ref('refs/heads/main') ?? ''
  expect(violations(await forger.audit(main)).length).toBeGreaterThan(0)
})

test('a commit that changes ten thousand files is told of as that one', { timeout: 300_000 }, async () => {
  const commits = forger.commits(forger.drafts())
  for (let n = 0; n < 10_000; n++) commits[2]!.files.set(`junk/${n}`, 'x')
  const audit = await forger.audit(forger.write(commits))
  expect(violations(audit)).toEqual(['record@3'])
  expect(audit.stoppedAt).toBe(3)
  expect(audit.head.seq).toBe(2)
})

test('thousands of bad records are counted, and fifty are listed', { timeout: 300_000 }, async () => {
  const [first] = forger.drafts()
  const bad = Array.from({ length: 1000 }, (_, index) => {
    const fields = { ...first!, seq: index + 2, previous: 'f'.repeat(64) }
    const { seal: _seal, ...unsealed } = fields
    return Buffer.from(canonicalJson({ ...unsealed, seal: sealOf(unsealed, forger.ownKey) }))
  })
  const audit = await forger.audit(forger.forge([first!, ...bad]))
  expect(audit.findings.length).toBeLessThan(500)
  expect(audit.findings.at(-1)?.found).toMatch(/more of this kind/)
  expect(countFindings(audit.findings, 'violation')).toBeGreaterThan(1000)
})

test('a policy that comes a hundred times starts git no hundred times', async () => {
  const [first, ...rest] = forger.drafts()
  const policies = Array.from({ length: 100 }, () => first!)
  const started = join(repository.bare, '..', 'started')
  const gitPath = join(repository.bare, '..', 'counted-git')
  writeFileSync(gitPath, `#!/bin/sh\necho "$*" >>'${started}'\nexec git "$@"\n`, { mode: 0o755 })
  const audit = await forger.audit(forger.forge(forger.rechain([...policies, ...rest])), {}, { gitPath })
  expect(violations(audit)).toContain('policy@2')
  const lines = readFileSync(started, 'utf8').trimEnd().split('\n')
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThan(30)
})

test('what is only counted is counted on by the audit that goes on from there', () => {
  const exception = { grade: 'exception', rule: 'override', found: 'x', fix: 'y' } as const
  const first = new Findings()
  for (let n = 0; n < 70; n++) first.add({ ...exception, record: n + 1 })
  const second = new Findings()
  for (const finding of first.all()) second.add(finding)
  second.add({ ...exception, record: 71 })
  expect(countFindings(second.all(), 'exception')).toBe(71)
  expect(second.all().at(-1)).toMatchObject({ more: 21, found: '21 more of this kind are not listed' })
})
