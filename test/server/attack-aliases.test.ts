/** Other names for a guarded branch: symbolic refs, namespaces, linked worktrees, another place in the file system. */
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lastCommits, provedAndAhead } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { allRefs, expectChanged, expectRefused, expectSoundLedger, spoken } from './attack.ts'
import { packOf, receivePack } from './receive-pack-stream.ts'
import { served } from './running-service.ts'

let repository: TestRepository
let released: string
let proved: string
let unproved: string
const zeros = '0'.repeat(40)

beforeAll(async () => {
  repository = new TestRepository({ prepare: provedAndAhead })
  ;[released = '', proved = '', unproved = ''] = lastCommits(repository, 3)
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

/** Symbolic refs are made as an administrator makes them; a push cannot. */
function alias(name: string, target: string): void {
  repository.server('symbolic-ref', name, target)
}

describe('a symbolic ref counts as what it points at:', () => {
  const made: string[] = []
  const make = (name: string, target: string) => {
    alias(name, target)
    made.push(name)
  }
  afterEach(() => {
    for (const name of made.splice(0)) repository.server('symbolic-ref', '-d', name)
  })

  test('an alias of release takes no unproved commit, no deletion, no push by a developer', async () => {
    make('refs/heads/production', 'refs/heads/release')
    await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:production`))
    await expectRefused(repository, ['release-delete'], () => repository.push(':production'))
    await expectRefused(repository, ['operator'], () =>
      repository.push(`${proved}:production`, { as: 'dave' }),
    )
    await expectRefused(repository, ['commit-object'], () =>
      repository.push(`+${repository.git('rev-parse', 'main^{tree}')}:refs/heads/production`),
    )
  })

  test('an alias outside of refs/heads', async () => {
    make('refs/deploy/production', 'refs/heads/release')
    await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:refs/deploy/production`))
    await expectRefused(repository, ['release-delete'], () => repository.push(':refs/deploy/production'))
  })

  test('an alias as old gits made it, a symbolic link with a ref name in it', async () => {
    const link = join(repository.bare, 'refs/heads/linked')
    symlinkSync('refs/heads/release', link)
    try {
      await expectRefused(repository, ['evidence'], () =>
        receivePack(repository, { commands: [`${released} ${unproved} refs/heads/linked`] }),
      )
      await expectRefused(repository, ['release-delete'], () =>
        receivePack(repository, { commands: [`${released} ${zeros} refs/heads/linked`], pack: null }),
      )
    } finally {
      rmSync(link)
    }
  })

  test('a symbolic link to the file of release is a branch of its own: git replaces the link', async () => {
    const link = join(repository.bare, 'refs/heads/linked')
    symlinkSync('release', link)
    await expectChanged(repository, { 'refs/heads/linked': unproved }, () =>
      repository.push(`+${unproved}:linked`, { as: 'dave' }),
    )
    await expectChanged(repository, { 'refs/heads/linked': null }, () =>
      repository.push(':refs/heads/linked'),
    )
  })

  test('a branch below a folder that is a symbolic link', async () => {
    const link = join(repository.bare, 'refs/heads/team')
    symlinkSync('.', link)
    try {
      const push = (...args: string[]) =>
        repository.run('git', ['push', repository.bare, ...args], { cwd: repository.clone })
      for (const folder of ['team', 'team/team']) {
        await expectRefused(repository, ['evidence'], () => push(`${unproved}:refs/heads/${folder}/release`))
        await expectRefused(repository, ['staging-history'], () =>
          push(`+${released}:refs/heads/${folder}/main`),
        )
      }
    } finally {
      rmSync(link)
    }
  })

  test('an alias of an alias, as deep as git goes', async () => {
    const chain = ['refs/heads/release', 'refs/heads/a1', 'refs/x/a2', 'refs/tags/a3', 'refs/heads/a4']
    for (const [index, name] of chain.entries()) if (index > 0) make(name, chain[index - 1] ?? '')
    for (const name of chain.slice(1)) {
      await expectRefused(repository, ['evidence'], () => repository.push(`+${unproved}:${name}`))
    }
    make('refs/heads/a5', 'refs/heads/a4')
    make('refs/heads/a6', 'refs/heads/a5')
    const before = allRefs(repository)
    const { code } = repository.push(`+${unproved}:refs/heads/a6`)
    expect(code).not.toBe(0)
    expect(allRefs(repository)).toEqual(before)
  })

  test('an alias of main can be neither rewritten nor deleted', async () => {
    make('refs/heads/trunk', 'refs/heads/main')
    await expectRefused(repository, ['staging-history'], () => repository.push(`+${released}:trunk`))
    await expectRefused(repository, ['staging-history'], () => repository.push(':trunk'))
  })

  test('an alias of the ledger is reserved', async () => {
    make('refs/heads/book', 'refs/headgate/ledger')
    await expectRefused(repository, ['reserved'], () => repository.push(`+${unproved}:book`))
    await expectRefused(repository, ['reserved'], () => repository.push(':book'))
  })

  test('an alias of the inbox takes nothing that the inbox would not', async () => {
    make('refs/heads/letters', `refs/headgate/inbox/${'0'.repeat(64)}`)
    await expectRefused(repository, ['inbox'], () => repository.push(`${unproved}:refs/heads/letters`))
  })

  test('release and its alias in one push, in both orders, whatever they say', async () => {
    make('refs/heads/production', 'refs/heads/release')
    for (const refs of [
      ['production', 'release'],
      ['release', 'production'],
    ]) {
      await expectRefused(repository, ['fast-forward'], () =>
        repository.push(refs.map((ref) => `${proved}:refs/heads/${ref}`)),
      )
    }
    await expectRefused(repository, ['fast-forward'], () =>
      repository.push([`${proved}:refs/heads/release`, `${unproved}:refs/heads/production`]),
    )
  })

  test('two aliases of main in one push', async () => {
    make('refs/heads/trunk', 'refs/heads/main')
    const next = repository.git('commit-tree', 'main^{tree}', '-m', 'next', '-p', unproved)
    await expectRefused(repository, ['staging-history'], () =>
      repository.push([`${next}:refs/heads/main`, `${next}:refs/heads/trunk`]),
    )
  })

  test('HEAD, where it points at release', async () => {
    const head = repository.server('symbolic-ref', 'HEAD')
    alias('HEAD', 'refs/heads/release')
    try {
      await expectRefused(repository, [], () => repository.push(`${unproved}:HEAD`))
      await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:refs/heads/release`))
      await expectRefused(repository, ['release-delete'], () => repository.push(':release'))
    } finally {
      alias('HEAD', head)
    }
  })

  test('a dangling alias of a branch that nobody guards makes just that branch', async () => {
    make('refs/heads/dangling', 'refs/heads/born-later')
    await expectChanged(
      repository,
      { 'refs/heads/dangling': released, 'refs/heads/born-later': released },
      () => repository.push(`${released}:refs/heads/dangling`, { as: 'dave' }),
    )
    repository.server('update-ref', '-d', 'refs/heads/born-later')
  })
})

describe('a dangling alias', () => {
  test('of a release that does not exist yet does not create it', async () => {
    const fresh = new TestRepository()
    try {
      fresh.server('symbolic-ref', 'refs/heads/production', 'refs/heads/release')
      fresh.server('symbolic-ref', 'refs/heads/live', 'refs/heads/production')
      const main = fresh.git('rev-parse', 'main')
      for (const name of ['production', 'live']) {
        await expectRefused(fresh, ['evidence', 'operator'], () =>
          fresh.push(`${main}:refs/heads/${name}`, { as: 'dave' }),
        )
      }
      fresh.prove(main)
      await expectChanged(
        fresh,
        { 'refs/heads/release': main, 'refs/heads/production': main, 'refs/heads/live': main },
        () => fresh.push(`${main}:refs/heads/live`),
      )
      expectSoundLedger(fresh)
    } finally {
      fresh.remove()
    }
  })
})

describe('a guarded branch that somebody made symbolic', () => {
  test('takes no push at all, and no other branch moves it', async () => {
    const fresh = new TestRepository()
    try {
      const first = fresh.release('first')
      const second = fresh.commit('second')
      fresh.mustRun(fresh.push('main'))
      fresh.mustRun(fresh.push(`${first}:refs/heads/other`))
      fresh.server('update-ref', '--no-deref', '-d', 'refs/heads/nothing')
      writeFileSync(join(fresh.bare, 'refs/heads/release'), 'ref: refs/heads/other\n')
      const before = allRefs(fresh)
      for (const as of ['alice', 'dave']) {
        const { code, all } = fresh.push(`${second}:release`, { as })
        expect(code, all).not.toBe(0)
        expect(spoken(all)).toContain('symbolic')
        expect(allRefs(fresh)).toEqual(before)
      }
    } finally {
      fresh.remove()
    }
  })
})

describe('namespaces', () => {
  const inside = { GIT_NAMESPACE: 'tenant' }

  test('release of a namespace is another branch; the real one stays', async () => {
    await expectChanged(repository, { 'refs/namespaces/tenant/refs/heads/release': unproved }, () =>
      repository.push(`${unproved}:refs/heads/release`, { as: 'dave', env: inside }),
    )
    await expectChanged(repository, { 'refs/namespaces/tenant/refs/heads/release': null }, () =>
      repository.push(':refs/heads/release', { as: 'dave', env: inside }),
    )
  })

  test('an alias inside of a namespace counts as what it points at', async () => {
    alias('refs/namespaces/tenant/refs/heads/door', 'refs/heads/release')
    alias('refs/namespaces/a/refs/namespaces/b/refs/heads/door', 'refs/heads/release')
    try {
      await expectRefused(repository, ['evidence', 'operator'], () =>
        repository.push(`+${unproved}:refs/heads/door`, { as: 'dave', env: inside }),
      )
      await expectRefused(repository, ['evidence', 'operator'], () =>
        repository.push(`+${unproved}:refs/heads/door`, { as: 'dave', env: { GIT_NAMESPACE: 'a/b' } }),
      )
    } finally {
      repository.server('symbolic-ref', '-d', 'refs/namespaces/tenant/refs/heads/door')
      repository.server('symbolic-ref', '-d', 'refs/namespaces/a/refs/namespaces/b/refs/heads/door')
    }
  })

  test.each(['..', '../..', 'a/../b', '\u001b[31m', 'x y', '*', 'a//b/'])(
    'namespace %j moves nothing that is guarded',
    (name) => {
      const before = [repository.ref('refs/heads/release'), repository.ref('refs/headgate/ledger')]
      repository.push(`${unproved}:refs/heads/release`, { as: 'dave', env: { GIT_NAMESPACE: name } })
      expect([repository.ref('refs/heads/release'), repository.ref('refs/headgate/ledger')]).toEqual(before)
    },
  )

  test('a submission inside of a namespace is no submission', () => {
    const before = repository.ref('refs/headgate/ledger')
    const evidence = repository.sign(repository.evidencePayload(unproved), 'ci', 'headgate-evidence')
    const { all } = repository.push(repository.inboxRefspec(evidence), { env: inside })
    expect(repository.ref('refs/headgate/ledger')).toBe(before)
    expect(all).not.toContain('accepted')
    repository.run('git', ['for-each-ref', '--format=delete %(refname)', 'refs/namespaces'], {
      cwd: repository.bare,
    })
  })
})

describe('another way to the same repository:', () => {
  const expectGuarded = async (path: string) => {
    await expectRefused(repository, ['evidence'], () =>
      repository.run('git', ['push', path, `${unproved}:refs/heads/release`], { cwd: repository.clone }),
    )
    await expectRefused(repository, ['release-delete'], () =>
      repository.run('git', ['push', path, ':refs/heads/release'], { cwd: repository.clone }),
    )
    await expectRefused(repository, ['staging-history'], () =>
      repository.run('git', ['push', path, `+${released}:refs/heads/main`], { cwd: repository.clone }),
    )
  }

  test('a linked worktree', async () => {
    const worktree = join(repository.folder, 'linked')
    repository.server('worktree', 'add', '-q', '--detach', worktree, released)
    await expectGuarded(worktree)
    await expectGuarded(join(repository.bare, 'worktrees', 'linked'))
    repository.server('worktree', 'remove', '--force', worktree)
  })

  test('what is left of a worktree that is gone keeps nobody from pushing', () => {
    const gone = join(repository.bare, 'worktrees', 'gone')
    mkdirSync(gone, { recursive: true })
    const commit = repository.commit('beside what is left')
    repository.mustRun(
      repository.run('git', ['push', repository.bare, 'main', `${commit}:refs/heads/beside`], {
        cwd: repository.clone,
      }),
    )
    expect(repository.ref('refs/heads/main')).toBe(commit)
    rmSync(gone, { recursive: true })
  })

  test('a linked worktree that was moved', async () => {
    const worktree = join(repository.folder, 'linked')
    const moved = join(repository.folder, 'elsewhere')
    repository.server('worktree', 'add', '-q', '--detach', worktree, released)
    repository.server('worktree', 'move', worktree, moved)
    await expectGuarded(moved)
    repository.server('worktree', 'remove', '--force', moved)
  })

  test('release checked out in a linked worktree: neither a push nor a commit there moves it', async () => {
    const worktree = join(repository.folder, 'linked')
    repository.server('worktree', 'add', '-q', worktree, 'release')
    try {
      await expectGuarded(worktree)
      const commit = () =>
        repository.run('git', ['commit', '-q', '--allow-empty', '-m', 'here'], { cwd: worktree })
      await expectRefused(repository, [], commit)
      const reset = () => repository.run('git', ['reset', '-q', '--hard', unproved], { cwd: worktree })
      await expectRefused(repository, [], reset)
    } finally {
      repository.server('worktree', 'remove', '--force', worktree)
    }
  })

  test('a symbolic ref of a linked worktree itself, and one that leads through it', async () => {
    const worktree = join(repository.folder, 'aliased')
    repository.server('worktree', 'add', '-q', '--detach', worktree, 'main')
    const alias = (name: string, target: string) =>
      repository.mustRun(repository.run('git', ['symbolic-ref', name, target], { cwd: worktree }))
    alias('refs/worktree/main', 'refs/heads/main')
    alias('refs/bisect/release', 'refs/heads/release')
    alias('refs/heads/through', 'refs/worktree/main')
    const stray = repository.git('commit-tree', 'main^{tree}', '-m', 'stray')
    const push = (ref: string) => () =>
      repository.run('git', ['push', worktree, `+${stray}:${ref}`], { cwd: repository.clone })
    await expectRefused(repository, ['staging-history'], push('refs/worktree/main'))
    await expectRefused(repository, ['staging-history'], push('refs/heads/through'))
    await expectRefused(
      repository,
      ['approval', 'fast-forward', 'known-good', 'on-staging'],
      push('refs/bisect/release'),
    )
    repository.server('symbolic-ref', '--delete', 'refs/heads/through')
    repository.server('worktree', 'remove', '--force', worktree)
  })

  test('a symbolic link to the repository', async () => {
    const link = join(repository.folder, 'link.git')
    symlinkSync(repository.bare, link)
    await expectGuarded(link)
    await expectGuarded(`${link}/`)
    await expectGuarded(`file://${link}`)
    rmSync(link)
  })

  test('a path with .. in it', () => expectGuarded(`${join(repository.bare, 'hooks')}/..`))

  test('the repository without its .git suffix', () => expectGuarded(repository.bare.replace(/\.git$/, '')))

  test.each(['renamed.git', 'with space.git', "it's [odd]*?.git", 'ünïcödé.git', '-dash.git'])(
    'the repository moved to %j',
    async (name) => {
      const place = repository.bare
      const moved = join(repository.folder, name)
      renameSync(place, moved)
      const there = Object.assign(Object.create(repository), { bare: moved }) as TestRepository
      try {
        await expectRefused(there, ['evidence'], () =>
          repository.run('git', ['push', `file://${moved}`, `${unproved}:refs/heads/release`], {
            cwd: repository.clone,
          }),
        )
        // By hand in the repository itself, too.
        await expectRefused(there, [], () =>
          repository.run('git', ['update-ref', 'refs/heads/release', unproved], { cwd: moved }),
        )
      } finally {
        renameSync(moved, place)
      }
    },
  )

  test('a copy is a repository of its own, and guarded like the first', async () => {
    const copy = join(repository.folder, 'copy.git')
    cpSync(repository.bare, copy, { recursive: true })
    const there = Object.assign(Object.create(repository), { bare: copy }) as TestRepository
    const original = allRefs(repository)
    await expectRefused(there, ['evidence'], () =>
      repository.run('git', ['push', copy, `${unproved}:refs/heads/release`], { cwd: repository.clone }),
    )
    expect(allRefs(repository)).toEqual(original)
  })
})

describe('objects from elsewhere:', () => {
  test('a server that borrows its objects from another repository judges the same', async () => {
    const store = join(repository.folder, 'store.git')
    repository.mustRun(repository.run('git', ['clone', '-q', '--mirror', repository.clone, store]))
    const alternates = join(repository.bare, 'objects/info/alternates')
    mkdirSync(join(repository.bare, 'objects/info'), { recursive: true })
    writeFileSync(alternates, `${store}/objects\n`)
    try {
      // The commit is in the store only: nobody pushed it here.
      const foreign = repository.git('commit-tree', 'main^{tree}', '-m', 'foreign', '-p', released)
      repository.git('push', '-q', store, `${foreign}:refs/heads/foreign`)
      await expectRefused(repository, ['on-staging', 'evidence'], () =>
        receivePack(repository, { commands: [`${released} ${foreign} refs/heads/release`] }),
      )
      await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:release`))
    } finally {
      rmSync(alternates)
    }
  })

  test('a client that borrows its objects', async () => {
    const borrower = join(repository.folder, 'borrower')
    repository.mustRun(repository.run('git', ['clone', '-q', '--shared', repository.clone, borrower]))
    await expectRefused(repository, ['evidence'], () =>
      repository.run('git', ['push', repository.bare, `${unproved}:refs/heads/release`], { cwd: borrower }),
    )
  })

  test('objects of another push that is under way do not count', async () => {
    const foreign = repository.git('commit-tree', 'main^{tree}', '-m', 'in quarantine', '-p', released)
    const other = join(repository.bare, 'objects', 'tmp_objdir-incoming-AbCdEf')
    mkdirSync(join(other, 'pack'), { recursive: true })
    const pack = packOf(repository, [foreign, `^${released}`])
    writeFileSync(join(other, 'pack', 'x.pack'), pack)
    try {
      await expectRefused(repository, ['commit-object'], () =>
        receivePack(repository, { commands: [`${released} ${foreign} refs/heads/release`] }),
      )
    } finally {
      rmSync(other, { recursive: true })
    }
    expect(readFileSync(join(repository.bare, 'headgate/guarded'), 'utf8')).toContain('refs/heads/release')
  })
})
