/** Moves behind the guard, by somebody with a shell on the server: refused where git asks, found where it does not. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGuarded } from '../../server/guarded-repository.ts'
import { prepared } from '../../server/hooks/reference-transaction.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { statementPayload } from '../../src/core/statement.ts'
import { pushAtOnce } from '../at-once.ts'
import { lastCommits, proved, releasedTwiceAndProved } from '../beginnings.ts'
import { type Ran, REPOSITORY_NAME, TestRepository } from '../make-repository.ts'
import {
  allRefs,
  expectAllRefused,
  expectChanged,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
  spoken,
} from './attack.ts'
import { served } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const LEDGER = 'refs/headgate/ledger'
const zeros = '0'.repeat(40)
const OFF = ['-c', 'core.hooksPath=/dev/null']

let repository: TestRepository
let [first, second, third] = ['', '', '']

/** A repository with a lock that somebody left. The push waits for a minute before it gives up, and other tests run then. */
let locked: {
  readonly repository: TestRepository
  readonly before: string | null
  readonly records: number
  readonly push: Promise<Ran>
}

beforeAll(() => {
  const other = new TestRepository({ prepare: proved })
  writeFileSync(join(other.bare, `${RELEASE}.lock`), '')
  locked = {
    repository: other,
    before: other.ref(RELEASE),
    records: ledgerRecords(other).length,
    push: pushAtOnce(other, `main:${RELEASE}`, 'alice'),
  }
  repository = new TestRepository({ prepare: releasedTwiceAndProved })
  ;[first = '', second = '', third = ''] = lastCommits(repository, 3)
})
afterAll(async () => {
  expectSoundLedger(repository)
  repository.remove()
  await locked.push
  locked.repository.remove()
})

const onServer = (...args: string[]) => repository.run('git', args, { cwd: repository.bare })
const script = (text: string) => () =>
  repository.run('git', ['update-ref', '--stdin'], { cwd: repository.bare, input: text })
const refused = (...args: string[]) => expectRefused(repository, [], () => onServer(...args))

/** Both ways in which git keeps a ref. */
const STATES: [string, () => void][] = [
  ['loose', () => {}],
  ['packed', () => repository.server('pack-refs', '--all', '--prune')],
  ['loose and packed', () => repository.server('pack-refs', '--all', '--no-prune')],
]

/** Puts the refs into a state. Of loose refs the hooks decide alone, of others the service. */
function begin(state: string, prepare: () => void): Promise<() => Promise<void>> | undefined {
  prepare()
  return state === 'loose' ? undefined : served(repository)
}

describe.each(STATES)('release, %s, is not moved on the server by', (state, prepare) => {
  beforeAll(() => begin(state, prepare))

  test('git update-ref, with and without the old value', async () => {
    await refused('update-ref', RELEASE, third)
    await refused('update-ref', RELEASE, third, second)
    await refused('update-ref', RELEASE, first)
    await refused('update-ref', '--no-deref', RELEASE, third)
    await expectRefused(repository, [], script(`update ${RELEASE} ${third} ${second}\n`))
    await expectRefused(repository, [], script(`start\nupdate ${RELEASE} ${third}\nprepare\ncommit\n`))
  })

  test('git update-ref -d, with and without the old value', async () => {
    await refused('update-ref', '-d', RELEASE)
    await refused('update-ref', '-d', RELEASE, second)
    await refused('update-ref', '--no-deref', '-d', RELEASE)
    await expectRefused(repository, [], script(`delete ${RELEASE}\n`))
    await expectRefused(repository, [], script(`delete ${RELEASE} ${second}\n`))
    await expectRefused(repository, [], script(`update ${RELEASE} ${zeros} ${second}\n`))
    await expectRefused(repository, [], script(`update ${RELEASE} ${zeros}\n`))
  })

  test('a deletion among others', async () => {
    repository.server('update-ref', 'refs/heads/other', first)
    await expectRefused(repository, [], script(`delete refs/heads/other\ndelete ${RELEASE}\n`))
    await expectRefused(repository, [], script(`delete ${RELEASE}\ndelete refs/heads/other\n`))
    repository.server('update-ref', '-d', 'refs/heads/other')
  })

  test('git branch', async () => {
    await refused('branch', '-f', 'release', third)
    await refused('branch', '-D', 'release')
    await refused('branch', '-d', 'release')
    await refused('branch', '-m', 'release', 'old')
    await refused('branch', '-M', 'release', 'old')
  })

  test('git fetch into it, and git bundle', async () => {
    await refused('fetch', '-q', repository.clone, `+${third}:${RELEASE}`)
    await refused('fetch', '-q', repository.clone, `+main:${RELEASE}`)
    const bundle = join(repository.folder, 'x.bundle')
    repository.git('bundle', 'create', '-q', bundle, 'main')
    await refused('fetch', '-q', bundle, `+refs/heads/main:${RELEASE}`)
  })

  test('git fetch --prune from a repository that lacks it', async () => {
    const config = [
      '-c',
      'remote.x.fetch=+refs/heads/*:refs/heads/*',
      '-c',
      `remote.x.url=${repository.clone}`,
    ]
    const before = repository.ref(RELEASE)
    onServer(...config, 'fetch', '-q', '--prune', 'x')
    expect(repository.ref(RELEASE)).toBe(before)
  })

  test('git fast-import', () =>
    expectRefused(repository, [], () =>
      repository.run('git', ['fast-import', '--quiet', '--force'], {
        cwd: repository.bare,
        input: `reset ${RELEASE}\nfrom ${third}\n\n`,
      }),
    ))

  test('a push from the repository to itself', () =>
    expectRefused(repository, ['evidence', 'on-staging', 'operator'], () => {
      const tree = repository.server('rev-parse', 'main^{tree}')
      const direct = repository.server('commit-tree', tree, '-m', 'direct', '-p', second)
      return repository.run('git', ['push', '.', `${direct}:${RELEASE}`], {
        cwd: repository.bare,
        env: { TEST_PUSHER: 'root' },
      })
    }))

  test('writing through a symbolic ref', async () => {
    repository.server('symbolic-ref', 'refs/heads/door', RELEASE)
    await refused('update-ref', 'refs/heads/door', third)
    await refused('update-ref', '-d', 'refs/heads/door')
    const head = repository.server('symbolic-ref', 'HEAD')
    repository.server('symbolic-ref', 'HEAD', RELEASE)
    await refused('update-ref', 'HEAD', third)
    await refused('update-ref', '-d', 'HEAD')
    repository.server('symbolic-ref', 'HEAD', head)
    repository.server('symbolic-ref', '-d', 'refs/heads/door')
  })
})

describe.each(STATES)('the ledger, %s, is not moved on the server:', (state, prepare) => {
  beforeAll(() => begin(state, prepare))
  test.each<[string, () => string[]]>([
    ['rewound', () => ['update-ref', LEDGER, repository.server('rev-parse', `${LEDGER}~1`)]],
    ['replaced', () => ['update-ref', LEDGER, third]],
    ['deleted', () => ['update-ref', '-d', LEDGER]],
    ['deleted with its value', () => ['update-ref', '-d', LEDGER, repository.server('rev-parse', LEDGER)]],
    ['fetched over', () => ['fetch', '-q', repository.clone, `+main:${LEDGER}`]],
    ['moved through HEAD', () => ['update-ref', '-d', 'refs/heads/book']],
  ])('%s', async (what, args) => {
    if (what === 'moved through HEAD') repository.server('symbolic-ref', 'refs/heads/book', LEDGER)
    await refused(...args())
    if (what === 'moved through HEAD') repository.server('symbolic-ref', '-d', 'refs/heads/book')
  })
})

describe('housekeeping passes and changes nothing:', () => {
  const commands = [
    ['pack-refs', '--all'],
    ['pack-refs', '--all', '--prune'],
    ['pack-refs', '--all', '--no-prune'],
    ['gc', '-q', '--prune=now'],
    ['gc', '-q', '--aggressive', '--prune=now'],
    ['repack', '-q', '-a', '-d'],
    ['repack', '-q', '-A', '-d', '-f'],
    ['prune', '--expire=now'],
    ['reflog', 'expire', '--expire=now', '--all'],
    ['commit-graph', 'write', '--reachable'],
    ['multi-pack-index', 'write'],
    ['update-server-info'],
    ['fsck', '--no-dangling', '--strict'],
    ['worktree', 'prune'],
    [
      'maintenance',
      'run',
      '--task=gc',
      '--task=commit-graph',
      '--task=loose-objects',
      '--task=incremental-repack',
      '--task=pack-refs',
    ],
  ]
  test('of git, one command after the other', async () => {
    const before = allRefs(repository)
    for (const args of commands) {
      const { code, all } = onServer(...args)
      expect(code, `${args.join(' ')}: ${all}`).toBe(0)
      expect(allRefs(repository), args.join(' ')).toEqual(before)
    }
    // What decisions rest on is still there: what one of them had taken away, none would have brought back.
    await expectRefused(repository, ['operator'], () => repository.push(`${third}:release`, { as: 'dave' }))
  })

  test('the loose copy of a packed ref goes, while another git process holds the lock of packed refs for a moment', async () => {
    repository.server('pack-refs', '--all')
    const ledger = repository.server('rev-parse', LEDGER)
    const guarded = await openGuarded(repository.bare, async (text) => parsePolicy(text))
    const lock = join(repository.bare, 'packed-refs.lock')
    const prunes = () => prepared(guarded, [{ ref: LEDGER, from: ledger, to: zeros }])
    try {
      // Such as a push that empties the inbox. Its lock goes, the one of a deletion stays.
      writeFileSync(lock, '')
      const answer = prunes()
      setTimeout(() => rmSync(lock), 100)
      expect(await answer).toEqual({ accepted: true, text: '' })
      writeFileSync(lock, '')
      expect((await prunes()).accepted).toBe(false)
    } finally {
      rmSync(lock)
      guarded.close()
    }
  })

  test('writing the value that is there', async () => {
    const before = allRefs(repository)
    expect(onServer('update-ref', RELEASE, second).code).toBe(0)
    expect(onServer('update-ref', RELEASE, second, second).code).toBe(0)
    expect(onServer('update-ref', LEDGER, repository.server('rev-parse', LEDGER)).code).toBe(0)
    expect(allRefs(repository)).toEqual(before)
  })

  test('unguarded branches are free', async () => {
    repository.server('update-ref', 'refs/heads/free', first)
    repository.server('branch', '-m', 'free', 'freer')
    repository.server('branch', '-D', 'freer')
    expectSoundLedger(repository)
  })
})

describe('what git does without asking is found by the next push:', () => {
  const drifts: [string, () => void][] = [
    ['git update-ref with hooks switched off', () => repository.server(...OFF, 'update-ref', RELEASE, third)],
    ['the file edited', () => writeFileSync(join(repository.bare, RELEASE), `${third}\n`)],
    [
      'git branch -C, which asks no hook',
      () => {
        repository.server('update-ref', 'refs/heads/source', third)
        onServer('branch', '-C', 'source', 'release')
      },
    ],
    ['rewound with hooks switched off', () => repository.server(...OFF, 'update-ref', RELEASE, first)],
    ['deleted with hooks switched off', () => repository.server(...OFF, 'update-ref', '-d', RELEASE)],
  ]
  test.each(drifts)('%s', async (_, drift) => {
    drift()
    if (repository.ref(RELEASE) === second) return
    try {
      const rules = (text: readonly string[]) => text.includes('drift')
      for (const [refspec, as] of [
        [`+${third}:${RELEASE}`, 'alice'],
        [`+${second}:${RELEASE}`, 'alice'],
        [`+${first}:${RELEASE}`, 'bob'],
      ]) {
        const before = allRefs(repository)
        const { code, all } = repository.push(refspec ?? '', { as: as ?? '' })
        expect(allRefs(repository), all).toEqual(before)
        if (code !== 0)
          expect(rules(all.match(/\[([a-z-]+)\]/g)?.map((rule) => rule.slice(1, -1)) ?? []), all).toBe(true)
      }
      expectSoundLedger(repository, { drifted: true })
      // A push of anything else is nobody's business.
      repository.mustRun(repository.push(`${first}:refs/heads/innocent`, { as: 'dave' }))
      repository.mustRun(repository.push(':refs/heads/innocent', { as: 'dave' }))
    } finally {
      repository.server(...OFF, 'update-ref', RELEASE, second)
    }
    expectSoundLedger(repository)
  })

  test('release is not made a symbolic ref where git asks first', () => {
    const hook = join(repository.bare, 'hooks', 'reference-transaction')
    const asked = (...lines: string[]) =>
      repository.run(hook, ['prepared'], {
        cwd: repository.bare,
        input: lines.map((line) => `${line}\n`).join(''),
      })
    // What git says since 2.46.
    for (const ref of [RELEASE, LEDGER]) {
      const { code, all } = asked(`${zeros} ref:refs/heads/other ${ref}`)
      expect(all).toMatch(/refused: \S+ cannot become a symbolic ref: .* refs\/heads\/other does/)
      expect(code).toBe(1)
      expect(asked(`ref:refs/heads/one ref:refs/heads/other ${ref}`).code).toBe(1)
    }
    expect(asked(`${zeros} ref:${RELEASE} HEAD`, `${zeros} ref:${RELEASE} refs/heads/alias`).code).toBe(0)

    const [, major, minor] = /(\d+)\.(\d+)/.exec(repository.server('--version')) ?? []
    const asks = Number(major) > 2 || Number(minor) >= 46
    const { code } = onServer('symbolic-ref', RELEASE, 'refs/heads/nowhere')
    expect(code).toBe(asks ? 128 : 0)
    if (!asks) writeFileSync(join(repository.bare, RELEASE), `${second}\n`)
    expect(repository.ref(RELEASE)).toBe(second)
  })

  test('release made a symbolic ref, which moves with another branch', async () => {
    repository.server('update-ref', 'refs/heads/other', second)
    repository.server(...OFF, 'symbolic-ref', RELEASE, 'refs/heads/other')
    try {
      for (const ref of [RELEASE, 'refs/heads/other']) {
        const { code, all } = repository.push(`${third}:${ref}`)
        expect(code, all).not.toBe(0)
        expect(all).toContain('was made a symbolic ref to refs/heads/other')
      }
      expect(onServer('update-ref', 'refs/heads/other', third).code).not.toBe(0)
      expect(repository.ref('refs/heads/other')).toBe(second)
      repository.mustRun(repository.push(`${first}:refs/heads/innocent`, { as: 'dave' }))
      repository.mustRun(repository.push(':refs/heads/innocent', { as: 'dave' }))
    } finally {
      writeFileSync(join(repository.bare, RELEASE), `${second}\n`)
      repository.server('update-ref', '-d', 'refs/heads/other')
    }
  })

  test('the ledger gone: guarded refs are refused, others pass', async () => {
    const ledger = repository.ref(LEDGER) ?? ''
    repository.server(...OFF, 'update-ref', '-d', LEDGER)
    try {
      for (const refspec of [`${third}:${RELEASE}`, `:${RELEASE}`, `+${first}:refs/heads/main`]) {
        const before = allRefs(repository)
        const { code, all } = repository.push(refspec, { as: 'dave' })
        expect(allRefs(repository), all).toEqual(before)
        expect(code, all).not.toBe(0)
      }
      const before = allRefs(repository)
      expect(onServer('update-ref', RELEASE, third).code).not.toBe(0)
      expect(allRefs(repository)).toEqual(before)
      repository.mustRun(repository.push(`${first}:refs/heads/innocent`, { as: 'dave' }))
      repository.mustRun(repository.push(':refs/heads/innocent', { as: 'dave' }))
    } finally {
      writeFileSync(join(repository.bare, RELEASE), `${second}\n`)
      repository.server(...OFF, 'update-ref', LEDGER, ledger)
    }
    expectSoundLedger(repository)
  })

  test('the ledger replaced by something else: guarded refs are refused', async () => {
    const ledger = repository.ref(LEDGER) ?? ''
    for (const other of [
      third,
      repository.git('rev-parse', 'main:file.txt'),
      repository.git('rev-parse', 'main^{tree}'),
    ]) {
      repository.server(...OFF, 'update-ref', LEDGER, other)
      const before = allRefs(repository)
      const { code, all } = repository.push(`${third}:${RELEASE}`)
      expect(code).not.toBe(0)
      expect(all).toContain('no decision can be made')
      expect(allRefs(repository)).toEqual(before)
    }
    repository.server(...OFF, 'update-ref', LEDGER, ledger)
  })

  test('the ledger rewound to before the last release is found as drift', async () => {
    const ledger = repository.ref(LEDGER) ?? ''
    const records = ledgerRecords(repository)
    const landed = records.findLast(({ kind }) => kind === 'outcome')?.seq ?? 0
    const back = records.length - landed + 2
    repository.server(...OFF, 'update-ref', LEDGER, repository.server('rev-parse', `${LEDGER}~${back}`))
    try {
      await expectRefused(repository, ['drift', 'evidence'], () => repository.push(`${third}:${RELEASE}`))
    } finally {
      repository.server(...OFF, 'update-ref', LEDGER, ledger)
    }
    expectSoundLedger(repository)
  })

  test('a lock that somebody left: the move is refused with the reason, and nothing is recorded', async () => {
    const { code, all } = await locked.push
    expect(code).not.toBe(0)
    expect(spoken(all)).toContain('release is locked')
    expect(spoken(all)).toContain(`${RELEASE}.lock`)
    expect(locked.repository.ref(RELEASE)).toBe(locked.before)
    expect(kindsSince(locked.repository, locked.records)).toEqual([])
    rmSync(join(locked.repository.bare, `${RELEASE}.lock`))
    const main = locked.repository.ref('refs/heads/main')
    await expectChanged(locked.repository, { [RELEASE]: main }, () =>
      locked.repository.push(`main:${RELEASE}`),
    )
    expectSoundLedger(locked.repository)
  })
})

describe('a drift note', () => {
  const note = (expected: string, found: string, key = 'alice', change: (p: any) => void = () => {}) => {
    const predicate = {
      ref: RELEASE,
      expected,
      found,
      reason: 'moved by hand',
      issuedAt: new Date().toISOString(),
    }
    change(predicate)
    return repository.sign(
      statementPayload('drift', REPOSITORY_NAME, third, predicate),
      key,
      'headgate-approval',
    )
  }

  test('settles nothing where nothing has drifted', () =>
    expectRefused(repository, ['inbox'], () => repository.submit(note(second, third))))

  test('is an operator’s, and speaks of the drift that there is', async () => {
    repository.server(...OFF, 'update-ref', RELEASE, third)
    await expectAllRefused(repository, [
      { name: 'by ci', envelope: note(second, third, 'ci') },
      { name: 'by mallory', envelope: note(second, third, 'mallory') },
      { name: 'from elsewhere', envelope: note(first, third) },
      { name: 'to elsewhere', envelope: note(second, first) },
      { name: 'to nothing', envelope: note(second, zeros) },
      {
        name: 'of another branch',
        envelope: note(second, third, 'alice', (p) => (p.ref = 'refs/heads/main')),
      },
    ])
    repository.mustRun(repository.submit(note(second, third)))
    expectSoundLedger(repository)
    const fourth = repository.commit('fourth')
    repository.pushProved(fourth)
    await expectChanged(repository, { [RELEASE]: fourth }, () => repository.push(`${fourth}:${RELEASE}`))
    expectSoundLedger(repository)
    // The same words do not settle the next drift.
    repository.server(...OFF, 'update-ref', RELEASE, third)
    repository.submit(`${note(second, third)} `)
    const { all } = await expectRefused(repository, ['drift'], () => repository.push(`${fourth}:${RELEASE}`))
    expect(spoken(all)).toContain('behind the guard')
    repository.server(...OFF, 'update-ref', RELEASE, fourth)
  })

  test('does not make what drifted in a known-good release', async () => {
    const now = repository.ref(RELEASE) ?? ''
    const direct = repository.git('commit-tree', 'main^{tree}', '-m', 'smuggled', '-p', now)
    repository.mustRun(repository.push(`${direct}:refs/heads/side`))
    repository.server(...OFF, 'update-ref', RELEASE, direct)
    repository.mustRun(repository.submit(note(now, direct)))
    // Forward to main is no fast-forward from there; back to the release before needs an approval.
    await expectRefused(repository, ['approval', 'fast-forward'], () => repository.push(`+${now}:${RELEASE}`))
    repository.mustRun(
      repository.submit(repository.sign(repository.approvalPayload(direct, now), 'bob', 'headgate-approval')),
    )
    await expectChanged(repository, { [RELEASE]: now }, () => repository.push(`+${now}:${RELEASE}`))
    repository.mustRun(
      repository.submit(repository.sign(repository.approvalPayload(now, direct), 'bob', 'headgate-approval')),
    )
    const { all } = repository.push(`+${direct}:${RELEASE}`)
    expect(repository.ref(RELEASE), all).toBe(now)
    expectSoundLedger(repository)
  })
})

describe('a hooks folder', () => {
  test('that is shared by a symbolic link guards, or is refused at installation', async () => {
    const fresh = new TestRepository({ install: false })
    try {
      const sharedHooks = join(fresh.folder, 'somewhere', 'shared-hooks')
      mkdirSync(sharedHooks, { recursive: true })
      rmSync(join(fresh.bare, 'hooks'), { recursive: true })
      fresh.mustRun(fresh.run('ln', ['-s', sharedHooks, join(fresh.bare, 'hooks')]))
      const installed = fresh.headgate(
        'server',
        'install',
        fresh.bare,
        '--identity',
        'env:TEST_PUSHER',
        '--policy',
        fresh.policyFolder,
      )
      if (installed.code !== 0) return
      const main = fresh.git('rev-parse', 'main')
      fresh.mustRun(fresh.push(`${main}:refs/heads/unguarded`, { as: 'dave' }))
      await expectRefused(fresh, ['evidence', 'operator'], () =>
        fresh.push(`${main}:${RELEASE}`, { as: 'dave' }),
      )
    } finally {
      fresh.remove()
    }
  })

  test('with a hook of its own: both must pass, and neither hides the other', async () => {
    const fresh = new TestRepository({ install: false })
    try {
      const hook = join(fresh.bare, 'hooks', 'pre-receive')
      mkdirSync(join(fresh.bare, 'hooks'), { recursive: true })
      const seen = join(fresh.folder, 'seen')
      writeFileSync(hook, `#!/bin/sh\ncat >${seen}\ntest ! -e ${fresh.folder}/veto\n`, { mode: 0o755 })
      fresh.install()
      const main = fresh.git('rev-parse', 'main')
      await expectRefused(fresh, ['evidence'], () => fresh.push(`${main}:${RELEASE}`))
      expect(readFileSync(seen, 'utf8')).toBe(`${zeros} ${main} ${RELEASE}\n`)
      fresh.prove(main)
      writeFileSync(join(fresh.folder, 'veto'), '')
      await expectRefused(fresh, [], () => fresh.push(`${main}:${RELEASE}`))
      rmSync(join(fresh.folder, 'veto'))
      await expectChanged(fresh, { [RELEASE]: main }, () => fresh.push(`${main}:${RELEASE}`))
      expect(existsSync(`${hook}.kept-by-headgate`)).toBe(true)
      expectSoundLedger(fresh)
    } finally {
      fresh.remove()
    }
  })
})
