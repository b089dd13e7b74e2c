/** Lies about who descends from whom: replace refs, grafts, shallow histories, commit-graphs, clocks. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lastCommits, proved } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { allRefs, expectChanged, expectRefused, expectSoundLedger } from './attack.ts'
import { packOfObjects, receivePack } from './receive-pack-stream.ts'
import { served } from './running-service.ts'

let repository: TestRepository
let root: string
let released: string
let tip: string

beforeAll(async () => {
  repository = new TestRepository({ prepare: proved })
  ;[root = '', released = '', tip = ''] = lastCommits(repository, 3)
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

function commit(subject: string, parents: readonly string[], date?: string): string {
  const args = ['commit-tree', 'main^{tree}', '-m', subject, ...parents.flatMap((parent) => ['-p', parent])]
  const env = date === undefined ? {} : { GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date }
  return repository.mustRun(repository.run('git', args, { cwd: repository.clone, env })).stdout.trim()
}

/** Evidence for a commit that is not on main, pushed with a branch that brings the commit. */
function prove(oid: string, branch: string): void {
  const evidence = repository.sign(repository.evidencePayload(oid), 'ci', 'headgate-evidence')
  repository.mustRun(repository.push([`+${oid}:refs/heads/${branch}`, repository.inboxRefspec(evidence)]))
}

describe('replace refs that were pushed to the server', () => {
  afterEach(() => {
    const names = repository.server('for-each-ref', '--format=%(refname)', 'refs/replace')
    for (const name of names.split('\n')) if (name !== '') repository.server('update-ref', '-d', name)
    repository.run('git', ['for-each-ref', '--format=delete %(refname)', 'refs/replace'], {
      cwd: repository.clone,
    })
  })

  test('do not bring a stranger onto main', async () => {
    const stranger = commit('stranger', [released])
    prove(stranger, 'stranger')
    // To git that obeys it, main's tip now has the stranger as its parent.
    const fake = commit('fake tip', [stranger])
    repository.mustRun(repository.push(`${fake}:refs/replace/${tip}`, { as: 'dave' }))
    expect(repository.server('merge-base', '--is-ancestor', stranger, 'main')).toBe('')
    await expectRefused(repository, ['on-staging'], () => repository.push(`${stranger}:release`))
  })

  test('do not make a rollback of what is older into a fast-forward', async () => {
    const fake = commit('fake root', [released])
    repository.mustRun(repository.push(`${fake}:refs/replace/${root}`, { as: 'dave' }))
    repository.prove(root)
    await expectRefused(repository, ['fast-forward', 'known-good', 'approval'], () =>
      repository.push(`+${root}:release`),
    )
  })

  test('do not make a rewrite of main into a fast-forward', async () => {
    const rewritten = commit('rewritten', [root])
    const fake = commit('fake rewritten', [tip])
    repository.mustRun(repository.push(`${fake}:refs/replace/${rewritten}`, { as: 'dave' }))
    await expectRefused(repository, ['staging-history'], () => repository.push(`+${rewritten}:main`))
  })

  test('do not show another ledger', async () => {
    const ledger = repository.ref('refs/headgate/ledger') ?? ''
    repository.git('fetch', '-q', 'origin', 'refs/headgate/ledger')
    const first = repository.git('rev-list', '--max-parents=0', 'FETCH_HEAD')
    repository.mustRun(repository.push(`${first}:refs/replace/${ledger}`, { as: 'dave' }))
    const unproved = repository.commit('unproved')
    repository.mustRun(repository.push(`${unproved}:main`))
    await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:release`))
  })

  test('do not turn evidence for a blob into evidence for a commit', async () => {
    const tree = repository.git('rev-parse', 'main^{tree}')
    repository.mustRun(
      repository.run('git', ['replace', '-f', tree, released], { cwd: repository.clone }).code === 0
        ? repository.push(`refs/replace/${tree}:refs/replace/${tree}`)
        : repository.push(`${released}:refs/replace/${tree}`),
    )
    await expectRefused(repository, ['commit-object'], () =>
      receivePack(repository, { commands: [`${released} ${tree} refs/heads/release`] }),
    )
    repository.run('git', ['replace', '-d', tree], { cwd: repository.clone })
  })
})

describe('grafts on the server', () => {
  const file = () => join(repository.bare, 'info', 'grafts')
  afterEach(() => rmSync(file(), { force: true }))
  const graft = (...lines: string[]) => {
    mkdirSync(join(repository.bare, 'info'), { recursive: true })
    writeFileSync(file(), `${lines.join('\n')}\n`)
  }

  test('do not bring a stranger onto main', async () => {
    const stranger = commit('grafted stranger', [released])
    prove(stranger, 'grafted')
    graft(`${tip} ${stranger}`)
    await expectRefused(repository, ['on-staging'], () => repository.push(`${stranger}:release`))
  })

  test('do not make going back a fast-forward', async () => {
    graft(`${root} ${released}`)
    await expectRefused(repository, ['fast-forward', 'known-good', 'approval'], () =>
      repository.push(`+${root}:release`),
    )
  })
})

describe('shallow histories', () => {
  test('a shallow file on the server hides nothing', async () => {
    const stranger = commit('shallow stranger', [released])
    prove(stranger, 'shallow')
    const file = join(repository.bare, 'shallow')
    writeFileSync(file, `${tip}\n`)
    try {
      // main seems to begin at its tip: release is then no ancestor of anything, and a stranger no worse than it.
      await expectRefused(repository, ['on-staging'], () => repository.push(`${stranger}:release`))
      await expectRefused(repository, ['staging-history'], () =>
        repository.push(`+${commit('rewritten', [root])}:main`),
      )
    } finally {
      rmSync(file)
    }
  })

  test.each(['false', 'true'])('a push from a shallow clone, receive.shallowUpdate=%s', async (update) => {
    repository.server('config', 'receive.shallowUpdate', update)
    const shallow = join(repository.folder, `shallow-${update}`)
    repository.mustRun(
      repository.run('git', ['clone', '-q', '--depth=1', `file://${repository.bare}`, shallow]),
    )
    const inShallow = (...args: string[]) => repository.run('git', args, { cwd: shallow })
    repository.mustRun(inShallow('commit', '-q', '--allow-empty', '-m', 'made in a shallow clone'))
    const made = repository.mustRun(inShallow('rev-parse', 'HEAD')).stdout.trim()
    await expectRefused(repository, ['on-staging', 'evidence'], () =>
      inShallow('push', 'origin', `+${made}:refs/heads/release`),
    )
    repository.server('config', '--unset', 'receive.shallowUpdate')
    rmSync(join(repository.bare, 'shallow'), { force: true })
  })

  test.each(['false', 'true'])(
    'a history that was cut off on the wire moves neither main nor release, receive.shallowUpdate=%s',
    async (update) => {
      repository.server('config', 'receive.shallowUpdate', update)
      // Its parent exists nowhere but in the clone, and is not sent.
      const hidden = commit('hidden', [tip])
      const child = commit(`child of hidden ${update}`, [hidden])
      const pack = packOfObjects(repository, [child])
      const before = allRefs(repository)
      const main = repository.ref('refs/heads/main')
      for (const [ref, old] of [
        ['main', main],
        ['release', released],
      ]) {
        const answer = await receivePack(repository, {
          commands: [`${old} ${child} refs/heads/${ref}`],
          shallow: [child],
          pack,
        })
        expect(answer.code, answer.all).not.toBe(0)
        expect(allRefs(repository)).toEqual(before)
      }
      repository.server('config', '--unset', 'receive.shallowUpdate')
      rmSync(join(repository.bare, 'shallow'), { force: true })
    },
  )
})

describe('a commit-graph', () => {
  const graph = () => join(repository.bare, 'objects/info/commit-graph')

  test('that is present changes nothing', async () => {
    repository.server('commit-graph', 'write', '--reachable')
    expect(existsSync(graph())).toBe(true)
    await expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`${commit('direct', [released])}:release`),
    )
  })

  test('that lies about parents and generations is not asked', async () => {
    const stranger = commit('stranger beside a graph', [released])
    prove(stranger, 'beside')
    // What it says of parents and generations is garbage; its header is not, so that git would take it.
    const bytes = readFileSync(graph())
    for (let at = 8; at < bytes.length - 20; at++)
      bytes[at] = (bytes[at] ?? 0) ^ (at > bytes.length - 200 ? 0x01 : 0)
    rmSync(graph())
    writeFileSync(graph(), bytes)
    await expectRefused(repository, ['on-staging'], () => repository.push(`${stranger}:release`))
    rmSync(graph(), { force: true })
  })
})

describe('clocks', () => {
  test.each(['1970-01-01T00:00:01Z', '2099-12-31T23:59:59Z'])(
    'a stranger of %s is no nearer to main',
    async (date) => {
      const stranger = commit(`of ${date}`, [released], date)
      prove(stranger, `of-${date.slice(0, 4)}`)
      await expectRefused(repository, ['on-staging'], () => repository.push(`${stranger}:release`))
    },
  )

  test('commits of main whose dates jump still count as on main, and the way back as no fast-forward', async () => {
    const main = repository.ref('refs/heads/main') ?? ''
    let at = main
    const made: string[] = []
    for (const date of [
      '2099-01-01T00:00:00Z',
      '1980-01-01T00:00:00Z',
      '2050-01-01T00:00:00Z',
      '1999-01-01T00:00:00Z',
    ]) {
      at = commit(`skewed ${date}`, [at], date)
      made.push(at)
    }
    repository.mustRun(repository.push(`${at}:main`))
    const second = made[1] ?? ''
    repository.prove(second)
    await expectChanged(repository, { 'refs/heads/release': second }, () =>
      repository.push(`${second}:release`),
    )
    await expectRefused(repository, ['fast-forward', 'known-good', 'approval'], () =>
      repository.push(`+${made[0]}:release`),
    )
    await expectRefused(repository, ['staging-history'], () => repository.push(`+${made[2]}:main`))
  })
})

describe('a commit object that is odd', () => {
  const raw = (body: string) =>
    repository
      .mustRun(
        repository.run('git', ['hash-object', '-t', 'commit', '-w', '--stdin', '--literally'], {
          cwd: repository.clone,
          input: body,
        }),
      )
      .stdout.trim()
  const tree = () => repository.git('rev-parse', 'main^{tree}')
  const who = 'Dev <dev@example.com> 1700000000 +0000'

  test('one that names the same parent twice', async () => {
    const release = repository.ref('refs/heads/release') ?? ''
    const twice = raw(
      `tree ${tree()}\nparent ${release}\nparent ${release}\nauthor ${who}\ncommitter ${who}\n\ntwice\n`,
    )
    await expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`+${twice}:refs/heads/release`),
    )
  })

  test('one with a subject full of terminal escapes and a forged parent line in its message', async () => {
    const release = repository.ref('refs/heads/release') ?? ''
    const odd = raw(
      `tree ${tree()}\nparent ${release}\nauthor ${who}\ncommitter ${who}\n\n\u001b[2J\u009b31m\u202eparent ${tip}\u0007\nparent ${tip}\n`,
    )
    const { all } = await expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`${odd}:refs/heads/release`),
    )
    expect(all).toContain('\\x1b[2J')
    expect(all).not.toMatch(/[\u001b\u0007\u009b\u202e]\[?2?/u)
  })
})
