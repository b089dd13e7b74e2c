/** A clone that lacks something: what is missing is said, and the way out, in place of git's raw words. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { TestRepository } from '../make-repository.ts'
import { openRepository } from '../open-repository.ts'

const repository = new TestRepository({ install: false })
const folder = mkdtempSync(join(tmpdir(), 'headgate-incomplete-'))
repository.server('config', 'uploadpack.allowFilter', 'true')
const first = repository.git('rev-parse', 'HEAD')
repository.commit('second', { 'a/b/c.txt': 'text' })
const tip = repository.commit('third', { 'a/b/d.txt': 'more' })
repository.mustRun(repository.push('main'))
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  repository.remove()
})

/** Commands of git whose own words would be "unable to read tree", "Could not read" and the like. */
const READING: readonly (readonly string[])[] = [
  ['ls-tree', '-r', tip],
  ['diff-tree', '-r', first, tip],
  ['rev-list', '--objects', tip],
  ['log', '--format=%H', tip, '--', 'a'],
  ['merge-base', first, tip],
]

describe.each([
  [
    'treeless',
    ['--filter=tree:0'],
    'use a whole clone, or make this one whole: git fetch --refetch --no-filter',
  ],
  ['shallow', ['--depth=1'], 'git fetch --unshallow'],
])('a %s clone', (name, options, hint) => {
  const clone = join(folder, name)
  repository.mustRun(
    repository.run('git', ['clone', '-q', '--no-checkout', ...options, `file://${repository.bare}`, clone]),
  )

  test('is named, with the way out', async () => {
    const opened = await openRepository(clone)
    let failures = 0
    for (const args of READING) {
      try {
        await opened.run(args, { allowExit: [1] })
      } catch (error) {
        failures++
        expect(error).toBeInstanceOf(HeadgateError)
        const { message, hint: found } = error as HeadgateError
        expect(message, args.join(' ')).toMatch(
          /^git \S+: (?:objects are missing in this partial|history is missing in this shallow) clone$/,
        )
        expect(found).toBe(hint)
      }
    }
    opened.close()
    expect(failures).toBeGreaterThan(1)
  })
})
