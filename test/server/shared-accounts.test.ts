/** A repository that several accounts of the machine push to: whatever the umask of each, nobody locks out another. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PROGRAM, type Ran, TestRepository, unwrapped } from '../make-repository.ts'

/** Numbers that no account of a machine has; nobody needs a name to own a file. */
const ALICE = 53_001
const BOB = 53_002
const STRANGER = 53_003
const GROUP = 53_100

const UMASKS = ['002', '022', '077'] as const

/** Other accounts must be able to run what is tested. */
const canChange =
  process.getuid?.() === 0 &&
  existsSync('/usr/bin/setpriv') &&
  spawnSync('/usr/bin/setpriv', [
    `--reuid=${BOB}`,
    `--regid=${BOB}`,
    '--clear-groups',
    process.execPath,
    PROGRAM,
    '--version',
  ]).status === 0

class Shared {
  readonly repository = new TestRepository({ install: false })
  readonly bare = this.repository.bare

  constructor(shared: string, owner = ALICE, group = GROUP) {
    onTestFinished(() => this.repository.remove())
    const { repository, bare } = this
    chmodSync(repository.folder, 0o755)
    rmSync(bare, { recursive: true })
    repository.mustRun(repository.run('git', ['init', '-q', '--bare', `--shared=${shared}`, bare]))
    spawnSync('chown', ['-R', `${owner}:${group}`, bare])
    // chown takes the bit away that makes new files the group's.
    spawnSync('find', [bare, '-type', 'd', '-exec', 'chmod', 'g+s', '{}', '+'])
  }

  /** The clone of an account, made when it first does something. */
  #cloneOf(uid: number): string {
    const { repository, bare } = this
    const clone = join(repository.folder, `clone-${uid}`)
    if (existsSync(clone)) return clone
    repository.mustRun(repository.run('git', ['clone', '-q', repository.clone, clone]))
    repository.mustRun(repository.run('git', ['-C', clone, 'remote', 'set-url', 'origin', bare]))
    mkdirSync(join(repository.folder, `home-${uid}`))
    spawnSync('chown', ['-R', `${uid}:${uid}`, clone, join(repository.folder, `home-${uid}`)])
    return clone
  }

  as(uid: number, umask: string, program: string, ...args: string[]): Ran {
    const { repository } = this
    const cwd = this.#cloneOf(uid)
    const home = join(repository.folder, `home-${uid}`)
    const groups = uid === STRANGER ? '--clear-groups' : `--groups=${GROUP}`
    const command = ['-c', `umask ${umask}; exec "$@"`, 'sh', program, ...args]
    const config = join(home, 'gitconfig')
    writeFileSync(
      config,
      `${readFileSync(join(repository.folder, 'home', 'gitconfig'), 'utf8')}[safe]\n\tdirectory = *\n`,
    )
    return repository.run(
      '/usr/bin/setpriv',
      [`--reuid=${uid}`, `--regid=${uid}`, groups, '/bin/sh', ...command],
      {
        cwd,
        env: { HOME: home, GIT_CONFIG_GLOBAL: config, TEST_PUSHER: uid === ALICE ? 'alice' : 'bob' },
      },
    )
  }

  headgate(uid: number, umask: string, ...args: string[]): Ran {
    return this.as(uid, umask, process.execPath, PROGRAM, ...args)
  }

  install(uid: number, umask: string): void {
    const policy = ['--policy', this.repository.policyFolder]
    this.repository.mustRun(
      this.headgate(uid, umask, 'server', 'install', this.bare, '--identity', 'env:TEST_PUSHER', ...policy),
    )
  }

  /** A new commit of this account on main. */
  pushMain(uid: number, umask: string): Ran {
    const commands = [
      'git pull -q --rebase origin main 2>/dev/null',
      `git commit -q --allow-empty -m "by ${uid}"`,
      'git push -q origin HEAD:refs/heads/main',
    ]
    return this.as(uid, umask, '/bin/sh', '-c', commands.join('; '))
  }

  /** Evidence for what main is at, signed by CI and pushed by this account. */
  evidence(uid: number, umask: string): Ran {
    const { repository, bare } = this
    const commit = repository.run('git', ['--git-dir', bare, 'rev-parse', 'main']).stdout.trim()
    const envelope = repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')
    const file = join(repository.folder, 'envelope')
    writeFileSync(file, envelope, { mode: 0o644 })
    const name = createHash('sha256').update(envelope).digest('hex')
    const push = `git push origin "$(git hash-object -w ${file}):refs/headgate/inbox/${name}"`
    return this.as(uid, umask, '/bin/sh', '-c', push)
  }

  /** Everything below a folder of the repository that lacks these bits, as `mode path`. */
  lacking(folder: string, files: number, folders: number): string[] {
    return readdirSync(join(this.bare, folder), { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name)
      const status = lstatSync(path)
      const needed = status.isDirectory() ? folders : status.isFile() ? files : 0
      return (status.mode & needed) === needed ? [] : [`${(status.mode & 0o7777).toString(8)} ${path}`]
    })
  }
}

describe.runIf(canChange)('a repository of two accounts', () => {
  // Who pushes first makes folders for all others, so each umask is the first one once.
  test.for(
    UMASKS.map((one, index) => [one, [0, 1, 2].map((more) => UMASKS[(index + more) % 3] ?? '')] as const),
  )('is pushed to by both, with umask %s and each of %j', ([one, others]) => {
    const shared = new Shared('group')
    shared.install(ALICE, one)
    const pushesMain = (uid: number, umask: string) => {
      const ran = shared.pushMain(uid, umask)
      expect(ran.all).not.toContain('refused')
      expect(ran.code, ran.all).toBe(0)
    }
    const promotes = (uid: number, umask: string) => {
      const ran = shared.as(uid, umask, 'git', 'push', 'origin', 'HEAD:refs/heads/release')
      expect(ran.all).toContain('headgate: release is now')
    }
    const proves = (uid: number, umask: string) =>
      expect(shared.evidence(uid, umask).all).toContain('accepted')

    for (const other of others) {
      // Each finds what the other one has left.
      pushesMain(BOB, other)
      pushesMain(ALICE, one)
      pushesMain(BOB, other)
      proves(ALICE, one)
      promotes(BOB, other)
      pushesMain(ALICE, one)
      proves(BOB, other)
      promotes(ALICE, one)

      expect(shared.lacking('headgate', 0o440, 0o2770)).toEqual([])
      expect(shared.lacking('hooks', 0o550 & ~0o111, 0o2770)).toEqual([])
      const key = statSync(join(shared.bare, 'headgate', 'seal-key.pem'))
      expect(key.mode & 0o777).toBe(0o640)
      expect(key.gid).toBe(GROUP)
    }
    for (const uid of [ALICE, BOB]) {
      const { stdout } = shared.headgate(uid, '022', 'doctor', shared.bare)
      expect(stdout).toBe(`this guarded repository, ${shared.bare}, is healthy\n`)
    }
  })

  test.for([
    ['all', 0o664],
    ['0640', 0o640],
    ['0660', 0o660],
    ['2', 0o664],
    ['true', 0o664],
  ] as const)(
    'with core.sharedRepository=%s keeps its files as its folder lets people in',
    ([spelling, mode]) => {
      const shared = new Shared(spelling)
      shared.install(ALICE, '077')
      shared.pushMain(ALICE, '077')
      for (const name of ['guarded', 'server.json', 'seal-key.pub', 'location.config'])
        expect(statSync(join(shared.bare, 'headgate', name)).mode & 0o777, name).toBe(mode)
      const key = statSync(join(shared.bare, 'headgate', 'seal-key.pem'))
      // Whoever only reads the repository seals nothing.
      expect(key.mode & 0o777).toBe(spelling === '0640' ? 0o600 : 0o640)
    },
  )
})

describe.runIf(canChange)('the doctor', () => {
  test('finds what one account has locked the others out of, whoever looks, and --fix of the owner opens it', () => {
    const shared = new Shared('group')
    shared.install(ALICE, '022')
    const folder = join(shared.bare, 'objects', 'ab')
    mkdirSync(folder, { recursive: true })
    chownSync(folder, BOB, GROUP)
    chmodSync(folder, 0o700)

    const byAlice = shared.headgate(ALICE, '022', 'doctor', shared.bare)
    expect(unwrapped(byAlice.stdout)).toContain(
      `${folder} of ${BOB}: mode 700, and core.sharedRepository asks for 2770`,
    )
    expect(unwrapped(byAlice.stdout)).toContain(`fix: sudo -u ${BOB} chmod 2770 ${folder}\n`)
    expect(byAlice.code).toBe(77)
    const byBob = shared.headgate(BOB, '077', 'doctor', shared.bare)
    expect(unwrapped(byBob.stdout)).toContain(`fix: chmod 2770 ${folder}\n`)

    shared.headgate(BOB, '077', 'doctor', shared.bare, '--fix')
    expect(statSync(folder).mode & 0o7777).toBe(0o2770)
    expect(unwrapped(shared.headgate(ALICE, '022', 'doctor', shared.bare).stdout)).not.toContain(folder)
  })

  test("names the group where that is what is wrong, and root's files in a repository of one account", () => {
    const shared = new Shared('group')
    shared.install(ALICE, '022')
    const folder = join(shared.bare, 'objects', 'ab')
    mkdirSync(folder, { recursive: true })
    chownSync(folder, BOB, BOB)
    chmodSync(folder, 0o2770)
    const wrong = unwrapped(shared.headgate(ALICE, '022', 'doctor', shared.bare).stdout)
    expect(wrong).toContain(`${folder} of ${BOB}: not of the repository's group ${GROUP}`)
    expect(wrong).toContain(`! -group ${GROUP} -exec chgrp -h ${GROUP} {} +  # as root`)

    const alone = new Shared('umask', ALICE, ALICE)
    alone.install(ALICE, '022')
    const byRoot = join(alone.bare, 'objects', 'ab')
    // git may have made it for an object of the installation's.
    mkdirSync(byRoot, { recursive: true })
    chownSync(byRoot, 0, 0)
    chmodSync(byRoot, 0o755)
    const found = unwrapped(alone.headgate(ALICE, '022', 'doctor', alone.bare).stdout)
    expect(found).toContain(`${byRoot} of root: the repository belongs to ${ALICE}, who cannot use it`)
    expect(found).toContain(`fix: chown -R -h ${ALICE} ${alone.bare}  # as root`)
  })

  test('run by another account it names the owner, and the group that the account is not in', () => {
    const alone = new Shared('umask', ALICE, ALICE)
    alone.install(ALICE, '022')
    const byBob = unwrapped(alone.headgate(BOB, '022', 'doctor', alone.bare).stdout)
    expect(byBob).toContain(`this account, ${BOB}, cannot write in ${alone.bare}, which belongs to ${ALICE}`)
    expect(byBob).toContain(
      `the key ${alone.bare}/headgate/seal-key.pem cannot be read by this account: it belongs to ${ALICE}\n  fix: sudo -u ${ALICE} headgate doctor ${alone.bare}\n`,
    )
    expect(byBob).not.toContain('chmod')

    const shared = new Shared('group')
    spawnSync('chmod', ['-R', 'o+rX', shared.bare])
    shared.install(ALICE, '022')
    expect(unwrapped(shared.headgate(STRANGER, '022', 'doctor', shared.bare).stdout)).toContain(
      `fix: usermod -aG ${GROUP} ${STRANGER}  # as root, if it is to push here; then log in again`,
    )
  })
})

describe.runIf(canChange)('server uninstall', () => {
  test('changes nothing where something cannot be removed, and says whose it is', () => {
    const shared = new Shared('group')
    shared.install(ALICE, '022')
    const cache = join(shared.bare, 'headgate', 'cache')
    rmSync(cache, { recursive: true, force: true })
    mkdirSync(cache)
    writeFileSync(join(cache, 'code'), 'bytes')
    chownSync(cache, BOB, BOB)
    chmodSync(cache, 0o755)
    const before = readdirSync(shared.bare, { recursive: true }).sort()
    const config = readFileSync(join(shared.bare, 'config'), 'utf8')

    const ran = shared.headgate(ALICE, '022', 'server', 'uninstall', shared.bare)

    expect(ran.stderr).toBe(
      `headgate: nothing was changed: ${cache} belongs to ${BOB}, and this account cannot write there\n` +
        `  hint: sudo -u ${BOB} chmod g+rwx ${cache}, then run this again\n`,
    )
    expect(ran.code).toBe(78)
    expect(readdirSync(shared.bare, { recursive: true }).sort()).toEqual(before)
    expect(readFileSync(join(shared.bare, 'config'), 'utf8')).toBe(config)

    chownSync(cache, ALICE, GROUP)
    expect(shared.headgate(ALICE, '022', 'server', 'uninstall', shared.bare).code).toBe(0)
    expect(existsSync(join(shared.bare, 'hooks', 'pre-receive'))).toBe(false)
  })
})
