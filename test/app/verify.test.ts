import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { log } from '../../src/app/audit/log.ts'
import { readTrust, type VerifyEvent, type VerifyOptions, verify } from '../../src/app/audit/verify.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import type { TestRepository } from '../make-repository.ts'
import { callerIn, guarded } from './caller.ts'

async function audit(repository: TestRepository, options: Partial<VerifyOptions> = {}) {
  const told: VerifyEvent[] = []
  const all = {
    ...{ remote: 'origin', offline: false, since: null, commit: undefined },
    ...{ anchors: null, served: false, fromStart: false },
    ...options,
  }
  const report = await verify(callerIn(repository), all, (event) => told.push(event))
  return { report, told }
}

test('an audit is one report; the next one begins where it ended, unless all is asked for', async () => {
  const repository = guarded({ prepare: releasedTwice })
  const [, one, two] = lastCommits(repository, 3)
  const { report, told } = await audit(repository)
  expect(report.outcome).toBe('ok')
  expect(report.moves.map(({ kind, to, outcome }) => [kind, to, outcome])).toEqual([
    ['promotion', one, 'landed'],
    ['promotion', two, 'landed'],
  ])
  expect(told).toEqual([])
  const { now } = report.records
  expect((await audit(repository)).report.records).toEqual({ now: 0, before: now })
  expect((await audit(repository, { fromStart: true, offline: true })).report.records.before).toBe(0)
  const about = await audit(repository, { commit: two?.slice(0, 9) ?? '' })
  expect(about.report.about?.some(({ kind }) => kind === 'evidence')).toBe(true)
})

test('what cannot be remembered is told, and the report stands', async () => {
  const repository = guarded({ prepare: releasedTwice })
  // Nobody makes files there.
  symlinkSync('/proc', join(repository.clone, '.git', 'headgate-verified'))
  const { report, told } = await audit(repository)
  expect(report.outcome).toBe('ok')
  expect(told.map(({ kind }) => kind)).toEqual(['not-remembered'])
})

test('a branch that no record moved, and a record that is not the one that is known, refuse', async () => {
  const repository = guarded({ prepare: releasedTwice })
  const [first = ''] = lastCommits(repository, 3)
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', first)
  const { report } = await audit(repository)
  expect(report.outcome).toBe('refused')
  expect(report.findings.map(({ rule }) => rule)).toContain('release-ref')
  writeFileSync(join(repository.clone, 'trust'), `record 1 ${'0'.repeat(64)}\n`)
  const anchors = readTrust(callerIn(repository), 'trust')
  const pinned = await audit(repository, { anchors, offline: true, fromStart: true })
  expect(pinned.report.findings.map(({ rule }) => rule)).toContain('copy')
  rmSync(join(repository.clone, 'trust'))
  expect(() => readTrust(callerIn(repository), 'trust')).toThrow('the trust file trust cannot be read')
})

test('the log is what the ledger holds: moves, policies, the statements about a commit', async () => {
  const repository = guarded({ prepare: releasedTwice })
  const [, one = '', two = ''] = lastCommits(repository, 3)
  const ask = (options: Partial<Parameters<typeof log>[1]>) =>
    log(callerIn(repository), {
      ...{ remote: 'origin', offline: false, commit: undefined, since: null, until: null, by: undefined },
      ...{ kind: undefined, limit: undefined, export: undefined, receipt: undefined },
      ...options,
    })
  const last = await ask({ limit: 1 })
  expect(last).toMatchObject({ kind: 'moves', moves: [{ from: one, to: two }], earlier: 1 })
  expect(await ask({ commit: two, by: 'nobody' })).toEqual({ kind: 'moves', moves: [], earlier: 0 })
  expect(await ask({ kind: 'policy' })).toMatchObject({
    kind: 'policies',
    policies: [{ version: 1, changes: null }],
    earlier: 0,
  })
  const bundle = await ask({ export: one })
  expect(bundle.kind === 'bundle' && bundle.text.trimEnd().split('\n').length).toBeGreaterThan(1)
  await expect(ask({ export: 'f'.repeat(40) })).rejects.toThrow('the ledger says nothing')
  await expect(ask({ limit: 0 })).rejects.toThrow('--limit')
})
