import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verifyQuarantine } from '../../src/git/environment.ts'
import { isRefName } from '../../src/git/refs.ts'
import { openRepository } from '../open-repository.ts'

let folder: string
let bare: string
/** One branch `main` of four commits, oldest first. */
let commits: string[]

const ENV = {
  ...process.env,
  GIT_AUTHOR_NAME: 'Dev',
  GIT_AUTHOR_EMAIL: 'dev@example.com',
  GIT_COMMITTER_NAME: 'Dev',
  GIT_COMMITTER_EMAIL: 'dev@example.com',
}
function git(...args: string[]): string {
  return execFileSync('git', ['--git-dir', bare, ...args], {
    encoding: 'utf8',
    env: ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}
function program(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'headgate-git-')))
  bare = join(folder, 'app.git')
  execFileSync('git', ['init', '-q', '--bare', '--initial-branch=main', bare])
  const tree = git('hash-object', '-t', 'tree', '-w', '/dev/null')
  commits = []
  for (let index = 0; index < 4; index++) {
    const parent = commits.at(-1)
    commits.push(
      git('commit-tree', '-m', `commit ${index}`, ...(parent === undefined ? [] : ['-p', parent]), tree),
    )
  }
  git('update-ref', 'refs/heads/main', commits[3]!)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('opening', () => {
  test('a bare repository starts no process', async () => {
    const repository = await openRepository(bare, { gitPath: program('no-git', 'exit 1') })
    expect(repository).toMatchObject({
      gitDirectory: bare,
      commonDirectory: bare,
      objectFormat: 'sha1',
      oidLength: 40,
    })
  })

  test('a working tree, a folder in it, its .git and a linked worktree lead to the same repository', async () => {
    const tree = join(folder, 'tree')
    execFileSync('git', ['clone', '-q', bare, tree], { env: ENV })
    execFileSync('git', ['-C', tree, 'worktree', 'add', '-q', '-b', 'other', join(folder, 'linked')], {
      env: ENV,
    })
    mkdirSync(join(tree, 'a', 'b'), { recursive: true })
    symlinkSync(tree, join(folder, 'link'))
    const gitDirectory = join(tree, '.git')
    for (const path of [tree, join(tree, 'a', 'b'), gitDirectory, join(folder, 'link')]) {
      expect(await openRepository(path)).toMatchObject({ gitDirectory, commonDirectory: gitDirectory })
    }
    const linked = join(gitDirectory, 'worktrees', 'linked')
    for (const path of [join(folder, 'linked'), linked]) {
      const repository = await openRepository(path)
      expect(repository).toMatchObject({ gitDirectory: linked, commonDirectory: gitDirectory })
      expect([...(await repository.refs(['refs/heads/other'])).keys()]).toEqual(['refs/heads/other'])
    }
  })

  test('a SHA-256 repository is known as one', async () => {
    const path = join(folder, 'sha256.git')
    execFileSync('git', ['init', '-q', '--bare', '--object-format=sha256', path])
    expect(await openRepository(path)).toMatchObject({ objectFormat: 'sha256', oidLength: 64 })
  })

  test.each([
    ['a folder without a repository', ''],
    ['a path that does not exist', 'nothing'],
  ])('%s is an error', async (_, name) => {
    await expect(openRepository(join(folder, name))).rejects.toMatchObject({ code: 'configuration' })
  })

  test.each(['git', '/nonexistent/git', '/dev/null', '/usr/bin'])(
    '%s is not a git to name',
    async (gitPath) => {
      await expect(openRepository(bare, { gitPath })).rejects.toMatchObject({ code: 'configuration' })
    },
  )

  test.runIf(process.getuid?.() === 0)('a repository of another user can be read and written', async () => {
    execFileSync('chown', ['-R', '65534', bare])
    const repository = await openRepository(bare)
    expect(await repository.isAncestor(commits[0]!, commits[3]!)).toBe(true)
    await repository.write(['update-ref', '--stdin'], { input: `create refs/heads/new ${commits[0]}\n` })
  })
})

describe('nothing from outside steers git', () => {
  test('the environment is built, not inherited', async () => {
    const before = { ...process.env }
    Object.assign(process.env, {
      GIT_DIR: '/elsewhere',
      GIT_NAMESPACE: 'x',
      GIT_CONFIG_GLOBAL: '/evil',
      NODE_OPTIONS: '',
      GIT_TRACE: '2',
      LD_PRELOAD: '',
    })
    try {
      const repository = await openRepository(bare, { gitPath: program('git', 'env; pwd') })
      const { stdout } = await repository.run(['anything'], { env: { EXTRA: 'yes' } })
      const lines = stdout
        .toString()
        .trim()
        .split('\n')
        .filter((line) => !/^(_|PWD|OLDPWD|SHLVL)=/.test(line))
      expect(lines.sort()).toEqual(
        [
          bare,
          'EXTRA=yes',
          'GIT_ATTR_NOSYSTEM=1',
          'GIT_COMMITTER_EMAIL=headgate@localhost',
          'GIT_COMMITTER_NAME=headgate',
          'GIT_CONFIG_GLOBAL=/dev/null',
          'GIT_CONFIG_NOSYSTEM=1',
          'GIT_CONFIG_SYSTEM=/dev/null',
          'GIT_GRAFT_FILE=/dev/null',
          'GIT_NO_LAZY_FETCH=1',
          'GIT_NO_REPLACE_OBJECTS=1',
          'GIT_OPTIONAL_LOCKS=0',
          'GIT_SHALLOW_FILE=',
          'GIT_TERMINAL_PROMPT=0',
          'HOME=/nonexistent',
          'LC_ALL=C',
          `PATH=${folder}:/usr/bin:/bin`,
          'TZ=UTC',
          'XDG_CONFIG_HOME=/nonexistent',
        ].sort(),
      )
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
      Object.assign(process.env, before)
    }
  })

  test('the repository has no hook, signature program or monitor that git would start', async () => {
    const marker = join(folder, 'ran')
    const spy = program('spy', `touch ${marker}; exit 1`)
    mkdirSync(join(folder, 'hooks'))
    symlinkSync(spy, join(folder, 'hooks', 'reference-transaction'))
    git('config', 'core.hooksPath', join(folder, 'hooks'))
    git('config', 'core.fsmonitor', spy)
    git('config', 'gpg.program', spy)
    git('config', 'log.showSignature', 'true')
    const signed = `${git('cat-file', 'commit', commits[3]!).replace('\n\n', '\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n')}\n`
    const oid = execFileSync('git', ['--git-dir', bare, 'hash-object', '-t', 'commit', '-w', '--stdin'], {
      input: signed,
      encoding: 'utf8',
    }).trim()
    const repository = await openRepository(bare)
    await repository.write(['update-ref', '--stdin'], { input: `create refs/heads/new ${oid}\n` })
    await repository.run(['log', '-1', oid])
    expect(readdirSync(folder)).not.toContain('ran')
  })

  test('replace refs, grafts and shallow files do not change ancestry', async () => {
    const [first = '', second = '', third = '', fourth = ''] = commits
    const stranger = git('commit-tree', '-m', 'stranger', `${first}^{tree}`)
    git('replace', third, stranger)
    mkdirSync(join(bare, 'info'), { recursive: true })
    writeFileSync(join(bare, 'info', 'grafts'), `${fourth} ${stranger}\n`)
    writeFileSync(join(bare, 'shallow'), `${second}\n`)
    // What git itself makes of that:
    expect(git('rev-list', fourth)).toBe(`${fourth}\n${stranger}`)
    const repository = await openRepository(bare)
    expect(await repository.isAncestor(first, fourth)).toBe(true)
    expect(await repository.isAncestor(stranger, fourth)).toBe(false)
    expect(await repository.isAncestor(fourth, first)).toBe(false)
    expect((await repository.objects().read(third))?.body.toString()).toContain('commit 2')
    repository.close()
  })
})

describe('isAncestor', () => {
  test('a commit contains itself', async () => {
    expect(await (await openRepository(bare)).isAncestor(commits[1]!, commits[1]!)).toBe(true)
  })

  test('an id that is not a whole one, or not of a commit here, is an error', async () => {
    const repository = await openRepository(bare)
    for (const oid of [
      'main',
      'HEAD',
      commits[0]!.slice(0, 12),
      `${commits[0]}^`,
      commits[0]!.toUpperCase(),
      '0'.repeat(64),
    ]) {
      await expect(repository.isAncestor(oid, commits[3]!)).rejects.toMatchObject({ code: 'data' })
      await expect(repository.isAncestor(commits[3]!, oid)).rejects.toMatchObject({ code: 'data' })
    }
    for (const oid of ['1'.repeat(40), git('rev-parse', `${commits[0]}^{tree}`)]) {
      await expect(repository.isAncestor(oid, commits[3]!)).rejects.toMatchObject({ code: 'unavailable' })
      await expect(repository.isAncestor(oid, oid)).rejects.toMatchObject({ code: 'unavailable' })
    }
  })

  test('a history with a hole in it is an error and not "no"', async () => {
    const [first = '', second = '', , fourth = ''] = commits
    const stranger = git('commit-tree', '-m', 'stranger', `${first}^{tree}`)
    rmSync(join(bare, 'objects', second.slice(0, 2), second.slice(2)))
    const repository = await openRepository(bare)
    await expect(repository.isAncestor(stranger, fourth)).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('refs', () => {
  const refs = async (...names: string[]) =>
    Object.fromEntries(await (await openRepository(bare)).refs(names))

  test('loose and packed refs are found, those that are missing are not', async () => {
    git('update-ref', 'refs/heads/release', commits[0]!)
    git('pack-refs', '--all')
    git('update-ref', 'refs/heads/release', commits[1]!)
    git('tag', '-a', '-m', 'x', 'v1', commits[2]!)
    git('pack-refs', '--all')
    git('update-ref', 'refs/heads/release', commits[2]!)
    git('update-ref', 'refs/heads/old', commits[0]!)
    git('update-ref', '-d', 'refs/heads/old')
    expect(
      await refs(
        'refs/heads/main',
        'refs/heads/release',
        'refs/heads/old',
        'refs/tags/v1',
        'refs/heads/main',
      ),
    ).toEqual({
      'refs/heads/main': { oid: commits[3] },
      'refs/heads/release': { oid: commits[2] },
      'refs/tags/v1': { oid: git('rev-parse', 'v1') },
    })
    expect(await refs()).toEqual({})
  })

  test('names are taken literally: no guessing, no patterns, no paths', async () => {
    for (const name of [
      'refs/heads/main/../x',
      'refs/heads/ma',
      'refs/heads',
      'refs/heads/',
      'refs/heads/mai?',
      'refs/heads/*',
      'refs/heads/[m]ain',
      '*',
      'main',
      'heads/main',
      'HEAD',
      '',
      'refs/heads/main\n',
      'refs//heads/main',
      'refs/heads/main ',
      'refs/heads/main^',
      'refs/../HEAD',
      '/etc/passwd',
      'refs/heads/main.lock',
      '--all',
      'refs/heads/main\u0000',
      'refs/heads/\ud800',
    ]) {
      expect(await refs(name), name).toEqual({})
    }
    // A branch that git's own rules for short names would take for refs/heads/release.
    git('update-ref', 'refs/heads/refs/heads/release', commits[0]!)
    git('update-ref', 'refs/heads/main-too', commits[0]!)
    git('pack-refs', '--all')
    expect(await refs('refs/heads/release', 'refs/heads/main')).toEqual({
      'refs/heads/main': { oid: commits[3] },
    })
  })

  test('a ref below a name is not the name', async () => {
    git('update-ref', 'refs/heads/topic/one', commits[0]!)
    expect(await refs('refs/heads/topic', 'refs/heads/topic/one/two')).toEqual({})
  })

  test('a symbolic ref tells its target, also one that is not born yet', async () => {
    git('symbolic-ref', 'refs/heads/alias', 'refs/heads/main')
    git('symbolic-ref', 'refs/heads/alias-of-alias', 'refs/heads/alias')
    git('symbolic-ref', 'refs/heads/unborn', 'refs/heads/release')
    const zeros = '0'.repeat(40)
    const all = ['refs/heads/alias', 'refs/heads/alias-of-alias', 'refs/heads/unborn']
    expect(await refs(...all)).toEqual({
      'refs/heads/alias': { oid: commits[3], symref: 'refs/heads/main' },
      'refs/heads/alias-of-alias': { oid: commits[3], symref: 'refs/heads/main' },
      'refs/heads/unborn': { oid: zeros, symref: 'refs/heads/release' },
    })
    git('pack-refs', '--all')
    expect((await refs('refs/heads/alias'))['refs/heads/alias']?.oid).toBe(commits[3])
  })

  test.each(['garbage\n', '', `${'0'.repeat(40)}\n`, 'a'.repeat(39), `${'a'.repeat(64)}x\n`])(
    'a broken ref (%j) is an error and not a missing one',
    async (content) => {
      writeFileSync(join(bare, 'refs', 'heads', 'release'), content)
      await expect(refs('refs/heads/main', 'refs/heads/release')).rejects.toMatchObject({
        name: 'HeadgateError',
      })
    },
  )

  test('a ref that is broken is an error, and keeps nobody from those whose names it begins with', async () => {
    writeFileSync(join(bare, 'refs/heads/main-2'), '')
    mkdirSync(join(bare, 'refs/heads/main.d'))
    writeFileSync(join(bare, 'refs/heads/main.d/x'), 'no id\n')
    expect(await refs('refs/heads/main')).toEqual({ 'refs/heads/main': { oid: commits[3] } })
    for (const broken of ['refs/heads/main-2', 'refs/heads/main.d/x'])
      await expect(refs('refs/heads/main', broken), broken).rejects.toMatchObject({ name: 'HeadgateError' })
  })

  test('a symbolic ref that leads round in a circle is an error', async () => {
    writeFileSync(join(bare, 'refs', 'heads', 'a'), 'ref: refs/heads/b\n')
    writeFileSync(join(bare, 'refs', 'heads', 'b'), 'ref: refs/heads/a\n')
    await expect(refs('refs/heads/a')).rejects.toMatchObject({ name: 'HeadgateError' })
  })

  test('names beyond ASCII, and twenty thousand refs below another', async () => {
    const many = Array.from(
      { length: 20_000 },
      (_, index) => `create refs/heads/topic/a-rather-long-name-${index} ${commits[0]}\n`,
    )
    execFileSync('git', ['--git-dir', bare, 'update-ref', '--stdin'], {
      input: `${many.join('')}create refs/heads/zürich ${commits[1]}\n`,
    })
    expect((await refs('refs/heads/zürich'))['refs/heads/zürich']?.oid).toBe(commits[1])
    git('pack-refs', '--all', '--prune')
    expect(await refs('refs/heads/zürich', 'refs/heads/main')).toEqual({
      'refs/heads/zürich': { oid: commits[1] },
      'refs/heads/main': { oid: commits[3] },
    })
  })
})

test('names that git refuses are those that headgate never looks up', () => {
  const names = [
    'refs/heads/a',
    'refs/heads/a.b',
    'refs/heads/a..b',
    'refs/heads/.a',
    'refs/heads/a.',
    'refs/heads/a/',
    'refs/a',
    'refs/heads/a@b',
    'refs/heads/a@{b',
    'refs/heads/@',
    'refs/heads/a~',
    'refs/heads/a:b',
    'refs/heads/a\\b',
    'refs/heads/a b',
    'refs/heads/a\u007f',
    'refs/heads/ä',
    'refs/heads/a.lock',
    'refs/heads/a.lock/b',
    'refs/heads/{a}',
    "refs/heads/a'b",
    'refs/heads/-a',
  ]
  for (const name of names) {
    const accepted = (() => {
      try {
        execFileSync('git', ['check-ref-format', name])
        return true
      } catch {
        return false
      }
    })()
    expect(isRefName(name), name).toBe(accepted)
  }
})

describe('running git', () => {
  const open = (script: string) => openRepository(bare, { gitPath: program('fake-git', script) })

  test('a failure names the command and what git said, in one printable line', async () => {
    const repository = await open('printf "fatal: \\033[31mno\\nsuch thing\\n" >&2; exit 128')
    await expect(repository.run(['rev-list', 'x'])).rejects.toMatchObject({
      code: 'unavailable',
      message: 'git rev-list failed with exit code 128: fatal: \\x1b[31mno; such thing',
    })
    expect(await repository.run(['x'], { allowExit: [128] })).toMatchObject({ exitCode: 128 })
  })

  test('a process that takes too long is ended', async () => {
    const repository = await open('exec sleep 60')
    const started = Date.now()
    await expect(repository.run(['gc'], { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'git gc took longer than 200 ms',
    })
    expect(Date.now() - started).toBeLessThan(30_000)
  })

  test('a process that prints too much is ended', async () => {
    const repository = await open('exec yes')
    await expect(repository.run(['log'], { maxOutputBytes: 100_000 })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'git log printed more than 100000 bytes',
    })
    await expect((await open('exec yes >&2')).run(['log'], { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })

  test('a process that is killed is a failure', async () => {
    await expect((await open('kill -9 $$')).run(['log'])).rejects.toMatchObject({
      message: 'git log was killed by SIGKILL',
    })
  })

  test('a process that does not read its input is no failure', async () => {
    const { stdout } = await (await open('echo done')).run(['x'], { input: Buffer.alloc(1024 * 1024) })
    expect(stdout.toString()).toBe('done\n')
  })

  test('input may come later; if it never does, nothing was read', async () => {
    const repository = await open(`cat > ${join(folder, 'read')}; echo "$(cat ${join(folder, 'read')})"`)
    const later = new Promise<string>((resolve) => setTimeout(() => resolve('hello'), 50))
    expect((await repository.run(['x'], { input: later })).stdout.toString()).toBe('hello\n')
    await expect(repository.run(['x'], { input: Promise.reject(new Error('no input')) })).rejects.toThrow(
      'no input',
    )
  })

  test('a stream is read at the pace of its reader, and ends early without an error', async () => {
    let size = 0
    for await (const chunk of (await open('exec yes')).stream(['log'])) {
      size += chunk.length
      if (size > 1_000_000) break
    }
    expect(size).toBeLessThan(2_000_000)
  })

  test('a stream whose process fails, fails', async () => {
    const read = async (script: string) => {
      for await (const _ of (await open(script)).stream(['log']));
    }
    await expect(read('echo one; echo fatal: two >&2; exit 128')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'git log failed with exit code 128: fatal: two',
    })
    await expect(read('echo one; kill -9 $$')).rejects.toMatchObject({ code: 'unavailable' })
    const repository = await open('echo')
    rmSync(join(folder, 'fake-git'))
    await expect(repository.run(['log'])).rejects.toMatchObject({
      code: 'unavailable',
      message: 'git log could not be started (ENOENT)',
    })
    const stream = async () => {
      for await (const _ of repository.stream(['log']));
    }
    await expect(stream()).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('quarantine', () => {
  const quarantine = () => join(bare, 'objects', 'tmp_objdir-incoming-Ab12cD')
  function hashObject(text: string): string {
    return execFileSync('git', ['--git-dir', bare, 'hash-object', '-w', '--stdin'], {
      input: text,
      encoding: 'utf8',
      env: { ...process.env, GIT_OBJECT_DIRECTORY: quarantine() },
    }).trim()
  }
  beforeEach(() => mkdirSync(quarantine()))

  test('its objects are read, and nothing is written into it', async () => {
    const oid = hashObject('pushed')
    expect(await (await openRepository(bare)).objects().read(oid)).toBeNull()
    const repository = await openRepository(bare, {
      quarantinePath: `${bare}/./objects/tmp_objdir-incoming-Ab12cD`,
    })
    expect((await repository.objects().read(oid))?.body.toString()).toBe('pushed')
    expect((await repository.objects().info(commits[0]!))?.type).toBe('commit')
    expect(await repository.isAncestor(commits[0]!, commits[3]!)).toBe(true)
    const before = readdirSync(quarantine()).sort()
    const written = await repository.write(['hash-object', '-w', '--stdin'], { input: 'ours' })
    expect(readdirSync(quarantine()).sort()).toEqual(before)
    rmSync(quarantine(), { recursive: true })
    expect(
      (await (await openRepository(bare)).objects().read(written.stdout.toString().trim()))?.body.toString(),
    ).toBe('ours')
    repository.close()
  })

  test('a path with characters that separate lists works', async () => {
    const odd = join(folder, 'a:b "c" \\d;.git')
    execFileSync('cp', ['-r', bare, odd])
    const repository = await openRepository(odd, {
      quarantinePath: join(odd, 'objects', 'tmp_objdir-incoming-Ab12cD'),
    })
    expect((await repository.objects().info(commits[0]!))?.type).toBe('commit')
    repository.close()
  })

  test('only a folder that receive-pack could have made is one', async () => {
    const objects = join(bare, 'objects')
    expect(verifyQuarantine(quarantine(), objects)).toBe(quarantine())
    mkdirSync(join(objects, 'incoming-x1'))
    expect(verifyQuarantine(join(objects, 'incoming-x1'), objects)).toBe(join(objects, 'incoming-x1'))
    const outside = join(folder, 'tmp_objdir-incoming-Ab12cD')
    mkdirSync(outside)
    symlinkSync(outside, join(objects, 'tmp_objdir-incoming-link'))
    mkdirSync(join(objects, 'pack', 'tmp_objdir-incoming-Ab12cD'))
    writeFileSync(join(objects, 'tmp_objdir-incoming-file'), '')
    for (const path of [
      outside,
      join(objects, 'tmp_objdir-incoming-link'),
      join(objects, 'pack', 'tmp_objdir-incoming-Ab12cD'),
      join(objects, 'tmp_objdir-incoming-file'),
      join(objects, 'tmp_objdir-incoming-none'),
      join(objects, 'pack'),
      objects,
      '',
      `${quarantine()}/..`,
      `${quarantine()}\n`,
    ]) {
      expect(verifyQuarantine(path, objects), path).toBeNull()
      await expect(openRepository(bare, { quarantinePath: path })).rejects.toMatchObject({
        code: 'configuration',
      })
    }
    chmodSync(join(objects, 'incoming-x1'), 0o700)
  })
})
