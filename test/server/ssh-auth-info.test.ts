/** `--identity ssh-auth-info`: pushers are known by the key with which they logged in, as sshd tells it. */
import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LoopbackSsh } from '../loopback-ssh.ts'
import { POLICY, type Ran, TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, ledgerRecords, spoken } from './attack.ts'
import { RunningService } from './running-service.ts'

/** All log in as the account that runs the tests. */
const ACCOUNT = userInfo().username

let repository: TestRepository
/** On staging, and proved. */
let commit: string

const publicKey = (name: string) => readFileSync(`${repository.key(name)}.pub`, 'utf8').trim()

beforeAll(() => {
  // alice has two keys, both at work; dave a key that is no longer; the authority vouches for whom it names, but not for
  // the account that all share.
  repository = new TestRepository({ identity: 'ssh-auth-info', install: false, policy: POLICY })
  const file = join(repository.policyFolder, 'allowed_signers')
  const lines = [
    readFileSync(file, 'utf8').trimEnd(),
    repository.makeKey('alice-laptop', 'alice', 'git'),
    repository.makeKey('alice-old', 'alice', 'git').replace('" ', '",valid-before="20200101Z" '),
    repository.makeKey('dave', 'dave', 'git'),
    repository
      .makeKey('authority', `*,!${ACCOUNT}`, 'git')
      .replace('namespaces', 'cert-authority,namespaces'),
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  repository.makeKey('certified', 'bob', 'git')
  repository.install('ssh-auth-info')
  commit = repository.commit('to be promoted')
  repository.mustRun(repository.push('main'))
  repository.prove(commit)
})
afterAll(() => repository.remove())

/** One new, proved commit; what is pushed to release. */
function prove(): string {
  commit = repository.commit('the next')
  repository.pushProved(commit)
  return commit
}

describe.skipIf(!LoopbackSsh.isThere())('behind an sshd (skipped without /usr/sbin/sshd)', () => {
  let ssh: LoopbackSsh
  /** sshd tells the key; wants two keys; tells nothing. */
  let [tells, wantsTwo, tellsNothing]: readonly number[] = []

  beforeAll(async () => {
    const gitShell = execFileSync('/bin/sh', ['-c', 'command -v git-shell || echo /usr/bin/git-shell'], {
      encoding: 'utf8',
    })
    const people = ['alice', 'alice-laptop', 'alice-old', 'bob', 'dave', 'ci', 'mallory']
    ssh = await LoopbackSsh.start(join(repository.folder, 'sshd'), {
      ports: 3,
      authorized: people.map(
        (name) => `restrict,command="${gitShell.trim()} -c \\"$SSH_ORIGINAL_COMMAND\\"" ${publicKey(name)}`,
      ),
      settings: ([, two, none]) => [
        'ExposeAuthInfo yes',
        'AcceptEnv SSH_USER_AUTH',
        `TrustedUserCAKeys ${repository.key('authority')}.pub`,
        `Match LocalPort ${two}`,
        '  AuthenticationMethods publickey,publickey',
        `Match LocalPort ${none}`,
        '  ExposeAuthInfo no',
      ],
    })
    ;[tells, wantsTwo, tellsNothing] = ssh.ports
  })
  afterAll(() => ssh.stop())

  function push(
    keys: readonly string[],
    options: { port?: number | undefined; env?: Record<string, string> } = {},
  ): Ran {
    const files = keys.map((key) => repository.key(key))
    const url = ssh.url(repository.bare, options.port ?? tells)
    return repository.run('git', ['push', url, `${commit}:refs/heads/release`], {
      cwd: repository.clone,
      env: { GIT_SSH_COMMAND: ssh.command(files, 'SendEnv=SSH_USER_AUTH'), ...options.env },
    })
  }

  const promoted = (pushing: () => Ran) =>
    expectChanged(repository, { 'refs/heads/release': commit }, pushing)
  const refused = (pushing: () => Ran) => expectRefused(repository, ['operator'], pushing)

  test('an operator promotes with their key, and the record says how they were known', async () => {
    await promoted(() => push(['alice']))
    const records = expectSoundLedger(repository)
    const authorization = records.find(({ kind }) => kind === 'authorization')
    expect(authorization).toMatchObject({
      by: 'alice',
      predicate: { 'urn:headgate:move': { pusher: 'alice', facts: { identitySource: 'ssh-auth-info' } } },
    })
    repository.git('fetch', '-q', 'origin', '+refs/headgate/ledger:refs/headgate/ledger')
    const verified = repository.headgate('verify')
    expect(verified.code, verified.all).toBe(0)
  })

  test('a second key of the same person is the same person', async () => {
    prove()
    await promoted(() => push(['alice-laptop']))
    expect(ledgerRecords(repository).at(-1)).toMatchObject({ kind: 'outcome' })
  })

  test('who is no operator, or nobody whom the policy knows, is told which key logged in and why not', async () => {
    prove()
    expect(spoken((await refused(() => push(['dave']))).stderr)).toContain(
      'dave is not an operator of release',
    )
    const fingerprint = (name: string) =>
      execFileSync('ssh-keygen', ['-l', '-f', `${repository.key(name)}.pub`], { encoding: 'utf8' }).split(
        ' ',
      )[1]
    for (const [name, why] of [
      ['mallory', 'logged in, and the key is not listed'],
      ['alice-old', 'logged in, and the key was valid until 2020-01-01T00:00:00Z (line 5)'],
      ['ci', 'logged in, and the key is not allowed to sign for "git" (line 1)'],
    ] as const) {
      const said = spoken((await refused(() => push([name]))).stderr)
      expect(said).toContain(`the server cannot tell who pushes: ${fingerprint(name)} ${why}`)
      expect(said).toContain('fix: log in with a key that allowed_signers lists as yours for namespace git;')
    }
  })

  test('of a certificate the name counts that the line of its authority allows', async () => {
    const certify = (...args: string[]) =>
      execFileSync('ssh-keygen', [
        ...['-q', '-s', repository.key('authority'), '-I', 'someone'],
        ...args,
        `${repository.key('certified')}.pub`,
      ])
    // sshd itself keeps the critical option: it lets nobody in from elsewhere.
    certify('-n', `${ACCOUNT},bob`, '-O', 'source-address=127.0.0.0/8')
    await promoted(() => push(['certified']))
    expect(ledgerRecords(repository).at(-2)).toMatchObject({ kind: 'authorization', by: 'bob' })
    prove()
    certify('-n', ACCOUNT)
    const said = spoken((await refused(() => push(['certified']))).stderr)
    expect(said).toContain('the line allows none of the principals of the certificate (line 7)')
  })

  test('two keys must be of one person', async () => {
    await refused(() => push(['alice', 'bob'], { port: wantsTwo })).then(({ stderr }) =>
      expect(spoken(stderr)).toContain('the connection logged in with keys of two people'),
    )
    await refused(() => push(['alice', 'mallory'], { port: wantsTwo }))
    await promoted(() => push(['alice', 'alice-laptop'], { port: wantsTwo }))
  })

  test('where sshd tells nothing nobody is known, and the client cannot replace what it tells', async () => {
    prove()
    const said = spoken((await refused(() => push(['alice'], { port: tellsNothing }))).stderr)
    expect(said).toContain(
      'SSH_USER_AUTH is not set for this connection; it is where sshd has ExposeAuthInfo yes',
    )
    const forged = join(repository.folder, 'forged')
    writeFileSync(forged, `publickey ${publicKey('alice').split(' ').slice(0, 2).join(' ')}\n`)
    expect(
      spoken((await refused(() => push(['dave'], { env: { SSH_USER_AUTH: forged } }))).stderr),
    ).toContain('dave')
  })

  test('the service is told what the hook read', async () => {
    const service = await RunningService.start([repository.bare])
    await refused(() => push(['dave']))
    await promoted(() => push(['bob']))
    expect(await service.logged('hook', 2)).toBeTruthy()
    service.child.kill('SIGTERM')
    await service.exited()
  })
})

describe('a file that sshd did not write', () => {
  beforeAll(() => {
    prove()
  })
  const key = (name: string) => `publickey ${publicKey(name).split(' ').slice(0, 2).join(' ')}\n`
  const table: [string, (path: string) => void, string][] = [
    ['does not exist', () => {}, 'not a readable file of this account'],
    ['is a folder', (path) => mkdirSync(path), 'not a readable file of this account'],
    [
      'is a pipe that nobody fills',
      (path) => execFileSync('mkfifo', [path]),
      'not a readable file of this account',
    ],
    [
      'is a link',
      (path) => {
        writeFileSync(`${path}.target`, key('alice'))
        symlinkSync(`${path}.target`, path)
      },
      'not a readable file of this account',
    ],
    ['is empty', (path) => writeFileSync(path, ''), 'not a readable file of this account'],
    ['is too large', (path) => writeFileSync(path, key('alice').repeat(1000)), 'is too large'],
    ['is one long line', (path) => writeFileSync(path, `publickey ${'A'.repeat(1e6)}`), 'is too large'],
    ['names no key', (path) => writeFileSync(path, 'password\n'), 'the connection did not log in with a key'],
    [
      'holds more than logins',
      (path) => writeFileSync(path, `${key('alice')}# alice\n`),
      'has a line that sshd does not write',
    ],
    [
      'is not text',
      (path) =>
        writeFileSync(path, Buffer.concat([Buffer.from(key('alice')), Buffer.from([0xff, 0x80, 0x0a])])),
      'has a line that sshd does not write',
    ],
  ]
  test.each(table)('%s: nobody is known', async (name, make, reason) => {
    const path = join(repository.folder, `login that ${name}`)
    make(path)
    const ran = await expectRefused(repository, ['operator'], () =>
      repository.push(`${commit}:refs/heads/release`, { env: { SSH_USER_AUTH: path } }),
    )
    expect(spoken(ran.stderr)).toContain(reason)
  })

  test('a relative name is no file: the hook would look for it in the repository', async () => {
    linkSync(`${repository.key('alice')}.pub`, join(repository.bare, 'login'))
    await expectRefused(repository, ['operator'], () =>
      repository.push(`${commit}:refs/heads/release`, { env: { SSH_USER_AUTH: 'login' } }),
    )
  })
})
