/** Which repositories are found where an admin names folders and lists. */
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { areRepositories, findServed } from '../../server/service/served-paths.ts'
import { TestRepository } from '../make-repository.ts'

let repository: TestRepository
let top: string

beforeEach(() => {
  repository = new TestRepository()
  top = join(repository.folder, 'srv')
  mkdirSync(top)
})
afterEach(() => repository.remove())

function copy(...names: string[]): string {
  const path = join(top, ...names)
  cpSync(repository.bare, path, { recursive: true, verbatimSymlinks: true })
  return path
}

test('a folder is searched for guarded repositories, at every depth that hosts use', async () => {
  const found = [copy('a.git'), copy('team', 'b.git'), copy('@hashed', 'ab', 'cd', 'ef.git')]
  // Those are none, or hidden, or inside of one.
  rmSync(join(copy('unguarded.git'), 'headgate'), { recursive: true })
  copy('.trash', 'old.git')
  copy('a.git', 'worktrees', 'inner.git')
  mkdirSync(join(top, 'empty'))
  symlinkSync('nowhere', join(top, 'dangling.git'))
  // A link to a repository is one way to put it on another disk; it is served once, by its real path.
  symlinkSync(repository.bare, join(top, 'linked.git'))
  symlinkSync(join(top, 'team'), join(top, 'same-team'))
  symlinkSync('..', join(top, 'round'))
  const { repositories, problems } = await findServed({ places: [top, found[0]!], list: undefined })
  expect([...repositories].sort()).toEqual([repository.bare, ...found].sort())
  expect([...problems]).toEqual([])
})

test('a list names repositories and folders, also by paths relative to it', async () => {
  const [a, b] = [copy('a.git'), copy('team', 'b.git')]
  const list = join(top, 'list')
  writeFileSync(list, `# ours\n\n  a.git  \n${join(top, 'team')}\nmissing.git\n`)
  const { repositories, problems } = await findServed({ places: [], list })
  expect([...repositories]).toEqual([a, b])
  expect([...problems.values()]).toEqual([`there is no ${join(top, 'missing.git')}`])
  await expect(findServed({ places: [a], list: join(top, 'none') })).rejects.toThrow(
    `the list ${join(top, 'none')} cannot be read: there is no such file`,
  )
})

test('says why nothing is served at a place that was named', async () => {
  const unguarded = copy('unguarded.git')
  rmSync(join(unguarded, 'headgate'), { recursive: true })
  const empty = join(top, 'empty')
  mkdirSync(empty)
  const { repositories, problems } = await findServed({ places: [unguarded, empty], list: undefined })
  expect(repositories.size).toBe(0)
  expect(Object.fromEntries(problems)).toEqual({
    [unguarded]: `headgate is not installed in ${unguarded}`,
    [empty]: `there is no guarded repository in ${empty}`,
  })
})

test('knows whether only repositories are named', () => {
  const path = copy('a.git')
  expect(areRepositories({ places: [path, join(top, 'missing')], list: undefined })).toBe(true)
  expect(areRepositories({ places: [path, top], list: undefined })).toBe(false)
  expect(areRepositories({ places: [path], list: 'list' })).toBe(false)
})
