import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { installAndApply } from '../../server/install/admin.ts'
import { requireUsableSource } from '../../server/install/identity-source.ts'
import { findGit } from '../../src/git/find-git.ts'
import { POLICY, PROGRAM, type Ran, TestRepository, unwrapped } from '../make-repository.ts'

const UNUSUAL =
  'remark: no host sets TEST_PUSHER by itself: where your sshd or web server does not either, nobody can promote\n'
const HOOKS = ['pre-receive', 'reference-transaction', 'post-receive'] as const

function unguarded(options: { objectFormat?: 'sha1' | 'sha256'; policy?: string } = {}): TestRepository {
  const repository = new TestRepository({ ...options, install: false })
  onTestFinished(() => repository.remove())
  return repository
}

function install(repository: TestRepository, ...args: string[]): Ran {
  return repository.headgate('server', 'install', repository.bare, '--identity', 'env:TEST_PUSHER', ...args)
}

/** What `server install` leaves, which is under test here as well: a copy of what it left once. */
function installed(options: { objectFormat?: 'sha1' | 'sha256'; policy?: string } = {}): TestRepository {
  const repository = new TestRepository(options)
  onTestFinished(() => repository.remove())
  return repository
}

/** Every file of a folder with what is in it, for "nothing was written". */
function snapshot(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return Object.fromEntries(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path, 'latin1')]),
  )
}

/** What every test of a guarded repository comes down to: an unproved commit does not get onto release. */
function expectGuarded(repository: TestRepository, push: (refspec: string) => Ran): void {
  repository.commit(`unproved ${Math.random()}`)
  const before = repository.ref('refs/heads/release')
  const ran = push('HEAD:refs/heads/release')
  expect(ran.all).toContain('headgate: push refused')
  expect(ran.code).toBe(1)
  expect(repository.ref('refs/heads/release')).toBe(before)
}

function script(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
}

const isRoot = process.getuid?.() === 0

describe('server install', () => {
  test('says what it did: the settings it changed, the policy in force, the baseline it found', () => {
    const repository = unguarded()
    const tip = repository.git('rev-parse', 'HEAD')
    repository.git('push', '-q', 'origin', 'main:release')

    const ran = install(repository, '--policy', repository.policyFolder)

    expect(ran.stderr).toBe(UNUSUAL)
    expect(ran.stdout).toBe(
      `headgate is installed in ${repository.bare}; pushers are known by env:TEST_PUSHER
  set core.hooksPath=${repository.bare}/hooks
  set receive.denyNonFastForwards=false
  set receive.advertisePushOptions=true
  set core.fsync=committed,loose-object,reference
  set receive.certNonceSlop=300
  set reftable.lockTimeout=10000
  set uploadpack.allowFilter=true
  set receive.certNonceSeed=(random)
  set receive.hideRefs=refs/headgate/ledger
policy version 1 is in force now, from ${repository.policyFolder}: release follows main, enforce
  release at ${tip.slice(0, 7)} is recorded as the baseline
`,
    )
    expect(ran.code).toBe(0)
    expect(repository.ledgerSubjects()).toEqual([
      expect.stringMatching(/^policy version 1 applied, by admin /),
      expect.stringMatching(new RegExp(`^bootstrap ${tip.slice(0, 7)} authorized on release, by admin `)),
      expect.stringMatching(new RegExp(`^bootstrap ${tip.slice(0, 7)} landed, by admin `)),
    ])
    expect(statSync(join(repository.bare, 'headgate', 'seal-key.pem')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(repository.bare, 'headgate', 'seal-key.pub'), 'utf8')).toMatch(
      /^ssh-ed25519 AAAA/,
    )
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('a release branch that is a symbolic ref is refused before anything is written', () => {
    const repository = unguarded()
    repository.server('symbolic-ref', 'refs/heads/release', 'refs/heads/trunk')
    repository.git('push', '-q', 'origin', 'main:trunk')
    const before = readFileSync(join(repository.bare, 'config'), 'utf8')

    const ran = install(repository, '--policy', repository.policyFolder)

    expect(ran.code).toBe(78)
    expect(ran.stderr).toContain('refs/heads/release is a symbolic ref to refs/heads/trunk')
    expect(existsSync(join(repository.bare, 'headgate'))).toBe(false)
    expect(readFileSync(join(repository.bare, 'config'), 'utf8')).toBe(before)
    // The commands of the message.
    const [, command = ''] = /make it a branch: (.*)/.exec(ran.stderr) ?? []
    repository.mustRun(repository.run('sh', ['-c', command]))
    repository.mustRun(install(repository, '--policy', repository.policyFolder))
  })

  test('takes the policy from .headgate/ at the tip of main', () => {
    const repository = unguarded()
    cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
    const tip = repository.commit('policy', {})
    repository.git('push', '-q', 'origin', 'main')

    const ran = install(repository)

    expect(ran.stdout).toContain(
      `policy version 1 is in force now, from .headgate/ at the tip of main (${tip.slice(0, 7)}): release follows main, enforce\n`,
    )
    expect(repository.server('cat-file', '-p', 'refs/headgate/ledger:policy.yaml')).toBe(POLICY.trimEnd())
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('takes the policy from the branch of HEAD where there is no main', () => {
    const repository = unguarded({ policy: POLICY.replace('staging: main', 'staging: trunk') })
    cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
    repository.commit('policy', {})
    repository.git('push', '-q', 'origin', 'HEAD:refs/heads/trunk')
    repository.server('symbolic-ref', 'HEAD', 'refs/heads/trunk')
    repository.server('update-ref', '-d', 'refs/heads/main')

    expect(install(repository).stdout).toContain('.headgate/ at the tip of trunk (')
  })

  test('refuses half a policy at the tip of main, and writes nothing', () => {
    const repository = unguarded()
    const tip = repository.commit('half', { '.headgate/policy.yaml': POLICY })
    repository.git('push', '-q', 'origin', 'main')
    const before = snapshot(repository.bare)

    const ran = install(repository)

    expect(ran.stderr).toBe(
      `headgate: allowed_signers is missing in .headgate/ at the tip of main (${tip.slice(0, 7)})\n` +
        '  hint: both files belong together: policy.yaml and allowed_signers\n',
    )
    expect(ran.code).toBe(78)
    expect(snapshot(repository.bare)).toEqual(before)
  })

  test('guards nothing but its own refs without any policy, and says so', () => {
    const repository = unguarded()

    const ran = install(repository)

    expect(ran.code).toBe(0)
    expect(ran.stderr).toBe(
      `${UNUSUAL}No policy is in force yet, so nothing is guarded but refs/headgate/. Next:\n  headgate policy apply ${repository.bare} DIR\n`,
    )
    expect(repository.push('HEAD:refs/heads/release').code).toBe(0)
    const reserved = repository.push('HEAD:refs/headgate/ledger')
    expect(reserved.all).toContain('[reserved]')
    expect(reserved.code).toBe(1)
    const inbox = repository.submit('{}')
    expect(inbox.all).toContain('no policy is in force here, so no key is trusted yet')
    expect(inbox.code).toBe(1)
    expect(repository.server('for-each-ref', 'refs/headgate')).toBe('')
    const local = repository.run('git', ['update-ref', 'refs/headgate/ledger', 'HEAD'], {
      cwd: repository.bare,
    })
    expect(local.all).toContain('refs/headgate/ledger is written by headgate alone')
    expect(local.code).not.toBe(0)

    const shown = repository.headgate('policy', 'show', repository.bare)
    expect(shown.stderr).toContain('headgate: no policy is in force')
    expect(shown.code).toBe(78)

    expect(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder).code).toBe(0)
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('changes nothing when it is run again', () => {
    const repository = installed()
    const before = snapshot(repository.bare)

    const ran = install(repository, '--policy', repository.policyFolder)

    expect(ran.stdout).toBe(
      `headgate is installed in ${repository.bare}; pushers are known by env:TEST_PUSHER
policy version 1 is in force already; nothing changed
`,
    )
    expect(snapshot(repository.bare)).toEqual(before)
  })

  test('run again it restores a file that is missing, and no policy need be named', () => {
    const repository = installed()
    const before = snapshot(repository.bare)
    for (const file of [
      'hooks/pre-receive',
      'hooks/reference-transaction',
      'headgate/guarded',
      'headgate/server.json',
    ]) {
      rmSync(join(repository.bare, file))

      expect(install(repository).code, file).toBe(0)

      // Every byte of a repository that is guarded.
      expect(snapshot(repository.bare), file).toEqual(before)
    }
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('completes an installation that ended after the seal key', () => {
    const repository = unguarded()
    install(repository)
    for (const name of HOOKS) rmSync(join(repository.bare, 'hooks', name))
    rmSync(join(repository.bare, 'headgate', 'seal-key.pub'))
    rmSync(join(repository.bare, 'headgate', 'server.json'))
    const key = readFileSync(join(repository.bare, 'headgate', 'seal-key.pem'), 'utf8')

    repository.install()

    expect(readFileSync(join(repository.bare, 'headgate', 'seal-key.pem'), 'utf8')).toBe(key)
    expect(readFileSync(join(repository.bare, 'headgate', 'seal-key.pub'), 'utf8')).toMatch(/^ssh-ed25519 /)
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('a repository that is made from a guarded one as a template has no seal key', () => {
    const repository = installed()
    const isKey = (path: string) =>
      lstatSync(path).isFile() && readFileSync(path, 'latin1').includes('PRIVATE KEY')
    const keysIn = (folder: string) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => join(folder, name))
        .filter(isKey)
    const copy = (name: string) => {
      const made = join(repository.folder, name)
      repository.mustRun(
        repository.run('git', ['init', '-q', '--bare', `--template=${repository.bare}`, made]),
      )
      return keysIn(made)
    }
    expect(copy('from-new.git')).toEqual([])

    // As versions before left it.
    const key = join(repository.bare, 'headgate', 'seal-key.pem')
    const text = readFileSync(key, 'utf8')
    for (const path of keysIn(repository.bare)) rmSync(path)
    rmSync(key)
    writeFileSync(key, text, { mode: 0o600 })
    expect(copy('from-old.git')).toHaveLength(1)
    const doctor = repository.headgate('doctor', repository.bare)
    expect(unwrapped(doctor.stdout)).toContain(
      'git copies the seal key into each repository that is made from this one',
    )
    repository.headgate('doctor', repository.bare, '--fix')
    expect(copy('from-mended.git')).toEqual([])
    expect(readFileSync(key, 'utf8')).toBe(text)
    expect(statSync(key).mode & 0o777).toBe(0o600)
  })

  test('takes the identity source of the last installation', () => {
    const repository = installed()
    repository.install('env:OTHER_PUSHER')
    const commit = repository.commit('next')
    repository.push('main')
    repository.prove(commit)

    const ran = repository.push(`${commit}:refs/heads/release`)
    expect(ran.all).toContain('[operator]')
    expect(repository.push(`${commit}:refs/heads/release`, { env: { OTHER_PUSHER: 'bob' } }).code).toBe(0)
  })

  test('refuses an identity source that it does not know, and writes nothing', () => {
    const repository = unguarded()
    const before = snapshot(repository.bare)
    const ran = repository.headgate('server', 'install', repository.bare, '--identity', 'env:remote user')
    expect(ran.stderr).toBe(
      'headgate: identity source "env:remote user" is not one that headgate knows\n' +
        '  hint: use env:NAME (env:REMOTE_USER for smart HTTP, env:GL_USER for Gitolite, env:USER for separate accounts with git-shell), ssh-auth-info (the key that logged in) or push-cert\n',
    )
    expect(ran.code).toBe(64)
    expect(snapshot(repository.bare)).toEqual(before)
  })

  test('guards a SHA-256 repository', () => {
    const repository = installed({ objectFormat: 'sha256' })
    repository.release('proved')
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('guards a group-shared repository with a seal key that the group can read', () => {
    const repository = unguarded()
    repository.server('config', 'core.sharedRepository', 'group')
    repository.install()
    expect(statSync(join(repository.bare, 'headgate', 'seal-key.pem')).mode & 0o777).toBe(0o640)
  })

  test('an identity source is kept where none is named, and a wrong one is refused or remarked on', () => {
    const repository = unguarded()
    const install = (...args: string[]) => repository.headgate('server', 'install', repository.bare, ...args)
    expect(install()).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('nobody has said yet how pushers are known'),
    })
    for (const nobody of ['HOME', 'SSH_CONNECTION', 'REMOTE_ADDR', 'GIT_DIR'])
      expect(() => requireUsableSource(`env:${nobody}`)).toThrow(`${nobody} does not say who pushes`)
    const home = install('--identity', 'env:HOME')
    expect(home.stderr).toContain('headgate: HOME does not say who pushes\n')
    expect(home.code).toBe(64)
    expect(existsSync(join(repository.bare, 'headgate'))).toBe(false)

    const unknown = install('--identity', 'env:NOPE')
    expect(unknown.stderr).toContain('remark: no host sets NOPE by itself')
    expect(unknown.code).toBe(0)
    const known = install('--identity', 'env:REMOTE_USER')
    expect(known.stderr).not.toContain('no host sets')

    const again = install()
    expect(again.code).toBe(0)
    expect(again.stdout).toContain('pushers are known by env:REMOTE_USER\n')
    const settings = readFileSync(join(repository.bare, 'headgate', 'server.json'), 'utf8')
    expect(JSON.parse(settings).identity).toBe('env:REMOTE_USER')
  })

  test('a Node that is too old is not put into hooks, and one that is there refuses with a clear line', () => {
    const repository = installed()
    const old = join(repository.folder, 'node-20')
    const asOld = join(repository.folder, 'as-old.cjs')
    writeFileSync(asOld, "Object.defineProperty(process, 'version', { value: 'v20.19.0' })\n")
    script(
      old,
      `test "$1" = --version && { echo v20.19.0; exit; }\nexec '${process.execPath}' --require '${asOld}' "$@"`,
    )
    const complaint = 'is Node 20.19.0, and headgate needs 24 or newer'
    const hook = join(repository.bare, 'hooks', 'pre-receive')
    const before = readFileSync(hook, 'utf8')
    for (const args of [
      ['server', 'install', repository.bare],
      ['doctor', repository.bare, '--fix'],
    ]) {
      const ran = repository.run(old, [PROGRAM, ...args])
      expect(ran.stderr).toContain(complaint)
      expect(ran.code).toBe(78)
    }
    expect(readFileSync(hook, 'utf8')).toBe(before)

    for (const name of HOOKS) {
      const file = join(repository.bare, 'hooks', name)
      writeFileSync(file, readFileSync(file, 'utf8').replace(`NODE='${process.execPath}'`, `NODE='${old}'`))
    }
    repository.commit('next', { 'docs/RELEASE_LOG.md': 'to be judged\n' })
    const pushed = repository.push('main')
    expect(pushed.all).toContain(complaint)
    expect(pushed.all).toContain('the server admin installs again with a newer one: headgate server install')
    expect(pushed.code).toBe(1)
    const doctor = repository.headgate('doctor', repository.bare)
    expect(unwrapped(doctor.stdout)).toContain(`the pre-receive hook cannot decide: ${old} ${complaint}`)
    repository.headgate('doctor', repository.bare, '--fix')
    repository.mustRun(repository.push('main'))
  })

  test('remarks on a name that is a header of the client', () => {
    const repository = unguarded()
    const ran = repository.headgate(
      ...['server', 'install', repository.bare, '--identity', 'env:HTTP_X_USER', '--policy'],
      repository.policyFolder,
    )
    expect(ran.stderr).toBe(
      'remark: HTTP_X_USER is a header of the request: anybody can push in any name, unless a proxy in front always sets it\n',
    )
    expect(ran.code).toBe(0)
  })

  test('remarks where hooks of the whole machine or account end', () => {
    const repository = unguarded()
    repository.run('git', ['config', '--global', 'core.hooksPath', '/srv/all hooks'])
    expect(install(repository, '--policy', repository.policyFolder).stderr).toBe(
      `${UNUSUAL}remark: core.hooksPath of the global configuration, /srv/all hooks, does not count here: hooks in that folder do not run\n`,
    )
  })

  test('prints JSON on request', () => {
    const repository = unguarded()
    const ran = install(repository, '--policy', repository.policyFolder, '--json')
    expect(ran.stderr).toBe('')
    expect(JSON.parse(ran.stdout)).toMatchObject({
      repository: repository.bare,
      kept: [],
      policy: { version: 1, changed: true, baseline: null, release: 'release', staging: 'main' },
    })
  })
})

test('a lock that somebody left, and a damaged key, are said with the way out', () => {
  const repository = unguarded()
  const lock = join(repository.bare, 'config.lock')
  writeFileSync(lock, '')
  const locked = install(repository, '--policy', repository.policyFolder)
  expect(locked.stderr).toMatch(
    /^headgate: git could not write .+\/config: .+\n {2}hint: .+ remove .+\/config\.lock, .+\n$/,
  )
  expect(locked.code).toBe(69)
  rmSync(lock)
  repository.install()

  const key = join(repository.bare, 'headgate', 'seal-key.pem')
  writeFileSync(key, 'damaged')
  const damaged = install(repository)
  expect(damaged.stderr).toBe(
    `headgate: the seal key ${key} is damaged\n` +
      '  hint: restore it from a backup; or remove it, and headgate server install makes a new one\n',
  )
  expect(damaged.code).toBe(78)
  expect(readFileSync(key, 'utf8')).toBe('damaged')
  expectGuarded(repository, (refspec) => {
    const ran = repository.push(refspec)
    return { ...ran, all: ran.all.replace('no decision can be made', 'headgate: push refused') }
  })
  rmSync(key)
  repository.install()
  expectGuarded(repository, (refspec) => repository.push(refspec))
})

describe('a repository that cannot be guarded is refused, and nothing is written', () => {
  const cases: [string, (repository: TestRepository) => [path: string, message: string, hint?: string]][] = [
    [
      'a missing path',
      ({ folder }) => [join(folder, 'none.git'), `${join(folder, 'none.git')} is not a git repository`],
    ],
    [
      'a path with a line break',
      ({ bare, folder }) => {
        const broken = join(folder, 'new\nline.git')
        renameSync(bare, broken)
        return [broken, `${folder}/new\\x0aline.git has a line break in its path`]
      },
    ],
    [
      'a folder that is none',
      ({ folder }) => [join(folder, 'policy'), `${join(folder, 'policy')} is not a git repository`],
    ],
    [
      'a clone with a working tree',
      ({ clone }) => [
        clone,
        `${clone} has a working tree, and headgate guards bare repositories`,
        'name the bare repository that people push to; git clone --bare makes one',
      ],
    ],
    [
      "a clone's .git",
      ({ clone }) => [
        join(clone, '.git'),
        `${join(clone, '.git')} has a working tree, and headgate guards bare repositories`,
      ],
    ],
    [
      'a folder in a clone',
      ({ clone }) => {
        mkdirSync(join(clone, 'sub'))
        return [
          join(clone, 'sub'),
          `${join(clone, 'sub')} is not a git repository, only a folder inside of one`,
        ]
      },
    ],
    [
      'a folder in the bare repository',
      ({ bare }) => [join(bare, 'hooks'), `${join(bare, 'hooks')} is not the repository itself`],
    ],
    [
      'hooks in another folder',
      (repository) => {
        repository.server('config', 'core.hooksPath', '/srv/hooks')
        return [
          repository.bare,
          'core.hooksPath is /srv/hooks there, and the hooks in that folder would no longer run',
          `move them to ${repository.bare}/hooks, then: git --git-dir=${repository.bare} config --unset-all core.hooksPath`,
        ]
      },
    ],
    [
      'a hooks folder that is a link',
      ({ bare, folder }) => {
        renameSync(join(bare, 'hooks'), join(folder, 'all-hooks'))
        symlinkSync(join(folder, 'all-hooks'), join(bare, 'hooks'))
        return [bare, `${bare}/hooks is a symbolic link`]
      },
    ],
  ]
  /** Of these the whole answer of the program is compared; of the others, what it is made of. */
  const PRINTED = ['a path with a line break', 'a clone with a working tree']
  test.each(cases)('%s', async (name, prepare) => {
    const repository = unguarded()
    const [path, message, hint] = prepare(repository)
    const before = snapshot(repository.folder)

    if (PRINTED.includes(name)) {
      const ran = repository.headgate('server', 'install', path, '--identity', 'env:TEST_PUSHER')
      const [first, second, ...rest] = ran.stderr.split('\n')
      expect(first).toBe(`headgate: ${message}`)
      expect(second).toMatch(/^ {2}hint: /)
      if (hint !== undefined) expect(second).toBe(`  hint: ${hint}`)
      expect(rest).toEqual([''])
      expect(ran.stdout).toBe('')
      expect(ran.code).toBe(78)
    } else {
      const gitPath = findGit(repository.env)
      await expect(installAndApply({ path, gitPath, named: 'env:TEST_PUSHER' })).rejects.toMatchObject({
        code: 'configuration',
        message,
        hint: hint ?? expect.stringMatching(/./),
      })
    }
    expect(snapshot(repository.folder)).toEqual(before)
  })

  test("an existing hook beside a kept one: neither is anybody's to overwrite", () => {
    const repository = unguarded()
    for (const name of ['pre-receive', 'pre-receive.kept-by-headgate'])
      script(join(repository.bare, 'hooks', name), 'exit 0')
    const ran = install(repository)
    expect(ran.stderr).toContain("is not headgate's, and")
    expect(ran.stderr).toContain('hint: make one hook of the two, remove the other, and install again')
    expect(ran.code).toBe(78)
  })

  test.runIf(isRoot)('one that belongs to another account', () => {
    const repository = unguarded()
    chownSync(repository.bare, 1, 1)
    const ran = install(repository)
    expect(ran.stderr).toBe(
      `headgate: ${repository.bare} belongs to daemon, and you are somebody else\n  hint: run it as the owner: sudo -u daemon headgate ...\n`,
    )
    expect(ran.code).toBe(78)
  })

  test.runIf(isRoot)('nor does policy apply leave files of root in it', () => {
    const repository = installed()
    const head = repository.ref('refs/headgate/ledger')
    spawnSync('chown', ['-R', '1:1', repository.bare])
    writeFileSync(join(repository.policyFolder, 'policy.yaml'), POLICY.replace('maxAge: 24h', 'maxAge: 1h'))
    const ran = repository.headgate('policy', 'apply', repository.bare, repository.policyFolder)
    expect(ran.stderr).toContain(
      `headgate: ${repository.bare} belongs to daemon, and you are somebody else\n`,
    )
    expect(ran.code).toBe(78)
    spawnSync('chown', ['-R', '0:0', repository.bare])
    expect(repository.ref('refs/headgate/ledger')).toBe(head)
  })

  test.runIf(isRoot && existsSync('/usr/bin/setpriv'))('one that its own account cannot write', () => {
    const repository = unguarded()
    const uid = 1
    // The folder above must be open for the account that plays the owner.
    chmodSync(repository.folder, 0o755)
    spawnSync('chown', ['-R', `${uid}:${uid}`, repository.bare, join(repository.folder, 'home')])
    chmodSync(join(repository.bare, 'config'), 0o444)
    const before = snapshot(repository.bare)
    const asOwner = (...args: string[]) =>
      repository.run('/usr/bin/setpriv', [
        '--reuid=1',
        '--regid=1',
        '--clear-groups',
        process.execPath,
        PROGRAM,
        ...args,
      ])
    if (asOwner('--version').code !== 0) return // this checkout is not readable for other accounts

    const ran = asOwner('server', 'install', repository.bare, '--identity', 'env:TEST_PUSHER')

    expect(ran.stderr).toBe(
      `headgate: ${repository.bare}/config cannot be written (EACCES)\n  hint: make the repository writable for the account that owns it and serves pushes\n`,
    )
    expect(ran.code).toBe(78)
    expect(snapshot(repository.bare)).toEqual(before)

    chmodSync(join(repository.bare, 'config'), 0o644)
    const good = asOwner('server', 'install', repository.bare, '--identity', 'env:TEST_PUSHER')
    expect(good.code).toBe(0)
    expect(lstatSync(join(repository.bare, 'headgate', 'seal-key.pem')).uid).toBe(uid)
  })
})

describe('hooks that were there before', () => {
  function withKeptHooks(): TestRepository {
    const repository = unguarded()
    for (const name of HOOKS) {
      script(
        join(repository.bare, 'hooks', name),
        `{ echo "args $*"; echo "who $WHO_AM_I, $TEST_PUSHER, $PATH"; cat; } >>'${repository.folder}/${name}.seen'\n` +
          `test -e '${repository.folder}/${name}.refuses' && { echo "kept ${name} says no" >&2; exit 1; }; exit 0`,
      )
    }
    return repository
  }
  const seen = (repository: TestRepository, name: string) =>
    readFileSync(join(repository.folder, `${name}.seen`), 'utf8')

  test('are kept, and see the input, the arguments and the environment that git gave', () => {
    const repository = withKeptHooks()
    const first = repository.git('rev-parse', 'HEAD')
    const ran = install(repository, '--policy', repository.policyFolder)
    for (const name of HOOKS) {
      const order = name === 'post-receive' ? 'it runs last' : 'it runs first, and both must pass'
      expect(ran.stdout).toContain(`  the ${name} hook that was there is kept; ${order}\n`)
      rmSync(join(repository.folder, `${name}.seen`), { force: true })
    }
    const commit = repository.commit('next')

    const env = { WHO_AM_I: 'me', NODE: 'n', APP: 'a', KEPT: 'k' }
    expect(repository.push(['main', 'HEAD:refs/heads/topic'], { env }).code).toBe(0)

    const lines = [`${first} ${commit} refs/heads/main`, `${'0'.repeat(40)} ${commit} refs/heads/topic`]
    for (const name of ['pre-receive', 'post-receive'] as const) {
      expect(seen(repository, name)).toMatch(/^args \nwho me, alice, /)
      expect(seen(repository, name).split('\n').slice(2, -1)).toEqual(lines)
    }
    const transactions = seen(repository, 'reference-transaction')
    expect(transactions).toContain(`args prepared\nwho me, alice, `)
    expect(transactions).toContain('args committed\n')
    for (const line of lines) expect(transactions).toContain(line)
    // They do not make headgate yield: what they let pass is still judged.
    expectGuarded(repository, (refspec) => repository.push(refspec))
  })

  test('refuse for themselves, and then nothing is recorded', () => {
    const repository = withKeptHooks()
    repository.install()
    const commit = repository.commit('next')
    repository.mustRun(repository.push('main'))
    const subjects = repository.ledgerSubjects()

    writeFileSync(join(repository.folder, 'pre-receive.refuses'), '')
    const evidence = repository.submit(
      repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence'),
    )
    expect(evidence.all).toContain('kept pre-receive says no')
    expect(evidence.code).toBe(1)
    expect(repository.ledgerSubjects()).toEqual(subjects)
    rmSync(join(repository.folder, 'pre-receive.refuses'))

    repository.prove(commit)
    writeFileSync(join(repository.folder, 'reference-transaction.refuses'), '')
    const aborted = repository.push(`${commit}:refs/heads/release`)
    expect(aborted.all).toContain('kept reference-transaction says no')
    expect(aborted.code).not.toBe(0)
    expect(repository.ref('refs/heads/release')).toBeNull()
    rmSync(join(repository.folder, 'reference-transaction.refuses'))

    // A kept post-receive hook runs, whatever headgate says, and its failure harms nothing.
    writeFileSync(join(repository.folder, 'post-receive.refuses'), '')
    const landed = repository.push(`${commit}:refs/heads/release`)
    expect(landed.code, landed.all).toBe(0)
    expect(repository.ref('refs/heads/release')).toBe(commit)
    expect(seen(repository, 'post-receive')).toContain(`${commit} refs/heads/release\n`)
    expect(repository.ledgerSubjects().at(-1)).toMatch(/^promotion [0-9a-f]{7} landed/)
  })

  test('a kept post-receive hook finds the move recorded, and what it does to its parent comes too late', () => {
    const repository = unguarded()
    script(
      join(repository.bare, 'hooks', 'post-receive'),
      `git log --format=%s refs/headgate/ledger >'${repository.folder}/found'; echo 'kept says so' >&2; kill -9 $PPID`,
    )
    repository.install()
    const commit = repository.commit('next')
    repository.push('main')
    repository.submit(repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence'))
    const ran = repository.push(`${commit}:refs/heads/release`)
    expect(ran.all).toMatch(/release is now [0-9a-f]{7}, promotion 1, ledger record \d+[\s\S]*kept says so/)
    expect(readFileSync(join(repository.folder, 'found'), 'utf8')).toMatch(/^[^\n]*landed/)
    expect(repository.ledgerSubjects().at(-1)).toContain('landed')
  })

  test('a dispatcher finds its scripts by its own name', () => {
    const repository = unguarded()
    const hook = join(repository.bare, 'hooks', 'pre-receive')
    script(
      hook,
      `for each in "$GIT_DIR"/hooks/"$(basename "$0")".d/*; do test ! -x "$each" || "$each" || exit 1; done`,
    )
    mkdirSync(`${hook}.d`)
    script(`${hook}.d/10-no`, 'echo "10-no says no"; exit 1')
    repository.install()
    const ran = repository.push('HEAD:refs/heads/topic')
    expect(ran.all).toContain('10-no says no')
    expect(ran.code).toBe(1)
    expect(repository.headgate('server', 'uninstall', repository.bare).code).toBe(0)
    expect(
      readdirSync(join(repository.bare, 'hooks'))
        .filter((name) => !name.endsWith('.sample'))
        .sort(),
    ).toEqual(['pre-receive', 'pre-receive.d'])
  })

  test('are back after an uninstallation, which leaves the ledger and the seal key', () => {
    const repository = withKeptHooks()
    const texts = HOOKS.map((name) => readFileSync(join(repository.bare, 'hooks', name), 'utf8'))
    const config = readFileSync(join(repository.bare, 'config'), 'utf8')
    repository.install()
    const subjects = repository.ledgerSubjects()

    const ran = repository.headgate('server', 'uninstall', repository.bare)

    expect(ran.stdout).toBe(`headgate no longer guards ${repository.bare}
  the pre-receive hook that was there before is back
  the reference-transaction hook that was there before is back
  the post-receive hook that was there before is back
  put back receive.denyNonFastForwards (not set)
  put back receive.advertisePushOptions (not set)
  put back core.fsync (not set)
  put back receive.certNonceSlop (not set)
  put back reftable.lockTimeout (not set)
  put back uploadpack.allowFilter (not set)
  put back receive.certNonceSeed (not set)
  stays: refs/headgate/ledger
  stays: headgate/seal-key.pem
  headgate server uninstall ${repository.bare} --purge removes keys and reflogs
`)
    expect(ran.code).toBe(0)
    expect(HOOKS.map((name) => readFileSync(join(repository.bare, 'hooks', name), 'utf8'))).toEqual(texts)
    expect(readFileSync(join(repository.bare, 'config'), 'utf8')).toBe(config)
    expect(readdirSync(join(repository.bare, 'headgate')).sort()).toEqual([
      expect.stringMatching(/^\.seal-key-[0-9a-f]{16}\.pem$/),
      'seal-key.pem',
      'seal-key.pub',
    ])
    expect(repository.ledgerSubjects()).toEqual(subjects)
    expect(repository.push('HEAD:refs/heads/release').code).toBe(0)

    const again = repository.headgate('server', 'uninstall', repository.bare)
    expect(again.stderr).toBe(
      `headgate: headgate is not installed in ${repository.bare}\n  hint: headgate server install REPO.git --identity SOURCE installs it\n`,
    )
    expect(again.code).toBe(78)
  })
})

describe('server uninstall', () => {
  test('leaves every file but ledger, seal key and objects as it was, byte for byte', () => {
    const repository = unguarded()
    script(join(repository.bare, 'hooks', 'pre-receive'), 'exit 0')
    repository.server('config', 'receive.hideRefs', 'refs/pull')
    const config = join(repository.bare, 'config')
    writeFileSync(config, `${readFileSync(config, 'utf8')}# by hand\n[http]\n\treceivepack = true ; yes\n`)
    const before = snapshot(repository.bare)
    repository.install()

    repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))

    const after = snapshot(repository.bare)
    for (const path of Object.keys(after))
      if (/^\/(?:objects|headgate\/\.?seal-key|refs\/headgate)/.test(path) && !(path in before))
        delete after[path]
    expect(after).toEqual(before)
    expect(existsSync(join(repository.bare, 'logs'))).toBe(false)
  })

  test('says what stays, and --purge removes keys and reflogs, also afterwards', () => {
    const repository = installed()
    // As an earlier version left it: git goes on with a log that is there.
    mkdirSync(join(repository.bare, 'logs', 'refs', 'heads'), { recursive: true })
    writeFileSync(join(repository.bare, 'logs', 'refs', 'heads', 'main'), '')
    repository.commit('next')
    repository.mustRun(repository.push('main'))

    const first = repository.headgate('server', 'uninstall', repository.bare)
    expect(first.stdout).toContain('  stays: refs/headgate/ledger\n')
    expect(first.stdout).toContain('  stays: headgate/seal-key.pem\n')
    expect(first.stdout).toContain('  stays: logs/refs/heads/main\n')
    const purged = repository.headgate('server', 'uninstall', repository.bare, '--purge', '--json')

    expect(JSON.parse(purged.stdout)).toMatchObject({ stays: ['refs/headgate/ledger'] })
    expect(existsSync(join(repository.bare, 'headgate'))).toBe(false)
    expect(existsSync(join(repository.bare, 'logs'))).toBe(false)
    expect(repository.headgate('server', 'uninstall', repository.bare, '--purge').code).toBe(78)
  })

  test('puts back the settings that it found, where nobody has changed them since', () => {
    const repository = unguarded()
    repository.server('config', 'receive.denyNonFastForwards', 'true')
    repository.server('config', 'core.fsync', 'all')
    repository.install()
    expect(repository.server('config', 'receive.denyNonFastForwards')).toBe('false')
    expect(repository.server('config', 'core.fsync')).toBe('all')
    repository.server('config', 'receive.certNonceSlop', '60')

    repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))

    expect(repository.server('config', 'receive.denyNonFastForwards')).toBe('true')
    expect(repository.server('config', 'core.fsync')).toBe('all')
    expect(repository.server('config', 'receive.certNonceSlop')).toBe('60')
  })

  test('works, and the doctor says what is missing, where the configuration is gone', () => {
    const repository = installed()
    rmSync(join(repository.bare, 'config'))
    const { stdout, code } = repository.headgate('doctor', repository.bare)
    expect(stdout).toContain('receive.denyNonFastForwards is not set, and headgate relies on false\n')
    expect(code).toBe(77)

    repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))
    expect(existsSync(join(repository.bare, 'hooks', 'pre-receive'))).toBe(false)
  })

  test('and installing again guards what the ledger says, and sees what moved meanwhile', () => {
    const repository = installed()
    repository.release('proved')
    repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))
    repository.commit('behind the guard')
    repository.mustRun(repository.push('main:refs/heads/release'))

    const ran = install(repository)

    expect(ran.stdout).toContain('policy version 1 is in force already; nothing changed\n')
    repository.commit('next')
    const push = repository.push('HEAD:refs/heads/release')
    expect(push.all).toContain('[drift]')
    expect(push.code).toBe(1)
  })
})

describe('the guard holds', () => {
  test("whatever a pusher's configuration says of core.hooksPath", () => {
    const repository = installed()
    const file = join(repository.folder, 'evil')
    writeFileSync(file, '[core]\n\thooksPath = /dev/null\n')
    expectGuarded(repository, (refspec) => repository.push(refspec, { env: { GIT_CONFIG_GLOBAL: file } }))
    expectGuarded(repository, (refspec) =>
      repository.push(refspec, {
        env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'core.hooksPath', GIT_CONFIG_VALUE_0: '/dev/null' },
      }),
    )
    expectGuarded(repository, (refspec) => repository.push(refspec, { args: ['--no-verify'] }))
  })

  test('in a folder below others of odd names', () => {
    const repository = unguarded()
    const folder = join(repository.folder, "it's $HOME [a]*?", 'Größe und 漢字', 'a"b\\c;d:e', ' blank ')
    mkdirSync(folder, { recursive: true })
    const bare = join(folder, 'app.git')
    renameSync(repository.bare, bare)
    repository.git('remote', 'set-url', 'origin', bare)
    const install = ['server', 'install', bare, '--identity', 'env:TEST_PUSHER']
    repository.mustRun(repository.headgate(...install, '--policy', repository.policyFolder))
    const again = repository.headgate(...install)
    expect(again.stdout).not.toContain('  set ')
    repository.commit('unproved')
    const ran = repository.push('HEAD:refs/heads/release')
    expect(ran.all).toContain('headgate: push refused')
    const direct = repository.run('git', ['--git-dir', bare, 'update-ref', 'refs/heads/release', 'main'])
    expect(direct.all).toContain('no open authorization covers release')
    const commit = repository.commit('proved')
    repository.pushProved(commit)
    expect(repository.push('main:refs/heads/release').code).toBe(0)
    repository.mustRun(repository.headgate('server', 'uninstall', bare))
    expect(repository.push('+HEAD~1:refs/heads/release').code).toBe(0)
  })

  test('after the repository was moved, and installing again restores the absolute path', () => {
    const repository = installed()
    const moved = join(repository.folder, 'moved.git')
    renameSync(repository.bare, moved)
    repository.git('remote', 'set-url', 'origin', moved)
    repository.commit('unproved')
    const ran = repository.push('HEAD:refs/heads/release')
    expect(ran.all).toContain('headgate: push refused')
    expect(ran.code).toBe(1)

    const again = repository.headgate('server', 'install', moved, '--identity', 'env:TEST_PUSHER')
    expect(again.stdout).toContain(`  set core.hooksPath=${moved}/hooks\n`)
    const config = readFileSync(join(moved, 'config'), 'utf8')
    expect(config).not.toContain(repository.bare)
    const direct = repository.run('git', ['--git-dir', moved, 'update-ref', 'refs/heads/release', 'main'])
    expect(direct.all).toContain('no open authorization covers release')
  })

  test('for a push to the path of a linked worktree', () => {
    const repository = installed()
    const worktree = join(repository.folder, 'worktree')
    repository.server('worktree', 'add', '-q', '--detach', worktree, 'main')
    expectGuarded(repository, (refspec) =>
      repository.run('git', ['push', worktree, refspec], { cwd: repository.clone }),
    )
    const wrong = repository.headgate('server', 'install', worktree, '--identity', 'env:TEST_PUSHER')
    expect(wrong.stderr).toContain(`hint: headgate server install ${repository.bare} --identity SOURCE`)
    expect(wrong.code).toBe(78)
  })

  test('for a git update-ref on the server, wherever it runs', () => {
    const repository = installed()
    const { bare } = repository
    const places: [string, string, string[]][] = [
      ['inside the repository', bare, []],
      ['from elsewhere, by its absolute path', '/', [`--git-dir=${bare}`]],
      ['from elsewhere, by a relative path', resolve(bare, '..'), ['--git-dir=app.git']],
      ['from a folder in it', join(bare, 'refs'), []],
    ]
    for (const [name, cwd, args] of places) {
      const ran = repository.run('git', [...args, 'update-ref', 'refs/heads/release', 'refs/heads/main'], {
        cwd,
      })
      expect(ran.all, name).toContain('headgate: refused: no open authorization covers release')
      expect(ran.code, name).not.toBe(0)
      expect(repository.ref('refs/heads/release'), name).toBeNull()
    }
  })
})
