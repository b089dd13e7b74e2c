/** What is begun on disk and not needed, or not finished: nothing of it stays. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { TestRepository } from '../make-repository.ts'

test('a hook that refuses leaves no file behind', async () => {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  repository.release('first release')
  const commit = repository.commit('unproved')
  repository.mustRun(repository.push('main'))
  const files = () =>
    readdirSync(repository.bare, { recursive: true, encoding: 'utf8' }).filter(
      (name) => !name.startsWith(join('headgate', 'cache')),
    )
  const before = files()
  for (let i = 0; i < 3; i++) expect(repository.push(`${commit}:refs/heads/release`).code).toBe(1)
  // The hook answers first, and tidies up after that.
  const more = () => files().filter((name) => !before.includes(name))
  for (let i = 0; i < 200 && more().length > 0; i++) await new Promise((done) => setTimeout(done, 25))
  expect(more()).toEqual([])
})
