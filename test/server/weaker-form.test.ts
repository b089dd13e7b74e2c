/** Where a host runs no reference-transaction hook: what still holds, and who says that it is less. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ran, TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, ledgerRecords } from './attack.ts'

const RELEASE = 'refs/heads/release'

let repository: TestRepository
let released: string
let next: string
let last: string

beforeAll(() => {
  repository = new TestRepository()
  repository.release('with all hooks')
  released = repository.commit('without')
  next = repository.commit('next')
  last = repository.commit('last')
  repository.pushProved(released, next, last)
})
afterAll(() => repository.remove())

const hook = (name: string) => join(repository.bare, 'hooks', name)
const findings = (ran: Ran): { grade: string; rule: string; record: number; found: string }[] =>
  JSON.parse(ran.stdout).findings
const aboutForm = (ran: Ran) => findings(ran).filter(({ found }) => / form of the guard /.test(found))
const verify = (...args: string[]) => repository.headgate('verify', '--format', 'json', ...args)

test('verify says nothing of it while the hook is there', () => {
  expect(aboutForm(verify())).toEqual([])
})

test('a promotion lands, and post-receive records that', async () => {
  rmSync(hook('reference-transaction'))
  const pushed = await expectChanged(repository, { [RELEASE]: released }, () =>
    repository.push(`${released}:${RELEASE}`),
  )
  expect(pushed.all).toMatch(/release is now [0-9a-f]{7}/)
  expect(ledgerRecords(repository).at(-1)).toMatchObject({ kind: 'outcome', by: 'server' })
  expectSoundLedger(repository)
})

test('verify says since when the weaker form is in use, and so does an audit that goes on from there', () => {
  const record = ledgerRecords(repository).findLast(({ kind }) => kind === 'authorization')?.seq
  const told = [
    expect.objectContaining({
      grade: 'exception',
      rule: 'installation',
      record,
      found: expect.stringMatching(/^the weaker form of the guard is in use from here on: /),
    }),
  ]
  for (const args of [[], [], ['--full']]) {
    const ran = verify(...args)
    expect(ran.code, ran.all).toBe(0)
    expect(aboutForm(ran)).toEqual(told)
  }
})

test('doctor says so, too', () => {
  const ran = repository.headgate('doctor', repository.bare)
  expect(ran.all).toContain('the reference-transaction hook is missing: the guard is weaker')
})

test('a move on the server is not refused, and the next push finds it', async () => {
  repository.server('update-ref', RELEASE, next)
  await expectRefused(repository, ['drift'], () => repository.push(`${last}:${RELEASE}`))
  repository.server('update-ref', RELEASE, released)
})

test('with the hook put back, verify says that the full form is in use again', async () => {
  repository.install()
  await expectChanged(repository, { [RELEASE]: next }, () => repository.push(`${next}:${RELEASE}`))
  expect(aboutForm(verify()).map(({ grade }) => grade)).toEqual(['exception', 'note'])
  expect(aboutForm(verify('--full')).map(({ grade }) => grade)).toEqual(['exception', 'note'])
  expect(repository.run('git', ['update-ref', RELEASE, last], { cwd: repository.bare }).code).not.toBe(0)
})
