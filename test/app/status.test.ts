/** Where everything stands, as a value. */
import { expect, test } from 'vitest'
import { type StatusReport, status } from '../../src/app/status.ts'
import { lastCommits, provedAndAhead } from '../beginnings.ts'
import { callerIn, guarded } from './caller.ts'

test('the branches, the candidates, the next promotion and what the last one lacks', async () => {
  const repository = guarded({ prepare: provedAndAhead })
  const [one = '', two = '', three = ''] = lastCommits(repository, 3)
  const report: StatusReport = await status(callerIn(repository), {
    remote: 'origin',
    limit: 1,
    environments: false,
  })
  expect(report.status).toMatchObject({
    staging: { oid: three },
    release: { oid: one },
    lastMove: { kind: 'promotion', to: one, by: 'alice' },
    drift: null,
    candidateCount: 2,
  })
  expect(report.status.candidates.map(({ oid }) => oid)).toEqual([three])
  // It is found beyond those that are listed.
  expect(report.status.promotable?.oid).toBe(two)
  expect(report.abbreviated.get(two)).toBe(two.slice(0, 7))
  expect(report.unfinished?.to).toBe(one)
  expect(report.serving).toBeNull()
})

test('environments that only the ledger names are not asked, and that is part of the report', async () => {
  const repository = guarded()
  const report = await status(callerIn(repository), { remote: 'origin', limit: 1, environments: true })
  expect(report.serving?.staging).toMatchObject({
    kind: 'unknown',
    hint: expect.stringContaining('headgate.allowHost'),
  })
})
