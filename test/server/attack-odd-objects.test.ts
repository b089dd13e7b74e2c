/** Objects that git's own tools never make, and that git's readers and others may read in two ways. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestRepository } from '../make-repository.ts'
import { expectRefused, expectSoundLedger } from './attack.ts'

const WHO = 'Dev <dev@example.com> 1700000000 +0000'

describe.each(['sha1', 'sha256'] as const)('a commit with odd headers (%s)', (objectFormat) => {
  let repository: TestRepository
  let root: string
  let released: string
  let tip: string

  beforeAll(() => {
    repository = new TestRepository({ objectFormat })
    root = repository.git('rev-parse', 'main')
    released = repository.release('released')
    tip = repository.commit('tip')
    repository.mustRun(repository.push('main'))
  })
  afterAll(() => {
    expectSoundLedger(repository)
    repository.remove()
  })

  /** A commit object with exactly these lines after its tree, however odd they are. */
  function raw(headers: readonly string[]): string {
    const body = `tree ${repository.git('rev-parse', 'main^{tree}')}\n${headers.join('\n')}\n\nodd\n`
    const args = ['hash-object', '-t', 'commit', '-w', '--stdin', '--literally']
    return repository
      .mustRun(repository.run('git', args, { cwd: repository.clone, input: body }))
      .stdout.trim()
  }
  const AUTHOR = `author ${WHO}`
  const COMMITTER = `committer ${WHO}`
  const behind = (oid: string): readonly (readonly string[])[] => [
    [AUTHOR, `parent ${oid}`, COMMITTER],
    [AUTHOR, COMMITTER, `parent ${oid}`],
    [AUTHOR, COMMITTER, `mergetag object ${oid}`, `parent ${oid}`],
  ]

  test('that names main as a parent where git does not look does not pass for its child', async () => {
    for (const headers of behind(tip)) {
      const odd = raw(headers)
      expect(repository.git('rev-list', '--count', odd)).toBe('1')
      await expectRefused(repository, ['staging-history'], () => repository.push(`+${odd}:main`))
      const child = raw([`parent ${root}`, ...headers])
      await expectRefused(repository, ['staging-history'], () => repository.push(`+${child}:main`))
    }
  })

  test('that names a stranger as a parent where git does not look brings no stranger onto main', async () => {
    const stranger = raw([`parent ${released}`, AUTHOR, COMMITTER])
    const evidence = repository.sign(repository.evidencePayload(stranger), 'ci', 'headgate-evidence')
    repository.mustRun(
      repository.push([`${stranger}:refs/heads/stranger`, repository.inboxRefspec(evidence)]),
    )
    const odd = raw([`parent ${tip}`, AUTHOR, COMMITTER, `parent ${stranger}`])
    repository.mustRun(repository.push(`${odd}:main`))
    await expectRefused(repository, ['on-staging'], () => repository.push(`${stranger}:release`))
  })
})
