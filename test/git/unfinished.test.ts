/** What is begun on disk and not needed, or not finished: nothing of it stays. */
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { replaceFile } from '../../src/git/own-files.ts'
import { TestRepository } from '../make-repository.ts'

test('a hook that refuses leaves no file behind', async () => {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  repository.release('first release')
  const commit = repository.commit('unproved')
  repository.mustRun(repository.push('main'))
  const files = () => readdirSync(repository.bare, { recursive: true, encoding: 'utf8' })
  const before = files()
  for (let i = 0; i < 3; i++) expect(repository.push(`${commit}:refs/heads/release`).code).toBe(1)
  // The hook answers first, and tidies up after that.
  const more = () => files().filter((name) => !before.includes(name))
  for (let i = 0; i < 200 && more().length > 0; i++) await new Promise((done) => setTimeout(done, 25))
  expect(more()).toEqual([])
})

test('what a process left that was killed while it replaced a file goes with the next one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const hoursAgo = new Date(Date.now() - 2 * 3_600_000)
  const old = ['.key.0123456789ab~', '.other.0123456789ab~', '.key.mine~']
  for (const name of [...old, '.key.ba9876543210~']) writeFileSync(join(folder, name), 'secret')
  for (const name of old) utimesSync(join(folder, name), hoursAgo, hoursAgo)
  expect(replaceFile(join(folder, 'key'), 'secret', { secret: true })).toBe(true)
  // Those of other files stay, and of whoever may be at it still.
  expect(readdirSync(folder).sort()).toEqual([
    '.key.ba9876543210~',
    '.key.mine~',
    '.other.0123456789ab~',
    'key',
  ])
})
