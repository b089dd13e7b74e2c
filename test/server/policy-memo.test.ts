import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { VERSION } from '../../src/core/version.ts'
import { POLICY, PROGRAM, TestRepository } from '../make-repository.ts'

/** The hook answers first and keeps what it parsed afterwards. */
async function kept(repository: TestRepository, isNew: (memo: string) => boolean): Promise<string> {
  const path = memoPath(repository)
  for (let i = 0; i < 600; i++) {
    if (existsSync(path) && isNew(readFileSync(path, 'utf8'))) return readFileSync(path, 'utf8')
    await new Promise((done) => setTimeout(done, 50))
  }
  throw new Error('no policy was kept')
}

const memoPath = ({ bare }: TestRepository) => join(bare, 'headgate', 'cache', 'policy')

test('what a policy says is kept for the next hook, and only for that policy and that program', async () => {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  repository.release('first release')
  const first = await kept(repository, () => true)
  const [, json = ''] = first.split('\n')
  expect(JSON.parse(json).text).toBe(POLICY)

  // Another meaning of the same text without the right digest: the text is read again, and this kept anew.
  writeFileSync(memoPath(repository), first.replace('"operators":["alice","bob"]', '"operators":["mallory"]'))
  const commit = repository.commit('second release')
  repository.mustRun(repository.push('main'))
  repository.prove(commit)
  expect(repository.push(`${commit}:refs/heads/release`, { as: 'mallory' }).all).toContain('[operator]')
  repository.mustRun(repository.push(`${commit}:refs/heads/release`))
  expect(await kept(repository, (memo) => memo === first)).toBe(first)

  for (const torn of ['', '\n', first.slice(0, 200), first.slice(65), 'x'.repeat(2_000_000)]) {
    writeFileSync(memoPath(repository), torn)
    expect(repository.push('refs/heads/main~1:refs/heads/release', { args: ['--force'] }).all).toContain(
      '[approval]',
    )
  }

  const stricter = POLICY.replace('operators: [alice, bob]', 'operators: [bob]')
  writeFileSync(join(repository.policyFolder, 'policy.yaml'), stricter)
  repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
  const third = repository.commit('third release')
  repository.mustRun(repository.push('main'))
  repository.prove(third)
  expect(repository.push(`${third}:refs/heads/release`).all).toContain('alice is not an operator')
  const second = await kept(repository, (memo) => memo.includes('"operators":["bob"]'))
  expect(second).not.toBe(first)
})

test('what another reader of policies understood is not taken over; without a reader there is no decision', async () => {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  const program = join(repository.folder, 'dist')
  cpSync(dirname(PROGRAM), program, { recursive: true })
  const hook = join(repository.bare, 'hooks', 'pre-receive')
  const text = readFileSync(hook, 'utf8').replace(/APP='[^']*'/, `APP='${join(program, 'hook.cjs')}'`)
  writeFileSync(hook, text)
  repository.release('first release')
  const first = await kept(repository, () => true)

  // A program of before, which does not know a word that this policy has.
  const reader = join(program, 'read-policy.cjs')
  const code = readFileSync(reader, 'utf8')
  writeFileSync(reader, code.replaceAll('servedCommit', 'knownCommit'))
  const commit = repository.commit('second release')
  const unknown = repository.push('main')
  expect(unknown.code).toBe(1)
  expect(unknown.all).toMatch(/no decision can be made: policy\.yaml has .*\n.*servedCommit: is unknown here/)
  expect(unknown.all).not.toContain('a bug')
  expect(readFileSync(memoPath(repository), 'utf8')).toBe(first)

  writeFileSync(reader, code.replaceAll(`"${VERSION}"`, '"9.0.0"'))
  const other = repository.push('main')
  expect(other.code).toBe(1)
  expect(other.all).toMatch(/no decision can be made: .*read-policy\.cjs is of headgate 9\.0\.0/)

  for (const damaged of [code.slice(0, -1000), '', 'throw new Error()']) {
    writeFileSync(reader, damaged)
    const refused = repository.push('main')
    expect(refused.code).toBe(1)
    expect(refused.all).toMatch(
      /no decision can be made: .*read-policy\.cjs (?:cannot run|is of headgate undefined)/,
    )
    expect(refused.all).toContain('headgate server install')
    expect(refused.all.length).toBeLessThan(1000)
  }

  rmSync(reader)
  const gone = repository.push('main')
  expect(gone.code).toBe(1)
  expect(gone.all).toMatch(
    /no decision can be made: .*read-policy\.cjs is gone\s*\n.*headgate server install/,
  )
  repository.mustRun(repository.push(`${commit}:refs/heads/topic`))

  writeFileSync(reader, code)
  repository.mustRun(repository.push('main'))
  const [, json] = (await kept(repository, (memo) => memo !== first)).split('\n')
  expect(json).toBe(first.split('\n')[1])
})
