import { chmodSync, existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type DiagnoseOptions, diagnose } from '../../src/app/doctor/diagnose.ts'
import { init } from '../../src/app/init.ts'
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

test('a clone is found from where the caller is; a hook that is gone comes back', async () => {
  const repository = guarded({ prepare: released })
  const without = await examine(repository)
  expect(without).toMatchObject({ path: repository.clone, kind: 'clone', healthy: true })
  await init(callerIn(repository), { policy: false }, () => {})
  const hook = join(repository.clone, '.git', 'hooks', 'pre-push')
  rmSync(hook)
  const found = await examine(repository)
  expect(found.healthy).toBe(false)
  expect(found.findings.map(({ repair }) => repair)).toContainEqual({ kind: 'install' })
  expect(await examine(repository, { fix: true })).toMatchObject({ healthy: true })
  expect(existsSync(hook)).toBe(true)
})
