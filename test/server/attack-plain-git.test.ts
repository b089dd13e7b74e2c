/** What a developer, or a careless operator, tries with `git push` alone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lastCommits, provedAndAhead } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import {
  expectChanged,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
  spoken,
} from './attack.ts'
import { served } from './running-service.ts'

let repository: TestRepository
/** main is root -> released -> proved -> unproved; release is at `released`. */
let released: string
let proved: string
let unproved: string

beforeAll(async () => {
  repository = new TestRepository({ prepare: provedAndAhead })
  ;[released = '', proved = '', unproved = ''] = lastCommits(repository, 3)
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

/** A commit that exists only in the clone, on top of `parent`. */
function commitOn(parent: string, subject: string, ...parents: string[]): string {
  const tree = repository.git('rev-parse', `${parent}^{tree}`)
  return repository.git('commit-tree', tree, '-m', subject, ...[parent, ...parents].flatMap((p) => ['-p', p]))
}

describe('release does not take', () => {
  test('a direct commit', () =>
    expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`${commitOn(released, 'hotfix')}:release`),
    ))

  test('a merge made onto release, even of nothing but proved commits', async () => {
    const merge = commitOn(released, 'Merge main into release', proved)
    const { all } = await expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`${merge}:release`),
    )
    const parents = `${released.slice(0, 7)} (release) and ${proved.slice(0, 7)}`
    expect(spoken(all)).toContain(`is a merge commit that was made onto release; its parents are ${parents}`)
  })

  test('a merge with main first', () =>
    expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`${commitOn(unproved, 'Merge release', released)}:release`),
    ))

  test('a commit with the same tree as a proved one', () =>
    expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push(`${commitOn(released, 'proved')}:release`),
    ))

  test('a commit of main that nothing proves', () =>
    expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:release`)))

  test('a stale commit, without force and with it', async () => {
    const root = repository.git('rev-list', '--max-parents=0', 'main')
    await expectRefused(repository, [], () => repository.push(`${root}:release`))
    await expectRefused(repository, ['fast-forward', 'known-good', 'approval'], () =>
      repository.push(`+${root}:release`),
    )
  })

  test('an unrelated history', async () => {
    const tree = repository.git('rev-parse', 'main^{tree}')
    const orphan = repository.git('commit-tree', tree, '-m', 'orphan')
    await expectRefused(repository, ['on-staging', 'fast-forward', 'known-good', 'approval'], () =>
      repository.push(`+${orphan}:release`),
    )
  })

  test.each([[':release'], ['--delete', 'release']])('its deletion by %s', (...args) =>
    expectRefused(repository, ['release-delete'], () => repository.push(args)),
  )

  test('a push by a developer, however good the commit', () =>
    expectRefused(repository, ['operator'], () => repository.push(`${proved}:release`, { as: 'dave' })))

  test.each([
    '',
    'Alice',
    'alice ',
    ' alice',
    'alice,bob',
    'alice\tbob',
    'alice\u200b',
    '*',
    'ali*',
    'a'.repeat(300),
  ])('a push by %j, who is no operator', (as) =>
    expectRefused(repository, ['operator'], () => repository.push(`${proved}:release`, { as })),
  )

  test('every reason is told at once', () =>
    expectRefused(repository, ['on-staging', 'evidence', 'operator'], () =>
      repository.push(`${commitOn(released, 'hotfix')}:release`, { as: 'dave' }),
    ))
})

describe('release holds commits only:', () => {
  test('an annotated tag of a proved commit is refused, and says how to push its commit', async () => {
    repository.git('tag', '-a', '-m', 'v1', 'v1', proved)
    const { all } = await expectRefused(repository, ['commit-object'], () =>
      repository.push('refs/tags/v1:refs/heads/release'),
    )
    expect(all).toContain("git push origin 'TAG^{commit}:refs/heads/release'")
  })

  test('a tag of a tag is refused', async () => {
    repository.git('tag', '-a', '-m', 'outer', 'outer', 'v1')
    await expectRefused(repository, ['commit-object'], () =>
      repository.push('refs/tags/outer:refs/heads/release'),
    )
  })

  test('a tree is refused', () =>
    expectRefused(repository, ['commit-object'], () =>
      repository.push(`+${repository.git('rev-parse', 'main^{tree}')}:refs/heads/release`),
    ))

  test('a blob is refused', () =>
    expectRefused(repository, ['commit-object'], () =>
      repository.push(`+${repository.git('rev-parse', 'main:file.txt')}:refs/heads/release`),
    ))

  test('a lightweight tag of a proved commit is just that commit, and other tags pass', async () => {
    repository.git('tag', 'light', released)
    await expectChanged(repository, { 'refs/tags/light': released }, () => repository.push('refs/tags/light'))
  })
})

describe('several refs in one push:', () => {
  test('main and release cannot move past each other', async () => {
    const next = commitOn(unproved, 'both at once')
    const { all } = await expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push([`${next}:main`, `${next}:release`]),
    )
    expect(all).toContain('as it stood before this push')
    await expectRefused(repository, ['on-staging', 'evidence'], () =>
      repository.push([`${next}:release`, `${next}:main`]),
    )
  })

  test('not even with evidence for the new tip in the same push', async () => {
    const next = commitOn(unproved, 'main, release and evidence at once')
    const evidence = repository.sign(repository.evidencePayload(next), 'ci', 'headgate-evidence')
    await expectRefused(repository, ['on-staging'], () =>
      repository.push([`${next}:main`, repository.inboxRefspec(evidence), `${next}:release`]),
    )
  })

  test.each([['--atomic'], ['--no-atomic']])(
    'a bad release keeps an innocent branch back (%s)',
    async (flag) => {
      const { all } = await expectRefused(repository, ['evidence'], () =>
        repository.push([`${unproved}:release`, `${unproved}:refs/heads/innocent`], { args: [flag] }),
      )
      expect(all).toContain('git push origin innocent')
    },
  )

  test('--all tells about release and keeps everything back', async () => {
    repository.git('branch', 'release', unproved)
    repository.git('branch', 'topic', unproved)
    try {
      await expectRefused(repository, ['evidence'], () =>
        repository.run('git', ['push', '--all', 'origin'], { cwd: repository.clone }),
      )
    } finally {
      repository.git('branch', '-D', 'release', 'topic')
    }
  })

  test('--mirror from a clone that lacks release would delete it, and is refused; the ledger is not even tried', async () => {
    const { all } = await expectRefused(repository, ['release-delete'], () =>
      repository.run('git', ['push', '--mirror', 'origin'], { cwd: repository.clone }),
    )
    expect(all).not.toContain('headgate/ledger')
  })

  test('--prune does not prune release', () =>
    expectRefused(repository, ['release-delete'], () =>
      repository.push('refs/heads/*:refs/heads/*', { args: ['--prune'] }),
    ))

  test('a glob that takes main to release', () =>
    expectRefused(repository, ['evidence', 'staging-history'], () =>
      repository.push([`+${unproved}:refs/heads/release`, ':refs/heads/main']),
    ))
})

describe('staging history stays:', () => {
  test('main is not deleted', () =>
    expectRefused(repository, ['staging-history'], () => repository.push(':main')))

  test('main is not rewritten', () =>
    expectRefused(repository, ['staging-history'], () =>
      repository.push(`+${commitOn(released, 'amended')}:main`),
    ))

  test('main is not rewound, not by an operator either', () =>
    expectRefused(repository, ['staging-history'], () => repository.push(`+${proved}:main`)))

  test('main is not replaced by a tag, a tree or a blob', async () => {
    repository.git('tag', '-a', '-m', 'ahead', 'ahead', commitOn(unproved, 'ahead'))
    await expectRefused(repository, ['staging-history'], () =>
      repository.push('+refs/tags/ahead:refs/heads/main'),
    )
    for (const name of ['main^{tree}', 'main:file.txt']) {
      const oid = repository.git('rev-parse', name)
      await expectRefused(repository, ['staging-history'], () => repository.push(`+${oid}:refs/heads/main`))
    }
  })
})

describe("headgate's own refs are reserved:", () => {
  test.each([
    'refs/headgate/ledger',
    'refs/headgate/other',
    'refs/headgate/importing',
    'refs/headgate/inbox',
    'refs/headgate/Ledger',
    'refs/headgate/ledger/x',
    'refs/headgate/a/b/c',
    // The ledger of hosts where a relay guards: clones would take it for one here, too.
    'refs/heads/headgate/ledger',
    'refs/heads/headgate/ledger/x',
  ])('%s takes neither commit nor deletion', async (ref) => {
    await expectRefused(repository, ['reserved'], () => repository.push(`+${unproved}:${ref}`))
    await expectRefused(repository, ['reserved'], () => repository.push(`:${ref}`))
  })

  test('a ledger that a pusher made himself does not replace the one that there is', async () => {
    repository.git('fetch', '-q', 'origin', 'refs/headgate/ledger:refs/heads/copy')
    const older = repository.git('rev-parse', 'copy~1')
    await expectRefused(repository, ['reserved'], () => repository.push(`+${older}:refs/headgate/ledger`))
    repository.git('branch', '-D', 'copy')
  })

  test.each(['x', '0'.repeat(64), 'A'.repeat(64), 'a/b', '..'])(
    'the inbox has no place for a commit as %s',
    (name) =>
      name === '..'
        ? expectRefused(repository, [], () => repository.push(`${unproved}:refs/headgate/inbox/${name}`))
        : expectRefused(repository, ['inbox'], () =>
            repository.push(`${unproved}:refs/headgate/inbox/${name}`),
          ),
  )

  test('a name that only looks like one of them is free', async () => {
    const names = ['refs/headgates/x', 'refs/heads/headgate/ledgers', 'refs/headgate2/x']
    for (const name of names) {
      await expectChanged(repository, { [name]: released }, () => repository.push(`${released}:${name}`))
      await expectChanged(repository, { [name]: null }, () => repository.push(`:${name}`))
    }
  })
})

describe('what is good passes:', () => {
  test('evidence in the same push as the move that it justifies is judged first, and both land', async () => {
    const count = ledgerRecords(repository).length
    const evidence = repository.sign(repository.evidencePayload(unproved), 'ci', 'headgate-evidence')
    await expectChanged(repository, { 'refs/heads/release': unproved }, () =>
      repository.push([`${unproved}:refs/heads/release`, repository.inboxRefspec(evidence)]),
    )
    expect(kindsSince(repository, count)).toEqual(['evidence', 'authorization', 'landed'])
    expectSoundLedger(repository)
  })

  test('the same push again is no move', async () => {
    const count = ledgerRecords(repository).length
    await expectChanged(repository, {}, () => repository.push(`${unproved}:release`))
    expect(kindsSince(repository, count)).toEqual([])
  })

  test('unguarded refs come and go without a record', async () => {
    const count = ledgerRecords(repository).length
    await expectChanged(repository, { 'refs/heads/release-2': released }, () =>
      repository.push(`${released}:refs/heads/release-2`, { as: 'dave' }),
    )
    await expectChanged(repository, { 'refs/heads/release-2': null }, () =>
      repository.push(':release-2', { as: 'dave' }),
    )
    expect(kindsSince(repository, count)).toEqual([])
  })
})

describe('before the first release', () => {
  test('only an operator creates it, and only from main', async () => {
    const fresh = new TestRepository()
    try {
      const first = fresh.commit('a proved one')
      fresh.mustRun(fresh.push('main'))
      await expectRefused(fresh, ['evidence'], () => fresh.push(`${first}:refs/heads/release`))
      fresh.prove(first)
      await expectRefused(fresh, ['operator'], () =>
        fresh.push(`${first}:refs/heads/release`, { as: 'dave' }),
      )
      const tree = fresh.git('rev-parse', 'main^{tree}')
      const orphan = fresh.git('commit-tree', tree, '-m', 'orphan')
      await expectRefused(fresh, ['on-staging', 'evidence'], () => fresh.push(`${orphan}:refs/heads/release`))
      // git answers a deletion of what is not there with a warning; nothing comes of it.
      await expectChanged(fresh, {}, () => fresh.push(':refs/heads/release'))
      await expectChanged(fresh, { 'refs/heads/release': first }, () =>
        fresh.push(`${first}:refs/heads/release`),
      )
      expectSoundLedger(fresh)
    } finally {
      fresh.remove()
    }
  })

  test('many pushes at once: one lands, and the ledger knows it once', async () => {
    const fresh = new TestRepository()
    try {
      const commits = [1, 2, 3, 4].map((n) => fresh.commit(`candidate ${n}`))
      fresh.pushProved(...commits)
      const { spawn } = await import('node:child_process')
      const pushes = [...commits, ...commits].map(
        (commit) =>
          new Promise<number | null>((resolve) => {
            const child = spawn('git', ['push', '-q', fresh.bare, `${commit}:refs/heads/release`], {
              cwd: fresh.clone,
              env: fresh.env,
              stdio: 'ignore',
            })
            child.on('close', resolve)
          }),
      )
      const codes = await Promise.all(pushes)
      expect(codes).toContain(0)
      const records = expectSoundLedger(fresh)
      const outcomes = records.filter((record) => record.kind === 'outcome')
      expect(outcomes.filter(({ predicate }) => predicate.result === 'landed').length).toBeGreaterThan(0)
    } finally {
      fresh.remove()
    }
  })
})
