import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseReleaseLog } from '../../src/core/release-log.ts'
import { released } from '../beginnings.ts'
import { PROGRAM, type TestRepository } from '../make-repository.ts'
import { receivePackBetween } from '../receive-pack-between.ts'
import { guarded } from './run-program.ts'

const short = (oid: string) => oid.slice(0, 7)
const LOG = 'docs/RELEASE_LOG.md'

function entries(repository: TestRepository, branch = 'main') {
  const { entries: found, problems } = parseReleaseLog(
    Buffer.from(`${repository.server('show', `${branch}:${LOG}`)}\n`),
  )
  expect(problems).toEqual([])
  return found.map(({ entry }) => entry)
}

test('entries that are missing are caught up on, in order, once, below what people wrote', () => {
  const repository = guarded({ prepare: released })
  const one = repository.git('rev-parse', 'HEAD')
  repository.commit('notes', { [LOG]: '# Our releases\n\nwritten by hand, no line break at the end' })
  repository.mustRun(repository.push('main'))
  const two = repository.release('two')
  const ran = repository.headgate('log', '--append')
  expect(ran.code, ran.all).toBe(0)
  const tip = repository.server('rev-parse', 'main')
  expect(ran.stdout).toBe(
    `promotion to ${short(one)}, record 3\npromotion to ${short(two)}, record 6\n2 entries appended on main, ${short(tip)}\n`,
  )
  expect(entries(repository)).toMatchObject([
    { commit: one, from: null, record: 3 },
    { commit: two, from: one, record: 6, smoke: null },
  ])
  expect(repository.server('show', `main:${LOG}`)).toMatch(
    /^# Our releases\n\nwritten by hand, no line break at the end\n\n## \d{4}/,
  )
  const again = repository.headgate('log', '--append')
  expect(again.stdout).toBe('the release log has an entry for every landed move\n')
  expect(repository.server('rev-parse', 'main')).toBe(tip)
  // Nobody's working tree, index or branch was touched.
  expect(repository.git('status', '--porcelain')).toBe('')
  expect(repository.git('rev-parse', 'HEAD')).toBe(two)
})

test('a main that moves between the offer of the server and the push is a race, and the writer tries again', () => {
  const repository = guarded({ prepare: released })
  const one = repository.git('rev-parse', 'HEAD')
  const other = join(repository.folder, 'other')
  repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, other]))
  const faster = `cd ${other} && git commit -q --allow-empty -m faster && git push -q origin HEAD:main`
  const between = receivePackBetween(repository, { afterOffer: faster })
  repository.git('config', 'remote.origin.receivepack', between)
  const ran = repository.headgate('log', '--append')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain('main moved meanwhile; the release log entry is written anew\n')
  expect(entries(repository)).toMatchObject([{ commit: one }])
  expect(repository.server('log', '--format=%s', '-2', 'main').split('\n')[1]).toBe('faster')
})

test('bare and partial clones, and one with other work in it, write entries; a shallow one says what it lacks', () => {
  const repository = guarded()
  const { bare, folder } = repository
  repository.server('config', 'uploadpack.allowFilter', 'true')
  const clone = (name: string, ...options: string[]) => {
    repository.mustRun(
      repository.run('git', ['clone', '-q', ...options, `file://${bare}`, name], { cwd: folder }),
    )
    return (...args: string[]) =>
      repository.run(process.execPath, [PROGRAM, ...args], { cwd: join(folder, name) })
  }
  repository.release('zero')
  const shallow = clone('shallow', '--depth=1')
  const one = [
    clone('bare.git', '--bare'),
    clone('partial', '--filter=blob:none'),
    clone('other', '-o', 'upstream'),
  ]
  const work = (...args: string[]) =>
    repository.mustRun(repository.run('git', args, { cwd: join(folder, 'other') })).stdout
  work('checkout', '-q', '--detach', 'HEAD~1')
  writeFileSync(join(folder, 'other', 'file.txt'), 'not finished\n')
  work('add', '-A')
  const before = work('status', '--porcelain', '--branch') + work('rev-parse', 'HEAD')
  for (const [index, headgate] of one.entries()) {
    repository.git('pull', '-q', '--rebase', 'origin', 'main')
    const commit = repository.release(`release ${index}`)
    const ran = headgate('log', '--append', ...(index === 2 ? ['--remote', 'upstream'] : []))
    expect(ran.code, ran.all).toBe(0)
    expect(entries(repository).at(-1)).toMatchObject({ commit })
  }
  expect(work('status', '--porcelain', '--branch') + work('rev-parse', 'HEAD')).toBe(before)

  for (const command of [
    ['status', '--no-environments'],
    ['promote', '--yes'],
  ]) {
    expect(shallow(...command)).toMatchObject({
      code: 78,
      stderr:
        'headgate: this clone is shallow: it has only the end of the history\n  hint: git fetch --unshallow origin\n',
    })
  }
  const release = repository.ref('refs/heads/release') ?? ''
  expect(shallow('deploy-check', release, '--environment', 'production').code).toBe(0)
})

test('overrides have an entry that says what was waived; a baseline has none', () => {
  const repository = guarded({ install: false })
  repository.git('push', '-q', 'origin', 'main:release')
  repository.install()
  const base = repository.git('rev-parse', 'HEAD')
  const fix = repository.commit('fix')
  repository.mustRun(repository.push('main'))
  const permit = ['override', '--from', base, '--to', fix, '--waive', 'evidence', '--reason', 'CVE, *now*']
  repository.mustRun(repository.headgate(...permit, '--key', repository.key('bob')))
  repository.mustRun(repository.push(`${fix}:release`))
  repository.mustRun(repository.headgate('log', '--append'))
  expect(entries(repository)).toMatchObject([
    {
      kind: 'override',
      commit: fix,
      from: base,
      waived: ['evidence'],
      approvedBy: ['bob'],
      reason: 'CVE, *now*',
    },
  ])
})

test('a branch for review: entries go there, are not written twice, and begin anew once merged', () => {
  const repository = guarded({ prepare: released })
  const one = repository.git('rev-parse', 'HEAD')
  const append = () => repository.headgate('log', '--append', '--log-branch', 'release-log')
  expect(append().stdout).toContain('1 entry appended on release-log')
  expect(append().stdout).toBe('the release log has an entry for every landed move\n')
  const two = repository.release('two')
  expect(append().stdout).toContain('1 entry appended on release-log')
  expect(entries(repository, 'release-log').map(({ commit }) => commit)).toEqual([one, two])
  expect(repository.run('git', ['show', `main:${LOG}`], { cwd: repository.bare }).code).not.toBe(0)

  // The server takes the merge: against main's own history the log only grew.
  repository.git('fetch', '-q', 'origin')
  repository.git('merge', '-q', '--no-ff', '-m', 'Merge the release log', 'origin/release-log')
  repository.mustRun(repository.push('main'))
  const merged = repository.ref('refs/heads/main')
  expect(append().stdout).toBe('the release log has an entry for every landed move\n')
  const three = repository.release('three')
  expect(append().stdout).toContain('1 entry appended on release-log')
  expect(repository.server('merge-base', 'release-log', 'main')).toBe(three)
  expect(merged).not.toBeNull()
  expect(entries(repository, 'release-log').map(({ commit }) => commit)).toEqual([one, two, three])
})

test('a log that is no file, and a branch that cannot be, are said so', () => {
  const repository = guarded({ prepare: released })
  const onRelease = repository.headgate('log', '--append', '--log-branch', 'release')
  expect(onRelease.stderr).toContain('headgate: the log cannot be written on release\n')
  expect(onRelease.code).toBe(64)
  // The server lets nobody make it one; it may have been one before.
  const older = guarded({ install: false })
  older.commit('a folder', { [`${LOG}/index.md`]: 'x\n' })
  older.git('push', '-q', 'origin', 'main')
  older.install()
  older.release('one')
  const folder = older.headgate('log', '--append')
  expect(folder.stderr).toContain(`${LOG} in`)
  expect(folder.code).toBe(78)
  expect(repository.headgate('log', '--log-branch', 'review')).toMatchObject({ code: 64 })
})

test('branches meet: what main had comes first, else the server refuses', () => {
  const repository = guarded()
  repository.commit('attributes', { '.gitattributes': `${LOG} merge=union\n` })
  repository.release('one')
  repository.mustRun(repository.headgate('log', '--append'))
  repository.git('pull', '-q', 'origin', 'main')
  const grow = (text: string) =>
    repository.commit(text, { [LOG]: `${repository.git('show', `HEAD:${LOG}`)}\n\n${text}\n` })
  repository.git('checkout', '-q', '-b', 'review')
  grow('by the branch')
  repository.git('checkout', '-q', 'main')
  grow('by main')
  repository.mustRun(repository.push('main'))

  repository.git('checkout', '-q', 'review')
  repository.git('merge', '-q', '-m', 'Merge main', 'main')
  const refused = repository.push('review:main')
  expect(refused.all).toContain('[log-append-only]')

  repository.git('reset', '-q', '--hard', 'HEAD~1')
  repository.git('checkout', '-q', 'main')
  repository.git('merge', '-q', '--no-ff', '-m', 'Merge review', 'review')
  repository.mustRun(repository.push('main'))
  const log = repository.server('show', `main:${LOG}`)
  expect(log.indexOf('by main')).toBeLessThan(log.indexOf('by the branch'))
  expect(entries(repository)).toHaveLength(1)
})
