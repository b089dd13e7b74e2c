import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type DiagnoseOptions, diagnose } from '../../src/app/doctor/diagnose.ts'
import { released } from '../beginnings.ts'
import type { TestRepository } from '../make-repository.ts'
import { callerIn, guarded } from './caller.ts'

const examine = (repository: TestRepository, options: Partial<DiagnoseOptions> = {}) =>
  diagnose(callerIn(repository), { path: undefined, fix: false, ...options }, (event) => {
    throw event.error
  })

test('a guarded repository: a fault is a finding with its repair, and is gone after it', async () => {
  const repository = guarded({ prepare: released })
  const whole = await examine(repository, { path: repository.bare })
  expect(whole).toEqual({ path: repository.bare, kind: 'server', healthy: true, findings: [], fixed: [] })
  const hook = join(repository.bare, 'hooks', 'pre-receive')
  chmodSync(hook, 0o644)
  const found = await examine(repository, { path: repository.bare })
  expect(found.healthy).toBe(false)
  expect(found.findings).toMatchObject([{ code: 'hook-not-executable', level: 'problem' }])
  expect(found.findings[0]?.repair).toBeDefined()
  const fixed = await examine(repository, { path: repository.bare, fix: true })
  expect(fixed).toMatchObject({ healthy: true, findings: [], fixed: [{ code: 'hook-not-executable' }] })
  expect(statSync(hook).mode & 0o111).not.toBe(0)
})

test('a clone is found from where the caller is, and gets its hooks', async () => {
  const repository = guarded({ prepare: released })
  const found = await examine(repository)
  expect(found).toMatchObject({ path: repository.clone, kind: 'clone', healthy: false })
  expect(found.findings.every(({ repair }) => repair === undefined || repair.kind === 'install')).toBe(true)
  expect((await examine(repository, { fix: true })).healthy).toBe(true)
})
