/** Deaths between yes and done, and servers that cannot decide. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { released as beginWithRelease, lastCommits, proved } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import {
  allRefs,
  expectChanged,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
} from './attack.ts'
import { receivePack } from './receive-pack-stream.ts'

const RELEASE = 'refs/heads/release'

let repository: TestRepository
let released: string
/** Proved commits of main in order; `next()` is the one to promote. */
let candidates: string[]

beforeAll(() => {
  repository = new TestRepository({ prepare: beginWithRelease })
  ;[released = ''] = lastCommits(repository, 1)
  candidates = repository.commits(Array.from({ length: 30 }, (_, index) => `candidate ${index}`))
  repository.pushProved(...candidates)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

const next = () => candidates.shift() ?? ''
const hook = (name: string) => join(repository.bare, 'hooks', name)

/** Runs `during` while a hook is replaced by a script; `@HOOK@` in it is the path of the real one. */
async function withHook(name: string, script: string, during: () => Promise<void> | void) {
  const real = `${hook(name)}.real`
  renameSync(hook(name), real)
  // The real one finds its repository from its own path, which stays in the same folder.
  writeFileSync(hook(name), script.replaceAll('@HOOK@', `"${real}"`), { mode: 0o755 })
  try {
    await during()
  } finally {
    renameSync(real, hook(name))
  }
}

/** What the next operator finds: the same promotion passes, and the ledger tells the truth about the one before. */
async function landsNext(commit: string, count: number, expected: readonly string[]) {
  await expectChanged(repository, { [RELEASE]: commit }, () => repository.push(`${commit}:${RELEASE}`))
  expect(kindsSince(repository, count)).toEqual(expected)
  released = commit
  expectSoundLedger(repository)
}

describe('between the authorization and the move', () => {
  test('pre-receive is killed after it has recorded its yes: nothing moves, the next push settles it', async () => {
    const commit = next()
    const count = ledgerRecords(repository).length
    await withHook('pre-receive', '#!/bin/sh\n@HOOK@\nkill -9 $$\n', () => {
      expect(repository.push(`${commit}:${RELEASE}`).code).not.toBe(0)
    })
    expect(repository.ref(RELEASE)).toBe(released)
    expect(kindsSince(repository, count)).toEqual(['authorization'])
    expectSoundLedger(repository)
    await landsNext(commit, count, ['authorization', 'not-landed', 'authorization', 'landed'])
  })

  test('receive-pack itself is killed', async () => {
    const commit = next()
    const count = ledgerRecords(repository).length
    await withHook('pre-receive', '#!/bin/sh\n@HOOK@ || exit\nkill -9 $PPID\n', async () => {
      const { code } = await receivePack(repository, { commands: [`${released} ${commit} ${RELEASE}`] })
      expect(code).not.toBe(0)
    })
    expect(repository.ref(RELEASE)).toBe(released)
    expect(kindsSince(repository, count)).toEqual(['authorization'])
    await landsNext(commit, count, ['authorization', 'not-landed', 'authorization', 'landed'])
  })

  test('reference-transaction is killed in prepared: git refuses, and the next push settles it', async () => {
    const commit = next()
    const count = ledgerRecords(repository).length
    await withHook(
      'reference-transaction',
      '#!/bin/sh\ncase $1 in prepared) kill -9 $$;; esac\nexec @HOOK@ "$@"\n',
      () => {
        expect(repository.push(`${commit}:${RELEASE}`).code).not.toBe(0)
      },
    )
    expect(repository.ref(RELEASE)).toBe(released)
    await landsNext(commit, count, ['authorization', 'not-landed', 'authorization', 'landed'])
  })

  test('another authorized push is tried meanwhile by somebody who may not push: it is still refused', async () => {
    const commit = next()
    const other = next()
    const count = ledgerRecords(repository).length
    await withHook('pre-receive', '#!/bin/sh\n@HOOK@\nexit 1\n', () => {
      expect(repository.push(`${commit}:${RELEASE}`).code).not.toBe(0)
    })
    expect(kindsSince(repository, count)).toEqual(['authorization'])
    const { code, all } = repository.push(`${commit}:${RELEASE}`, { as: 'dave' })
    expect(code).not.toBe(0)
    expect(all).toContain('[operator]')
    expect(repository.ref(RELEASE)).toBe(released)
    expect(kindsSince(repository, count)).toEqual(['authorization', 'not-landed'])
    // Nor does the yes to one commit carry another one.
    expect(repository.run('git', ['update-ref', RELEASE, other], { cwd: repository.bare }).code).not.toBe(0)
    expect(repository.run('git', ['update-ref', RELEASE, commit], { cwd: repository.bare }).code).not.toBe(0)
    expect(repository.ref(RELEASE)).toBe(released)
    await landsNext(commit, count, ['authorization', 'not-landed', 'authorization', 'landed'])
  })

  test('a push of main in between neither waits nor closes anything wrongly', async () => {
    const commit = next()
    const count = ledgerRecords(repository).length
    await withHook('pre-receive', '#!/bin/sh\n@HOOK@\nexit 1\n', () => {
      expect(repository.push(`${commit}:${RELEASE}`).code).not.toBe(0)
    })
    repository.commit(`onward ${count}`)
    repository.mustRun(repository.push('main'))
    expect(kindsSince(repository, count)).not.toContain('landed')
    await landsNext(commit, count, ['authorization', 'not-landed', 'authorization', 'landed'])
  })
})

describe('between the move and its record', () => {
  test.each([
    ['is killed', 'kill -9 $$'],
    ['is not run at all', 'exit 0'],
    ['cannot start anything', 'exit 127'],
    ['is killed while it asks', `sed 's/^ *request=/kill -9 $$;&/' @HOOK@ >@HOOK@.dying; . @HOOK@.dying`],
  ])('post-receive %s: the next push records what landed', async (_, script) => {
    const commit = next()
    const count = ledgerRecords(repository).length
    await withHook('post-receive', `#!/bin/sh\n${script}\n`, () => {
      repository.push(`${commit}:${RELEASE}`)
    })
    expect(repository.ref(RELEASE)).toBe(commit)
    expect(kindsSince(repository, count)).toEqual(['authorization'])
    // Somebody's evidence or a promotion: whichever comes first, and without a wait.
    const other = next()
    await expectChanged(repository, { [RELEASE]: other }, () => repository.push(`${other}:${RELEASE}`))
    expect(kindsSince(repository, count)).toEqual(['authorization', 'landed', 'authorization', 'landed'])
    released = other
    expectSoundLedger(repository)
  })

  test('the client hangs up before post-receive: a push of main records what landed', async () => {
    const commit = next()
    const count = ledgerRecords(repository).length
    // git tells the client of the move before it starts post-receive, and dies where nobody listens any more.
    await withHook(
      'reference-transaction',
      '#!/bin/sh\n@HOOK@ "$@" || exit\ntest $1 != committed || kill -9 $PPID\n',
      () => {
        expect(repository.push(`${commit}:${RELEASE}`).code).not.toBe(0)
      },
    )
    expect(repository.ref(RELEASE)).toBe(commit)
    expect(kindsSince(repository, count)).toEqual(['authorization'])
    repository.commit(`after ${count}`)
    repository.mustRun(repository.push('main'))
    expect(kindsSince(repository, count)).toEqual(['authorization', 'landed'])
    released = commit
    expectSoundLedger(repository)
  })

  test.each([
    ['the next move landed', ''],
    ['the next move was authorized', 'exit 1'],
  ])('post-receive comes after %s: each has one outcome', async (_, afterYes) => {
    const [first, second] = [next(), next()]
    const count = ledgerRecords(repository).length
    const push = `git -C '${repository.clone}' push -q origin ${second}:${RELEASE}`
    // Only the push in between is refused after its yes.
    const pre = `#!/bin/sh\n@HOOK@ || exit\ntest ! -e between || { ${afterYes || ':'}; }\n`
    const post = `#!/bin/sh\nif mkdir between 2>/dev/null; then unset GIT_DIR GIT_QUARANTINE_PATH; ${push} >/dev/null 2>&1; fi\n@HOOK@\n`
    await withHook('pre-receive', pre, () =>
      withHook('post-receive', post, () => {
        repository.mustRun(repository.push(`${first}:${RELEASE}`))
      }),
    )
    rmSync(join(repository.bare, 'between'), { recursive: true })
    const landed = afterYes === '' ? second : first
    expect(repository.ref(RELEASE)).toBe(landed)
    expect(kindsSince(repository, count)).toEqual([
      ...['authorization', 'landed', 'authorization'],
      ...(afterYes === '' ? ['landed'] : []),
    ])
    released = landed
    if (afterYes !== '') {
      const more = ['authorization', 'landed', 'authorization', 'not-landed', 'authorization', 'landed']
      await landsNext(second, count, more)
    }
    expectSoundLedger(repository)
  })

  test('a rollback that nobody recorded as landed bars what it left all the same', async () => {
    const back = released
    const bad = next()
    await expectChanged(repository, { [RELEASE]: bad }, () => repository.push(`${bad}:${RELEASE}`))
    const approval = repository.sign(repository.approvalPayload(bad, back), 'bob', 'headgate-approval')
    repository.mustRun(repository.submit(approval, 'bob'))
    await withHook('post-receive', '#!/bin/sh\nexit 1\n', () => {
      repository.push(`+${back}:${RELEASE}`)
    })
    expect(repository.ref(RELEASE)).toBe(back)
    expect(ledgerRecords(repository).at(-1)?.kind).toBe('authorization')
    await expectRefused(repository, ['barred'], () => repository.push(`${bad}:${RELEASE}`))
    const other = next()
    await expectChanged(repository, { [RELEASE]: other }, () => repository.push(`${other}:${RELEASE}`))
    released = other
    expectSoundLedger(repository)
  })

  test('the ledger is locked by a process that died: the move stays, and is recorded later', async () => {
    const commit = next()
    const count = ledgerRecords(repository).length
    const lock = join(repository.bare, 'refs/headgate/ledger.lock')
    await withHook(
      'reference-transaction',
      // As git takes a lock: not where one is held.
      `#!/bin/sh\ncase $1 in prepared) (set -C; : >${lock}) 2>/dev/null;; esac\nexec @HOOK@ "$@"\n`,
      async () => {
        const pushed = repository.mustRun(repository.push(`${commit}:${RELEASE}`))
        expect(pushed.all).toContain('headgate: the move landed and is not recorded yet: ')
        expect(pushed.all).not.toContain('no decision')
      },
    )
    const done = repository.ref(RELEASE)
    rmSync(lock, { force: true })
    if (done === commit) released = commit
    expect(kindsSince(repository, count).filter((kind) => kind === 'landed').length).toBeLessThanOrEqual(1)
    const evidence = repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')
    repository.mustRun(repository.submit(evidence))
    expectSoundLedger(repository)
  })
})

describe('no decision can be made', () => {
  let innocent = 0
  beforeAll(() => {
    repository.server('update-ref', 'refs/heads/innocent-0', released)
  })
  const restore: (() => void)[] = []
  afterEach(() => {
    for (const undo of restore.splice(0)) undo()
  })
  const change = (path: string, text: string | null) => {
    const file = join(repository.bare, path)
    const before = readFileSync(file)
    const mode = path.startsWith('hooks/') ? 0o755 : 0o600
    restore.push(() => {
      rmSync(file, { force: true })
      writeFileSync(file, before, { mode })
    })
    rmSync(file)
    if (text !== null) writeFileSync(file, text, { mode })
  }

  const broken: [string, () => void, RegExp][] = [
    ['server.json is missing', () => change('headgate/server.json', null), /server\.json/],
    ['server.json is no JSON', () => change('headgate/server.json', '{'), /server\.json/],
    [
      'server.json names an unknown identity source',
      () => change('headgate/server.json', '{"version":1,"identity":"trust-me","git":"/usr/bin/git"}'),
      /identity/,
    ],
    [
      'server.json names a git that is not there',
      () =>
        change('headgate/server.json', '{"version":1,"identity":"env:TEST_PUSHER","git":"/nonexistent/git"}'),
      /git/,
    ],
    [
      'server.json has a key too many',
      () =>
        change(
          'headgate/server.json',
          '{"version":1,"identity":"env:TEST_PUSHER","git":"/usr/bin/git","x":1}',
        ),
      /server\.json/,
    ],
    ['the seal key is missing', () => change('headgate/seal-key.pem', null), /seal key/],
    ['the seal key is garbage', () => change('headgate/seal-key.pem', 'garbage'), /seal key/],
    [
      'Node is not where it was',
      () =>
        change(
          'hooks/pre-receive',
          readFileSync(hook('pre-receive'), 'utf8').replace(/NODE='[^']*'/, "NODE='/nonexistent/node'"),
        ),
      /headgate: \/nonexistent\/node is gone/,
    ],
    [
      'headgate is not where it was',
      () =>
        change(
          'hooks/pre-receive',
          readFileSync(hook('pre-receive'), 'utf8').replace(/APP='[^']*'/, "APP='/nonexistent/hook.cjs'"),
        ),
      /headgate: \/nonexistent\/hook\.cjs is gone/,
    ],
    [
      'the ledger’s ref is garbage',
      () => {
        repository.server('pack-refs', '--all', '--no-prune')
        change('refs/headgate/ledger', 'garbage\n')
      },
      /headgate/,
    ],
  ]
  test.each(broken)(
    'because %s: guarded refs are refused with the reason, others pass',
    async (_, damage, reason) => {
      const commit = candidates[0] ?? ''
      const guarded = () => [repository.ref(RELEASE), repository.ref('refs/heads/main')]
      const before = guarded()
      damage()
      for (const refspec of [
        `${commit}:${RELEASE}`,
        `:${RELEASE}`,
        `+${released}:refs/heads/main`,
        ':refs/heads/main',
      ]) {
        const { code, all } = repository.push(refspec)
        expect(code, all).not.toBe(0)
        expect(all).toMatch(reason)
        expect(guarded()).toEqual(before)
      }
      // The branch of the case before goes, and another one comes.
      const unguarded = [`:refs/heads/innocent-${innocent}`, `${released}:refs/heads/innocent-${++innocent}`]
      repository.mustRun(repository.push(unguarded, { as: 'dave' }))
      const together = repository.push([`${commit}:${RELEASE}`, `${released}:refs/heads/more`], {
        as: 'dave',
      })
      expect(together.code).not.toBe(0)
      expect(guarded()).toEqual(before)
    },
  )

  test('because there are no file descriptors left: git cannot be started, and that is no bug', () => {
    const commit = candidates[0] ?? ''
    for (const limit of [26, 30, 34]) {
      const push = ['-c', `ulimit -n ${limit}; exec git push origin ${commit}:${RELEASE}`]
      const { code, all } = repository.run('/bin/sh', push, {
        cwd: repository.clone,
        env: { TEST_PUSHER: 'dave' },
      })
      expect(code, all).not.toBe(0)
      expect(all).not.toContain('a bug')
    }
  })

  test('because the list of guarded refs is gone: nothing is let through unseen', async () => {
    const commit = candidates[0] ?? ''
    change('headgate/guarded', null)
    await expectRefused(repository, ['operator'], () =>
      repository.push(`${commit}:${RELEASE}`, { as: 'dave' }),
    )
    await expectRefused(repository, ['release-delete'], () => repository.push(`:${RELEASE}`))
    await expectRefused(repository, [], () =>
      repository.run('git', ['update-ref', RELEASE, commit], { cwd: repository.bare }),
    )
    await expectRefused(repository, [], () =>
      repository.run('git', ['update-ref', '-d', 'refs/headgate/ledger'], { cwd: repository.bare }),
    )
  })

  test.skipIf(process.getuid?.() === 0)('because the seal key is unreadable', () => {
    const key = join(repository.bare, 'headgate/seal-key.pem')
    chmodSync(key, 0o000)
    restore.push(() => chmodSync(key, 0o600))
    const before = allRefs(repository)
    expect(repository.push(`${candidates[0]}:${RELEASE}`).code).not.toBe(0)
    expect(allRefs(repository)).toEqual(before)
  })

  test('because objects of the ledger are missing', async () => {
    const fresh = new TestRepository({ prepare: proved })
    try {
      const [first = '', second = ''] = lastCommits(fresh, 2)
      // Every object that the decision reads: commit, trees, state, policy, records; one at a time.
      const listed = fresh
        .server('ls-tree', '-r', '-t', '--format=%(objectname) %(path)', 'refs/headgate/ledger')
        .split('\n')
        .map((line) => line.split(' '))
      const needed = [
        [fresh.server('rev-parse', 'refs/headgate/ledger'), 'the tip'],
        [fresh.server('rev-parse', 'refs/headgate/ledger^{tree}'), 'its tree'],
        ...listed.filter(
          ([, path = '']) =>
            !path.startsWith('policies') &&
            (!/entries\/../.test(path) ||
              path.includes(second.slice(2)) ||
              path === `entries/${second.slice(0, 2)}`),
        ),
      ]
      expect(needed.length).toBeGreaterThan(6)
      for (const [oid = '', what] of needed) {
        const file = join(fresh.bare, 'objects', oid.slice(0, 2), oid.slice(2))
        if (!existsSync(file)) continue
        renameSync(file, `${file}.away`)
        const { code, all } = fresh.push(`${second}:${RELEASE}`)
        const release = fresh.ref(RELEASE)
        renameSync(`${file}.away`, file)
        expect(code, `${what}: ${all}`).not.toBe(0)
        expect(release).toBe(first)
        expect(all).not.toContain('a bug kept it')
      }
      await expectChanged(fresh, { [RELEASE]: second }, () => fresh.push(`${second}:${RELEASE}`))
      expectSoundLedger(fresh)
    } finally {
      fresh.remove()
    }
  })

  test('because the disk is full, or the ledger cannot be written', () => {
    const commit = candidates[0] ?? ''
    const lock = join(repository.bare, 'refs/headgate/ledger.lock')
    writeFileSync(lock, '')
    restore.push(() => rmSync(lock, { force: true }))
    const before = allRefs(repository)
    const { code, all } = repository.push(`${commit}:${RELEASE}`)
    expect(code).not.toBe(0)
    expect(all).toContain('ledger.lock')
    expect(allRefs(repository)).toEqual(before)
  })

  test('in time for a client that hangs up: nothing lands that nobody authorized', async () => {
    const commit = candidates[0] ?? ''
    for (const after of [20, 60, 120]) {
      const child = spawn('git', ['push', '-q', repository.bare, `${commit}:${RELEASE}`], {
        cwd: repository.clone,
        env: { ...repository.env, TEST_PUSHER: 'alice' },
        stdio: 'ignore',
        detached: true,
      })
      const closed = new Promise((resolve) => child.on('close', resolve))
      await new Promise((resolve) => setTimeout(resolve, after))
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL')
      } catch {
        // It was faster.
      }
      await closed
    }
    // Whatever became of them, the next push finds out.
    mkdirSync(join(repository.folder, 'settled'), { recursive: true })
    const lock = join(repository.bare, `${RELEASE}.lock`)
    rmSync(lock, { force: true })
    rmSync(join(repository.bare, 'refs/headgate/ledger.lock'), { force: true })
    const { code, all } = repository.push(`${commit}:${RELEASE}`)
    expect(code, all).toBe(0)
    expect(repository.ref(RELEASE)).toBe(commit)
    repository.mustRun(
      repository.submit(repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')),
    )
    candidates.shift()
    released = commit
    expectSoundLedger(repository)
  })
})
