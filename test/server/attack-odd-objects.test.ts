/** Objects that git's own tools never make, and that git's readers and others may read in two ways. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lastCommits, unproved } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, spoken } from './attack.ts'
import { served } from './running-service.ts'

const WHO = 'Dev <dev@example.com> 1700000000 +0000'

describe.each(['sha1', 'sha256'] as const)('a commit with odd headers (%s)', (objectFormat) => {
  let repository: TestRepository
  let root: string
  let released: string
  let tip: string

  beforeAll(async () => {
    repository = new TestRepository({ objectFormat, prepare: unproved })
    ;[root = '', released = '', tip = ''] = lastCommits(repository, 3)
    return served(repository)
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

describe('a tree that shows one log and checks out another', () => {
  const LINES = '# Releases\n- one\n'
  let repository: TestRepository
  let main: string
  let blob: { good: string; more: string; bad: string }

  beforeAll(() => {
    repository = new TestRepository()
    blob = {
      good: object('blob', LINES),
      more: object('blob', `${LINES}- two\n`),
      bad: object('blob', 'none\n'),
    }
    main = commit(repository.git('rev-parse', 'main'), entry('40000', 'docs', log(blob.good)))
    repository.mustRun(repository.push(`${main}:main`))
  })
  afterAll(() => {
    expectSoundLedger(repository)
    repository.remove()
  })

  function object(type: string, content: string | Buffer): string {
    const args = ['hash-object', '-t', type, '-w', '--stdin', '--literally']
    const ran = repository.run('git', args, { cwd: repository.clone, input: content })
    return repository.mustRun(ran).stdout.trim()
  }
  const entry = (mode: string, name: string, oid: string) =>
    Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')])
  const tree = (...entries: Buffer[]) => object('tree', Buffer.concat(entries))
  const log = (oid: string, mode = '100644') => tree(entry(mode, 'RELEASE_LOG.md', oid))
  const commit = (parent: string, ...entries: Buffer[]) =>
    repository.git('commit-tree', tree(...entries), '-m', 'odd', '-p', parent)
  const push = (oid: string) => () => repository.push(`${oid}:refs/heads/main`)

  test('by two entries of one name, or by their order, is refused, in whatever commit of the push', async () => {
    const [good, bad] = [blob.good, blob.bad].map((oid) => entry('100644', 'RELEASE_LOG.md', oid)) as [
      Buffer,
      Buffer,
    ]
    const docs = (...entries: Buffer[]) => entry('40000', 'docs', tree(...entries))
    for (const entries of [
      [docs(good, bad)],
      [docs(bad, good)],
      [docs(good), docs(bad)],
      [entry('100644', 'z', blob.bad), docs(good)],
    ]) {
      const odd = commit(main, ...entries)
      const { all } = await expectRefused(repository, ['log-append-only'], push(odd))
      expect(spoken(all)).toContain(
        `${odd.slice(0, 7)} has a docs/RELEASE_LOG.md that cannot be judged: a tree object`,
      )
    }
    const mended = commit(commit(main, docs(good, bad)), docs(good))
    await expectRefused(repository, ['log-append-only'], push(mended))
  })

  test('is not one with the modes of old gits, read as git reads them', async () => {
    const old = commit(main, entry('040000', 'docs', log(blob.more, '100664')))
    await expectChanged(repository, { 'refs/heads/main': old }, push(old))
    main = old
    await expectRefused(
      repository,
      ['log-append-only'],
      push(commit(main, entry('40000', 'docs', log(blob.more, '100775')))),
    )
  })

  test('need not be: a log that is too long to be compared is refused with its size', async () => {
    const long = object('blob', `${LINES}- two\n${'x'.repeat(33 * 1024 * 1024)}`)
    const { all } = await expectRefused(
      repository,
      ['log-append-only'],
      push(commit(main, entry('40000', 'docs', log(long)))),
    )
    expect(spoken(all)).toContain('it has 34603031 bytes, and a release log has at most 4194304 (4 MiB)')
  })

  test('may be mended, where it is there already', async () => {
    const both = ['good', 'bad'] as const
    const docs = tree(...both.map((name) => entry('100644', 'RELEASE_LOG.md', blob[name])))
    const odd = commit(main, entry('40000', 'docs', docs))
    repository.mustRun(repository.push(`${odd}:refs/heads/odd`))
    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/main', odd)
    const mended = commit(odd, entry('40000', 'docs', log(blob.good)))
    await expectChanged(repository, { 'refs/heads/main': mended }, push(mended))
  })
})
