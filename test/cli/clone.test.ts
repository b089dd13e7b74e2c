/** The clones, remotes and environments that people have: a command works in each of them. */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { listEvidence } from '../../src/app/statements/list-evidence.ts'
import { PROGRAM, TestRepository } from '../make-repository.ts'
import { guarded, headgate, serve } from './run-program.ts'

/** Records evidence from some clone, then reads it back from there: that as `evidence list` does, in this process. */
async function expectWorks(
  repository: TestRepository,
  where: { cwd?: string; env?: Record<string, string>; remote?: string } = {},
): Promise<void> {
  const { cwd = repository.clone, env = {}, remote = 'origin' } = where
  const add = ['evidence', 'add', '--commit', 'HEAD', '--failed', 'health', '--key', repository.key('ci')]
  const named = remote === 'origin' ? [] : ['--remote', remote]
  const added = repository.run(process.execPath, [PROGRAM, ...add, ...named], { cwd, env })
  expect(added.code, added.all).toBe(0)
  const caller = { folder: cwd, environment: { ...repository.env, ...env } }
  const { evidence } = await listEvidence(caller, { commit: 'HEAD', remote })
  expect(evidence.at(-1)).toMatchObject({ result: 'FAILED', by: 'ci@example.com' })
}

function clone(repository: TestRepository, ...args: string[]): string {
  const folder = join(repository.folder, 'other')
  repository.mustRun(repository.run('git', ['clone', '-q', ...args, `file://${repository.bare}`, folder]))
  return folder
}

function pushSecond(repository: TestRepository): void {
  repository.server('config', 'uploadpack.allowFilter', 'true')
  repository.commit('second')
  repository.mustRun(repository.push('main'))
}

test('a subfolder, and a folder whose name needs quoting', async () => {
  const repository = guarded()
  const folder = join(repository.clone, "it's $HOME", 'Größe')
  mkdirSync(folder, { recursive: true })
  await expectWorks(repository, { cwd: folder })
})

test('a linked worktree', async () => {
  const repository = guarded()
  const worktree = join(repository.folder, 'worktree')
  repository.git('worktree', 'add', '-q', '--detach', worktree)
  await expectWorks(repository, { cwd: worktree })
})

test.each([
  ['a shallow clone', ['--depth', '1']],
  ['a clone of a single branch', ['--single-branch', '--branch', 'main']],
  ['a clone without blobs', ['--filter=blob:none']],
  ['a bare clone', ['--bare']],
  ['a mirror', ['--mirror']],
])('%s', async (_, args) => {
  const repository = guarded({ prepare: pushSecond })
  await expectWorks(repository, { cwd: clone(repository, ...args) })
})

test('a SHA-256 clone', async () => {
  await expectWorks(guarded({ objectFormat: 'sha256' }))
})

test('a remote by path, by URL, by another name', async () => {
  const repository = guarded()
  await expectWorks(repository, { remote: repository.bare })
  await expectWorks(repository, { remote: `file://${repository.bare}` })
  repository.git('remote', 'rename', 'origin', 'up/stream')
  await expectWorks(repository, { remote: 'up/stream' })
  const none = repository.headgate('evidence', 'list')
  expect(none.stderr).toBe(
    'headgate: there is no remote "origin" in this clone\n  hint: --remote takes up/stream, or a URL\n',
  )
  expect(none.code).toBe(64)
})

test("the clone's own hooks and push settings have nothing to say about the inbox", async () => {
  const repository = guarded()
  for (const hook of ['pre-push', 'reference-transaction']) {
    const path = join(repository.clone, '.git', 'hooks', hook)
    writeFileSync(path, hook === 'pre-push' ? '#!/bin/sh\nexit 1\n' : '#!/bin/sh\nexit 0\n')
    chmodSync(path, 0o755)
  }
  const settings: [string, string][] = [
    ['color.ui', 'always'],
    ['fetch.prune', 'true'],
    ['push.followTags', 'true'],
    ['push.recurseSubmodules', 'only'],
    ['remote.origin.tagOpt', '--tags'],
    ['fetch.recurseSubmodules', 'true'],
    ['core.pager', 'false'],
  ]
  for (const [name, value] of settings) repository.git('config', name, value)
  repository.git('tag', '-a', '-m', 'x', 'v1')
  await expectWorks(repository)
  expect(repository.server('for-each-ref', 'refs/tags')).toBe('')
})

test("git's environment is the user's: GIT_SSH_COMMAND, GIT_CONFIG_*, GIT_DIR", async () => {
  const repository = guarded()
  const ssh = join(repository.folder, 'my ssh')
  writeFileSync(ssh, '#!/bin/sh\nwhile test $# -gt 1; do shift; done\nexec sh -c "$1"\n')
  chmodSync(ssh, 0o755)
  await expectWorks(repository, {
    remote: `ssh://git.example.com${repository.bare}`,
    env: { GIT_SSH_COMMAND: `'${ssh}'`, GIT_SSH_VARIANT: 'simple' },
  })
  await expectWorks(repository, {
    remote: 'company:app.git',
    env: {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `url.${repository.bare}.insteadOf`,
      GIT_CONFIG_VALUE_0: 'company:app.git',
    },
  })
  await expectWorks(repository, { cwd: repository.folder, env: { GIT_DIR: join(repository.clone, '.git') } })
})

test('smart HTTP with credentials from GIT_ASKPASS; the server knows the pusher as REMOTE_USER', async () => {
  const backend = join(
    spawnSync('git', ['--exec-path'], { encoding: 'utf8' }).stdout.trim(),
    'git-http-backend',
  )
  if (!existsSync(backend)) return
  const repository = guarded({ identity: 'env:REMOTE_USER' })
  const url = await serve((request, response) => {
    const [user, password] = Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64')
      .toString()
      .split(':')
    if (password !== 'hunter2') {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      return
    }
    const { pathname, search } = new URL(request.url ?? '/', 'http://x')
    const child = spawn(backend, [], {
      env: {
        ...repository.env,
        GIT_PROJECT_ROOT: repository.folder,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        REMOTE_USER: user ?? '',
      },
    })
    request.pipe(child.stdin)
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('close', () => {
      const answer = Buffer.concat(chunks)
      const end = answer.indexOf('\r\n\r\n')
      for (const line of answer.toString('latin1', 0, end).split('\r\n')) {
        const [name = '', value = ''] = line.split(': ')
        if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
        else response.setHeader(name, value)
      }
      response.end(answer.subarray(end + 4))
    })
  })
  repository.server('config', 'http.receivepack', 'true')
  const askpass = join(repository.folder, 'askpass')
  writeFileSync(askpass, '#!/bin/sh\ncase $1 in User*) echo carol ;; *) echo hunter2 ;; esac\n')
  chmodSync(askpass, 0o755)
  repository.git('remote', 'set-url', 'origin', `${url}/app.git`)
  const add = ['evidence', 'add', '--commit', 'HEAD', '--failed', 'health', '--key', repository.key('ci')]

  const ran = await headgate(repository, add, { env: { GIT_ASKPASS: askpass } })
  expect(ran.code, ran.all).toBe(0)
  expect(repository.server('log', '-1', '-p', 'refs/headgate/ledger')).toContain('"by":"carol"')

  const denied = await headgate(repository, add, { env: { GIT_TERMINAL_PROMPT: '0' } })
  expect(denied.stderr).toMatch(/^headgate: the remote "origin" cannot be reached: .+\n {2}hint: .+\n$/)
  expect(denied.code).toBe(69)
})

test('a key in the agent signs by its public half', () => {
  const repository = guarded()
  const socket = join(repository.folder, 'agent')
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' })
  onTestFinished(() => {
    agent.kill()
  })
  for (let tries = 0; !existsSync(socket) && tries < 100; tries++) spawnSync('sleep', ['0.05'])
  const env = { SSH_AUTH_SOCK: socket }
  repository.mustRun(repository.run('ssh-add', ['-q', repository.key('ci')], { env }))
  rmSync(repository.key('ci'))
  const add = ['evidence', 'add', '--commit', 'HEAD', '--failed', 'x', '--key', `${repository.key('ci')}.pub`]
  const program = (more: Record<string, string>) =>
    repository.run('setsid', ['-w', process.execPath, PROGRAM, ...add], { cwd: repository.clone, env: more })
  expect(program(env).code).toBe(0)

  const without = program({})
  expect(without.stderr).toMatch(
    /^headgate: there is no usable private key for .+ci_key.pub, .+\n {2}hint: .+ssh-add.+\n$/,
  )
  expect(without.code).toBe(78)
})

test('a key with a passphrase, and nobody to ask', () => {
  const repository = guarded()
  repository.mustRun(
    repository.run('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', repository.key('ci')]),
  )
  const subjects = repository.ledgerSubjects()
  const add = ['evidence', 'add', '--commit', 'HEAD', '--failed', 'x', '--key', repository.key('ci')]
  const ran = repository.run('setsid', ['-w', process.execPath, PROGRAM, ...add], { cwd: repository.clone })
  expect(ran.stderr).toBe(
    `headgate: ${repository.key('ci')} needs a passphrase or PIN, which was not given or is wrong\n` +
      `  hint: run it on a terminal, or unlock the key first: ssh-add ${repository.key('ci')}\n`,
  )
  expect(ran.code).toBe(78)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('several commands of one clone at once', async () => {
  const repository = guarded()
  const runs = await Promise.all(
    Array.from({ length: 6 }, (_, index) =>
      headgate(repository, [
        ...[
          'evidence',
          'add',
          '--commit',
          'HEAD',
          '--failed',
          `gate-${index}`,
          '--key',
          repository.key('ci'),
        ],
      ]),
    ),
  )
  for (const ran of runs) expect(ran.code, ran.all).toBe(0)
  const listed = repository.headgate('evidence', 'list', '--json')
  expect(listed.stderr).toBe('')
  expect(JSON.parse(listed.stdout).evidence).toHaveLength(6)
})

test('where there is no clone, no git, no guard, no such remote: one line and the fix', () => {
  const repository = guarded()
  const outside = { cwd: repository.folder }
  const call = (args: string[], options: { cwd?: string; env?: Record<string, string> } = {}) => {
    const ran = repository.run(process.execPath, [PROGRAM, ...args], { cwd: repository.clone, ...options })
    expect(ran.stdout).toBe('')
    return `${ran.stderr}exit ${ran.code}`
  }
  for (const args of [['evidence', 'list'], ['policy', 'show'], ['gate']]) {
    expect(call(args, outside)).toBe(
      'headgate: this folder is not in a git repository\n  hint: run it in a clone of the guarded repository\nexit 64',
    )
  }
  expect(call(['policy', 'show'], { env: { PATH: '/nonexistent' } })).toBe(
    'headgate: there is no git in PATH\n  hint: install git 2.36 or newer\nexit 78',
  )
  expect(call(['policy', 'show', '--remote', 'upstream'])).toBe(
    'headgate: there is no remote "upstream" in this clone\n  hint: --remote takes origin, or a URL\nexit 64',
  )
  expect(call(['policy', 'show', '--remote', '/nonexistent.git'])).toBe(
    `headgate: the remote "/nonexistent.git" cannot be reached: '/nonexistent.git' does not appear to be a git repository\n` +
      '  hint: try it by hand: git ls-remote /nonexistent.git\nexit 69',
  )
  const plain = join(repository.folder, 'plain.git')
  repository.mustRun(repository.run('git', ['init', '-q', '--bare', plain]))
  expect(call(['policy', 'show', '--remote', plain])).toBe(
    `headgate: the remote "${plain}" is not guarded by headgate: it has no refs/headgate/ledger\n` +
      '  hint: name another with --remote, or ask the server admin: headgate server install, then headgate policy apply\nexit 78',
  )
  writeFileSync(join(repository.clone, '.git', 'config'), 'broken [\n')
  expect(call(['policy', 'show'])).toMatch(
    /^headgate: git cannot use this repository: bad config line 1 in file .+\n {2}hint: git status says more\nexit 78$/,
  )
})

test('when the server cannot decide, nothing is lost but time: exit 69', () => {
  const repository = guarded()
  const key = join(repository.bare, 'headgate', 'seal-key.pem')
  const text = readFileSync(key)
  writeFileSync(key, 'broken')
  const add = ['evidence', 'add', '--commit', 'HEAD', '--failed', 'health', '--key', repository.key('ci')]
  const ran = repository.headgate(...add)
  expect(ran.stderr).toMatch(/^headgate: the server could not decide; nothing was recorded\n( {2}.+\n)+$/)
  expect(ran.stderr).toContain('  hint: ')
  expect(ran.stderr).not.toContain('    at ')
  expect(ran.code).toBe(69)
  writeFileSync(key, text)
  expect(repository.headgate(...add).code).toBe(0)
})

test("another hook's refusal is told in its own words", () => {
  const repository = new TestRepository({ install: false })
  onTestFinished(() => repository.remove())
  const hook = join(repository.bare, 'hooks', 'pre-receive')
  writeFileSync(hook, '#!/bin/sh\necho "the server is read-only tonight" >&2\nexit 1\n')
  chmodSync(hook, 0o755)
  repository.install()
  const ran = repository.headgate(
    ...['evidence', 'add', '--commit', 'HEAD', '--failed', 'health', '--key', repository.key('ci')],
  )
  expect(ran.stderr).toContain(
    'headgate: the server refused the statement; nothing was recorded\n  the server is read-only tonight\n  hint: another hook of the server refused',
  )
  expect(ran.code).toBe(77)
})
