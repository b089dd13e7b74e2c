import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { POLICY, TestRepository } from '../make-repository.ts'

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
