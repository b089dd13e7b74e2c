/**
 * A shared account: every variable that a pusher sets reaches git-receive-pack and the hook. Who pushes is by then a
 * matter of the host (TEST_PUSHER stands for what it vouches for); everything else must not steer the guard.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as beginnings from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import {
  expectChanged,
  expectPlainText,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
} from './attack.ts'
import { receivePack } from './receive-pack-stream.ts'

const RELEASE = 'refs/heads/release'
const zeros = '0'.repeat(40)

let repository: TestRepository
let released: string
let unproved: string
/** Written to by whatever the attacker brings, if it ever runs inside of headgate. */
let loot: string

beforeAll(() => {
  repository = new TestRepository({ prepare: beginnings.unproved })
  ;[released = '', unproved = ''] = beginnings.lastCommits(repository, 2)
  loot = join(repository.folder, 'loot')
  mkdirSync(loot)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

function put(name: string, text: string, mode = 0o755): string {
  const path = join(repository.folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text, { mode })
  return path
}

/** A bad push is refused for the right reason, deletions too, in this environment. */
async function stillGuarded(env: Record<string, string>) {
  const command = `${released} ${unproved} ${RELEASE}`
  await expectRefused(repository, ['evidence', 'operator'], () =>
    receivePack(repository, { commands: [command] }, { as: 'dave', env }),
  )
  await expectRefused(repository, ['operator', 'release-delete'], () =>
    receivePack(
      repository,
      { commands: [`${released} ${zeros} ${RELEASE}`], pack: null },
      { as: 'dave', env },
    ),
  )
}

/** The same, of one push: what is bad about each of its refs is said, a deletion among them. */
const stillGuardedAtOnce = (env: Record<string, string>) =>
  expectRefused(repository, ['evidence', 'operator', 'staging-history'], () =>
    receivePack(
      repository,
      { commands: [`${released} ${unproved} ${RELEASE}`, `${unproved} ${zeros} refs/heads/main`] },
      { as: 'dave', env },
    ),
  )

describe('programs of the pusher', () => {
  test('in PATH are not run by the hook', async () => {
    const bin = join(repository.folder, 'bin')
    const names = [
      'node',
      'env',
      'cat',
      'sh',
      'dash',
      'bash',
      'test',
      '[',
      'printf',
      'read',
      'ssh-keygen',
      'id',
      'unset',
    ]
    for (const name of names) put(`bin/${name}`, `#!/bin/sh\n/usr/bin/touch ${loot}/${name}\nexit 0\n`)
    // git-receive-pack itself is found by whoever starts it; from there on it is git that must not be found anew.
    put(
      'bin/git',
      `#!/bin/sh\ncase "$*" in receive-pack*) exec /usr/bin/git "$@";; esac\n/usr/bin/touch ${loot}/git\nexit 0\n`,
    )
    await stillGuarded({ PATH: `${bin}:/usr/bin:/bin` })
    await stillGuarded({ PATH: bin })
    expect(readdirSync(loot)).toEqual([])
  })

  test('in NODE_OPTIONS, NODE_PATH and their like are not loaded', async () => {
    const script = put('evil.cjs', `require('node:fs').writeFileSync('${loot}/node', '')\nprocess.exit(0)\n`)
    await stillGuarded({
      NODE_OPTIONS: `--require=${script} --import=file://${script}`,
      NODE_PATH: repository.folder,
      NODE_REPL_EXTERNAL_MODULE: script,
      NODE_EXTRA_CA_CERTS: script,
      NODE_V8_COVERAGE: join(loot, 'coverage'),
      NODE_DEBUG: 'fs',
      SSLKEYLOGFILE: join(loot, 'keys'),
      OPENSSL_CONF: script,
      NODE_REDIRECT_WARNINGS: join(loot, 'warnings'),
    })
    expect(readdirSync(loot)).toEqual([])
  })

  test('in start-up files of a shell are not run', async () => {
    const script = put('evil.sh', `/usr/bin/touch ${loot}/shell; exit 0\n`)
    await stillGuarded({
      BASH_ENV: script,
      ENV: script,
      SHELLOPTS: 'noexec:xtrace',
      BASHOPTS: 'extdebug',
      PS4: '$(exit 0)',
    })
    expect(readdirSync(loot)).toEqual([])
  })

  test('that are exported functions are not called, where sh is bash too', async () => {
    const functions = [
      'read',
      'test',
      'printf',
      'unset',
      'case',
      'exit',
      'eval',
      'set',
      'cat',
      '[',
      '/usr/bin/env',
      'while',
    ]
    const env = Object.fromEntries(
      functions.map((name) => [`BASH_FUNC_${name}%%`, `() { /usr/bin/touch ${loot}/function; exit 0; }`]),
    )
    const hooks = ['pre-receive', 'reference-transaction', 'post-receive'].map((name) =>
      join(repository.bare, 'hooks', name),
    )
    const before = hooks.map((hook) => readFileSync(hook, 'utf8'))
    await stillGuarded(env)
    for (const [index, hook] of hooks.entries()) {
      expect(before[index]).toMatch(/^#!\/bin\/sh -p\n/)
      writeFileSync(hook, (before[index] ?? '').replace('#!/bin/sh -p', '#!/bin/bash -p'))
    }
    try {
      await stillGuarded({
        ...env,
        SHELLOPTS: 'noexec',
        BASH_ENV: put('evil.bash', `/usr/bin/touch ${loot}/env; exit 0\n`),
      })
      await stillGuarded({ POSIXLY_CORRECT: '1', BASH_COMPAT: '3.1', IFS: 'refs/' })
      const evidence = repository.sign(repository.evidencePayload(released), 'ci', 'headgate-evidence')
      await expectChanged(repository, {}, () => repository.push(repository.inboxRefspec(evidence), { env }))
    } finally {
      for (const [index, hook] of hooks.entries()) writeFileSync(hook, before[index] ?? '')
    }
    expect(readdirSync(loot)).toEqual([])
  })
})

describe('variables of the shell', () => {
  test.each([
    ['IFS', 'efrs/ '],
    ['IFS', ''],
    ['CDPATH', '/tmp'],
    ['LC_ALL', 'ja_JP.SJIS'],
    ['LC_ALL', 'tr_TR.UTF-8'],
    ['LANG', '../../../../etc'],
    ['TMPDIR', '/nonexistent'],
    ['HOME', '/nonexistent'],
    ['PPID', '1'],
    ['0', '/tmp/x/hook'],
  ])('%s=%j', (name, value) => stillGuardedAtOnce({ [name]: value }))

  test('that have the names of the hook’s own', () =>
    stillGuarded({
      NODE: '/bin/true',
      APP: '/dev/null',
      GIT: '/bin/true',
      KEPT: 'x',
      guarded: ' ',
      lines: '',
      judge: '',
      judged: '',
      mine: '',
      others: '-1000',
      hooks: '/tmp',
      dir: '/tmp',
      value: 'ref: x',
      count: '0',
      newline: ' ',
      all: '',
      HEADGATE_PUSHER: 'alice',
    }))
})

describe('configuration that the pusher brings', () => {
  const evil = () =>
    put(
      'evil.gitconfig',
      `[core]
	hooksPath = /dev/null
	fsmonitor = /usr/bin/touch ${loot}/fsmonitor
	attributesFile = /dev/null
	logAllRefUpdates = false
	commitGraph = true
	useReplaceRefs = true
[receive]
	denyNonFastForwards = false
	denyDeletes = false
	shallowUpdate = true
	advertisePushOptions = false
	fsckObjects = false
	procReceiveRefs = refs/heads/release
	certNonceSlop = 999999999
[transfer]
	hideRefs = refs/heads/main
[log]
	follow = true
[user]
	name = alice
[safe]
	directory = /nowhere
[include]
	path = /dev/null
`,
      0o644,
    )

  test('with GIT_CONFIG_GLOBAL', async () => {
    const env = { GIT_CONFIG_GLOBAL: evil() }
    const before = repository.ref(RELEASE)
    for (const commands of [[`${released} ${unproved} ${RELEASE}`], [`${released} ${zeros} ${RELEASE}`]]) {
      const { code, all } = await receivePack(repository, { commands }, { as: 'dave', env })
      expect(code, all).not.toBe(0)
      expect(repository.ref(RELEASE)).toBe(before)
    }
    expect(readdirSync(loot)).toEqual([])
  })

  test('with GIT_CONFIG_SYSTEM', () =>
    stillGuarded({
      GIT_CONFIG_SYSTEM: put('hooks.gitconfig', '[core]\n\thooksPath = /dev/null\n'),
      GIT_CONFIG_NOSYSTEM: '0',
    }))

  test('with HOME and XDG_CONFIG_HOME', () => {
    const text = '[core]\n\thooksPath = /dev/null\n'
    put('fakehome/.gitconfig', text)
    put('fakehome/git/config', text)
    const home = join(repository.folder, 'fakehome')
    return stillGuarded({ HOME: home, XDG_CONFIG_HOME: home, GIT_CONFIG_GLOBAL: join(home, '.gitconfig') })
  })

  test('with an include on the condition of this very repository', () => {
    const inner = put('inner.gitconfig', '[core]\n\thooksPath = /dev/null\n')
    const outer = put('outer.gitconfig', `[includeIf "gitdir:${repository.bare}/"]\n\tpath = ${inner}\n`)
    return stillGuarded({ GIT_CONFIG_GLOBAL: outer })
  })

  test('through git push, which passes neither GIT_CONFIG_COUNT nor GIT_CONFIG_PARAMETERS on', () =>
    expectRefused(repository, ['evidence', 'operator'], () =>
      repository.push(`${unproved}:release`, {
        as: 'dave',
        args: [],
        env: {
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: 'core.hooksPath',
          GIT_CONFIG_VALUE_0: '/dev/null',
          GIT_CONFIG_PARAMETERS: "'core.hooksPath'='/dev/null'",
        },
      }),
    ))
})

describe('variables of git', () => {
  test.each<[string, Record<string, string>]>([
    ['a repository of their own', { GIT_DIR: '/nonexistent', GIT_WORK_TREE: '/', GIT_PREFIX: 'x/' }],
    ['an index of their own', { GIT_INDEX_FILE: '/nonexistent' }],
    ['a quarantine that is none', { GIT_QUARANTINE_PATH: '/tmp' }],
    ['a quarantine of another form', { GIT_QUARANTINE_PATH: './objects/tmp_objdir-incoming-../../x' }],
    ['replace refs elsewhere', { GIT_REPLACE_REF_BASE: 'refs/heads/' }],
    ['grafts elsewhere', { GIT_GRAFT_FILE: '/dev/stdin' }],
    ['a shallow file elsewhere', { GIT_SHALLOW_FILE: '/dev/stdin' }],
    ['literal pathspecs', { GIT_LITERAL_PATHSPECS: '1', GIT_ICASE_PATHSPECS: '1' }],
    ['another default hash', { GIT_DEFAULT_HASH: 'sha256' }],
    ['a reflog action', { GIT_REFLOG_ACTION: '\u001b[31mred' }],
    ['a committer', { GIT_COMMITTER_NAME: 'x\ny', GIT_COMMITTER_DATE: '@0 +0000' }],
    ['a pager and an editor', { GIT_PAGER: 'touch /tmp/x', GIT_EDITOR: 'false' }],
    ['an external diff', { GIT_EXTERNAL_DIFF: '/bin/true', GIT_DIFF_OPTS: '-u0' }],
    ['a test flag', { GIT_TEST_COMMIT_GRAPH: '1', GIT_TEST_DISALLOW_ABBREVIATED_OPTIONS: '1' }],
    ['forged push options', { GIT_PUSH_OPTION_COUNT: '99999999999', GIT_PUSH_OPTION_0: 'x' }],
    ['push options that are no number', { GIT_PUSH_OPTION_COUNT: '$(id)' }],
    ['negative push options', { GIT_PUSH_OPTION_COUNT: '-1' }],
    [
      'a forged certificate',
      { GIT_PUSH_CERT: '1'.repeat(40), GIT_PUSH_CERT_STATUS: 'G', GIT_PUSH_CERT_SIGNER: 'alice' },
    ],
  ])('%s', (_, env) => stillGuardedAtOnce(env))

  test.each<[string, Record<string, string>]>([
    ['that stops its shell', { OPTIND: 'x' }],
    ['that names programs of git elsewhere', { GIT_EXEC_PATH: '/nonexistent' }],
    ['that moves its common directory', { GIT_COMMON_DIR: '/nonexistent' }],
  ])('a variable %s lets nothing through', async (_, env) => {
    const before = [repository.ref(RELEASE), repository.ref('refs/headgate/ledger')]
    await receivePack(repository, { commands: [`${released} ${unproved} ${RELEASE}`] }, { as: 'dave', env })
    await receivePack(
      repository,
      { commands: [`${released} ${zeros} ${RELEASE}`], pack: null },
      { as: 'dave', env },
    )
    expect([repository.ref(RELEASE), repository.ref('refs/headgate/ledger')]).toEqual(before)
  })

  test('that trace show no secret and change no verdict', async () => {
    const trace = join(repository.folder, 'trace')
    await stillGuarded({
      GIT_TRACE: trace,
      GIT_TRACE2: trace,
      GIT_TRACE_SETUP: trace,
      GIT_TRACE2_ENV_VARS: 'PATH',
      GIT_TRACE_REFS: trace,
    })
    const text = readFileSync(trace, 'utf8')
    expect(text).not.toContain('cat-file')
    expect(text).not.toContain('PRIVATE KEY')
    rmSync(trace)
  })

  test('that trace to the pusher’s own terminal change no verdict', async () => {
    const before = repository.ref('refs/headgate/ledger')
    const { code } = await receivePack(
      repository,
      { commands: [`${released} ${unproved} ${RELEASE}`] },
      { as: 'dave', env: { GIT_TRACE: '2', GIT_TRACE2_EVENT: '1' } },
    )
    expect(code).not.toBe(0)
    expect(repository.ref('refs/headgate/ledger')).toBe(before)
  })

  test('that put objects elsewhere make no commit of what the repository does not have', async () => {
    const store = join(repository.folder, 'store')
    mkdirSync(store)
    const foreign = repository.git('commit-tree', 'main^{tree}', '-m', 'foreign', '-p', released)
    await expectRefused(repository, ['commit-object', 'operator'], () =>
      receivePack(
        repository,
        { commands: [`${released} ${foreign} ${RELEASE}`] },
        { as: 'dave', env: { GIT_ALTERNATE_OBJECT_DIRECTORIES: join(repository.clone, '.git/objects') } },
      ),
    )
  })

  test('that name another ledger of records change nothing for a good push', async () => {
    const count = ledgerRecords(repository).length
    const next = repository.commit('good')
    repository.mustRun(repository.push('main'))
    const evidence = repository.sign(repository.evidencePayload(next), 'ci', 'headgate-evidence')
    const env = {
      GIT_TRACE: join(repository.folder, 'trace'),
      GIT_COMMITTER_NAME: 'mallory',
      GIT_COMMITTER_EMAIL: 'mallory',
      GIT_COMMITTER_DATE: '@1 +0000',
      GIT_REF_PARANOIA: '0',
      NODE_OPTIONS: '--require=/nonexistent',
      IFS: '/',
      PATH: '/usr/bin:/bin',
      LC_ALL: 'de_DE.UTF-8',
    }
    const { all } = await expectChanged(repository, { [RELEASE]: next }, () =>
      repository.push([repository.inboxRefspec(evidence), `${next}:${RELEASE}`], { env }),
    )
    expectPlainText(all)
    expect(kindsSince(repository, count)).toEqual(['evidence', 'authorization', 'landed'])
    expect(repository.server('log', '-1', '--format=%cn %ce', 'refs/headgate/ledger')).toBe(
      'headgate headgate@localhost',
    )
    released = next
    expectSoundLedger(repository)
  })
})

describe('what no hook can prevent is found by the next push:', () => {
  test('hooks switched off by GIT_CONFIG_COUNT at git-receive-pack itself', async () => {
    const fresh = new TestRepository()
    try {
      const first = fresh.release('first')
      const second = fresh.commit('second')
      const third = fresh.commit('third')
      fresh.pushProved(third)
      const off = {
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'core.hooksPath',
        GIT_CONFIG_VALUE_0: '/dev/null',
      }
      const { code } = await receivePack(
        fresh,
        { commands: [`${first} ${second} ${RELEASE}`] },
        { as: 'dave', env: off },
      )
      expect(code).toBe(0)
      expect(fresh.ref(RELEASE)).toBe(second)
      await expectRefused(fresh, ['drift'], () => fresh.push(`${third}:release`))
      await expectRefused(fresh, ['drift', 'fast-forward', 'approval'], () => fresh.push(`+${first}:release`))
      expectSoundLedger(fresh, { drifted: true })
    } finally {
      fresh.remove()
    }
  })
})

describe('the seal key', () => {
  test('is readable by its owner alone, and nothing of it is ever printed or pushed', () => {
    const key = join(repository.bare, 'headgate', 'seal-key.pem')
    expect(existsSync(key)).toBe(true)
    expect(repository.run('stat', ['-L', '-c', '%a', key]).stdout.trim()).toBe('600')
    const body = readFileSync(key, 'utf8').split('\n')[1] ?? ''
    const objects = repository.server('cat-file', '--batch-all-objects', '--batch')
    expect(objects).not.toContain(body)
  })
})
