/** Refs that git takes for a guarded branch by its short name: none comes in, and one that is there is in nobody's way. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { lastCommits, released, releasedTwice } from '../beginnings.ts'
import { CURRENT_GIT, POLICY, TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, rulesIn, spoken } from './attack.ts'

let repository: TestRepository
afterEach(() => repository?.remove())

const TAG = 'refs/tags/release'

function makeFirst(): string {
  repository = new TestRepository()
  const commit = repository.commit('first release')
  repository.pushProved(commit)
  repository.git('tag', '-a', '-m', 'v1', 'v1', commit)
  return commit
}

describe('the first push of a tag to release, of which git makes a tag', () => {
  test('is refused, and the command that it names makes the branch', async () => {
    const commit = makeFirst()
    const { all } = await expectRefused(repository, ['namesake'], () => repository.push('v1:release'))
    const tag = repository.git('rev-parse', 'refs/tags/v1').slice(0, 7)
    expect(all.replace(/ +$/gm, '')).toContain(
      [
        `remote: refs/tags/release: create at ${tag}`,
        'remote:   [namesake]',
        'remote:     where there is refs/tags/release, git takes release for it and not',
        'remote:       for the branch, or for both',
        'remote:     fix: to move the branch, write its name in full:',
        `remote:            git push origin '${tag}^{commit}:refs/heads/release'`,
        'remote:          or give the tag another name',
      ].join('\n'),
    )
    const [, printed = ''] = /fix: .*\n.*(git push origin .*)/.exec(all) ?? []
    repository.mustRun(repository.run('sh', ['-c', printed], { cwd: repository.clone }))
    expect(repository.ref('refs/heads/release')).toBe(commit)
    expectSoundLedger(repository)
  })

  test('of a lightweight tag and of a tree, too, and other refs of the push are named', async () => {
    const commit = makeFirst()
    repository.git('tag', 'light', commit)
    const light = await expectRefused(repository, ['namesake'], () =>
      repository.push(['light:release', 'light:refs/tags/light']),
    )
    expect(light.all).toContain(`git push origin ${commit.slice(0, 7)}:refs/heads/release`)
    expect(light.all).toContain('git push origin refs/tags/light')
    const tree = repository.git('rev-parse', 'main^{tree}')
    const { all } = await expectRefused(repository, ['namesake'], () => repository.push(`${tree}:${TAG}`))
    expect(all).toContain('git push origin COMMIT:refs/heads/release')
  })
})

describe('names that git looks at before the branch', () => {
  test('are refused; branches, tags and remotes that only end alike are not', async () => {
    const commit = makeFirst()
    for (const ref of [
      'refs/release',
      'refs/tags/main',
      'refs/refs/heads/main',
      'refs/heads/refs/heads/release',
    ])
      await expectRefused(repository, ['namesake'], () => repository.push(`${commit}:${ref}`))
    const others = [
      'refs/tags/v1/release',
      'refs/tags/releases',
      'refs/heads/tags/release',
      'refs/remotes/release/HEAD',
      'refs/heads/refs/heads/topic',
    ]
    await expectChanged(repository, Object.fromEntries(others.map((ref) => [ref, commit])), () =>
      repository.push(others.map((ref) => `${commit}:${ref}`)),
    )
  })

  test('of a branch with slashes, and of one that an earlier policy named', async () => {
    repository = new TestRepository({
      policy: POLICY.replace('release: release', 'release: deploy/live'),
    })
    const commit = repository.git('rev-parse', 'main')
    const file = join(repository.policyFolder, 'policy.yaml')
    writeFileSync(file, POLICY)
    repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
    for (const ref of ['refs/tags/deploy/live', 'refs/deploy/live', TAG])
      await expectRefused(repository, ['namesake'], () => repository.push(`${commit}:${ref}`))
    await expectChanged(repository, { 'refs/tags/live': commit }, () =>
      repository.push(`${commit}:refs/tags/live`),
    )
  })
})

describe('a tag that is there already', () => {
  test('keeps nobody from promoting; it is not moved, and goes', async () => {
    repository = new TestRepository({ prepare: released })
    const first = repository.ref('refs/heads/release')!
    const next = repository.commit('next')
    repository.pushProved(next)
    repository.server('tag', 'release', first)
    repository.git('fetch', '-q', 'origin', `${TAG}:${TAG}`)

    await expectRefused(repository, ['namesake'], () => repository.push(`+${next}:${TAG}`))
    await expectChanged(repository, {}, () => repository.push([`${first}:${TAG}`, 'main']))
    await expectChanged(repository, { 'refs/heads/topic': next }, () =>
      repository.push([`${next}:refs/heads/topic`]),
    )
    await expectChanged(repository, { 'refs/heads/release': next }, () =>
      repository.push(`${next}:refs/heads/release`),
    )
    await expectChanged(repository, { [TAG]: null }, () => repository.push(`:${TAG}`))
    expectSoundLedger(repository)
  })

  test('and is an alias of the branch, is judged as the branch', async () => {
    repository = new TestRepository({ prepare: releasedTwice })
    const [one = ''] = lastCommits(repository, 2)
    repository.server('symbolic-ref', TAG, 'refs/heads/release')
    await expectRefused(repository, ['approval', 'fast-forward'], () => repository.push(`+${one}:${TAG}`))
    await expectRefused(repository, ['release-delete'], () => repository.push(`:${TAG}`))
  })

  test('and stands for another tag, moves that one', async () => {
    repository = new TestRepository({ prepare: released })
    const tip = repository.ref('refs/heads/release')!
    const older = repository.git('rev-parse', `${tip}~1`)
    repository.server('tag', 'v1', older)
    repository.server('symbolic-ref', TAG, 'refs/tags/v1')
    await expectChanged(repository, { 'refs/tags/v1': tip, [TAG]: tip }, () =>
      repository.push(`+${tip}:refs/tags/v1`),
    )
  })
})

test('an alias of the name counts as the name', async () => {
  repository = new TestRepository({ prepare: released })
  const tip = repository.ref('refs/heads/release')!
  repository.server('symbolic-ref', 'refs/heads/alias', TAG)
  await expectRefused(repository, ['namesake'], () => repository.push(`${tip}:refs/heads/alias`))
})

test('in a namespace the name is another', async () => {
  repository = new TestRepository({ prepare: released })
  const tip = repository.ref('refs/heads/release')!
  await expectChanged(repository, { [`refs/namespaces/fork/${TAG}`]: tip }, () =>
    repository.push(`${tip}:${TAG}`, { env: { GIT_NAMESPACE: 'fork' } }),
  )
})

test('evaluate mode warns', async () => {
  repository = new TestRepository({
    policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
  })
  const commit = repository.commit('one')
  repository.mustRun(repository.push('main'))
  const { all } = await expectChanged(repository, { [TAG]: commit }, () =>
    repository.push(`${commit}:${TAG}`),
  )
  expect(rulesIn(all)).toEqual(['namesake'])
  expect(spoken(all)).toContain('with enforcement: enforce this push would be refused')
})

test('among thousands of refs it is found', async () => {
  const commit = makeFirst()
  const lines = Array.from({ length: 300 }, (_, index) => `create refs/tags/n${index} ${commit}`)
  repository.mustRun(
    repository.run('git', ['update-ref', '--stdin'], {
      cwd: repository.clone,
      input: `${lines.join('\n')}\ncreate refs/tags/release ${commit}\n`,
    }),
  )
  await expectRefused(repository, ['namesake'], () => repository.push([], { args: ['--tags'] }))
})

const without = CURRENT_GIT === undefined
const where = without ? 'with a reftable (skipped: HEADGATE_CURRENT_GIT names no git)' : 'with a reftable'
test.skipIf(without)(where, async () => {
  repository = new TestRepository({ refFormat: 'reftable' })
  expect(existsSync(join(repository.bare, 'reftable'))).toBe(true)
  const commit = repository.commit('one')
  repository.mustRun(repository.push('main'))
  const before = repository.server('for-each-ref')
  const { all, code } = repository.push(`${commit}:${TAG}`)
  expect([code, rulesIn(all)]).toEqual([1, ['namesake']])
  expect(repository.server('for-each-ref')).toBe(before)
  repository.server('tag', 'release', commit)
  repository.mustRun(repository.push(`:${TAG}`))
  expect(repository.ref(TAG)).toBeNull()
})

describe('the list that the shell goes by', () => {
  const list = () => readFileSync(join(repository.bare, 'headgate', 'guarded'), 'utf8')

  test('of an earlier version lets the names pass, until the server is installed again; the doctor says so', async () => {
    const commit = makeFirst()
    const text = list()
    expect(text).toContain('namesake refs/tags/release\n')
    const older = text.replace(/^namesake .*\n/gm, '')
    writeFileSync(join(repository.bare, 'headgate', 'guarded'), older)
    await expectChanged(repository, { [TAG]: commit }, () => repository.push(`${commit}:${TAG}`))
    repository.mustRun(repository.push(`:${TAG}`))
    const sick = repository.headgate('doctor', repository.bare)
    expect(sick.code).toBe(77)
    expect(sick.stdout).toContain('headgate/guarded')
    expect(sick.stdout).toContain(`fix: headgate server install ${repository.bare}`)
    repository.mustRun(repository.headgate('doctor', repository.bare, '--fix'))
    expect(list()).toBe(text)
    await expectRefused(repository, ['namesake'], () => repository.push(`${commit}:${TAG}`))
  })

  test('keeps what earlier policies named when the server is installed again', async () => {
    repository = new TestRepository({ prepare: releasedTwice })
    const [one = ''] = lastCommits(repository, 2)
    const file = join(repository.policyFolder, 'policy.yaml')
    writeFileSync(file, POLICY.replace('release: release', 'release: live'))
    repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
    const text = list()
    repository.mustRun(repository.headgate('server', 'install', repository.bare))
    expect(list()).toBe(text)
    await expectRefused(repository, ['former-branch'], () => repository.push(`+${one}:refs/heads/release`))
  })
})
