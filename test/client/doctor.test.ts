/** headgate doctor: every fault has a finding, and --fix puts right what is safe. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { released, releasedTwice } from '../beginnings.ts'
import { PROGRAM, type TestRepository, unwrapped } from '../make-repository.ts'
import { RunningService } from '../server/running-service.ts'
import { guardedClone, hookedClone, write } from './clones.ts'

type Report = {
  healthy: boolean
  findings: { code: string; level: string; what: string; fix: string; fixable: boolean }[]
}

function examine(repository: TestRepository, ...args: string[]): Report & { code: number } {
  const ran = repository.headgate('doctor', ...args, '--json')
  return { ...JSON.parse(ran.stdout), code: ran.code }
}

/** Every fix is a command, for a shell to read; what people should know besides is a comment of it. */
function canBePasted({ findings }: Report): void {
  for (const { fix } of findings) {
    const { status, stderr } = spawnSync('sh', ['-n', '-c', fix], { encoding: 'utf8' })
    expect(status, `${fix}\n${stderr}`).toBe(0)
    expect(fix).toMatch(/^(?:headgate|git|chmod|rm|npx|npm|lefthook) /)
  }
}

const codes = ({ findings }: Report) => findings.map(({ code }) => code)

describe('a guarded repository', () => {
  test('that was just installed is healthy', () => {
    const repository = guardedClone({ prepare: released })
    const ran = repository.headgate('doctor', repository.bare)
    expect(ran.stdout).toBe(`this guarded repository, ${repository.bare}, is healthy\n`)
    expect(ran.code).toBe(0)
  })

  test('each fault is found, with its fix; --fix puts it right', () => {
    const repository = guardedClone({ prepare: released })
    const { bare } = repository
    const hook = (name: string) => join(bare, 'hooks', name)
    const config =
      (...args: string[]) =>
      () =>
        repository.server('config', ...args)
    // All that can be there at once, each with a finding of its own that says whether --fix does something about it.
    const rounds: [string, string, () => void][][] = [
      [
        ['hook-missing', 'the guard is weaker', () => rmSync(hook('reference-transaction'))],
        ['hook-not-executable', 'nothing is guarded', () => chmodSync(hook('pre-receive'), 0o644)],
        [
          'hook-replaced',
          'post-receive',
          () => writeFileSync(hook('post-receive'), '#!/bin/sh\n', { mode: 0o755 }),
        ],
        [
          'hook-stale',
          'pre-receive',
          () => writeFileSync(hook('pre-receive'), `${readFileSync(hook('pre-receive'), 'utf8')}# older\n`),
        ],
        ['setting', 'receive.denyNonFastForwards is true', config('receive.denyNonFastForwards', 'true')],
        ['setting', 'receive.advertisePushOptions is false', config('receive.advertisePushOptions', 'false')],
        ['setting', 'receive.certNonceSeed is not set', config('--unset-all', 'receive.certNonceSeed')],
        ['setting', 'does not name refs/headgate/ledger', config('--unset-all', 'receive.hideRefs')],
        ['key-open', 'mode 644', () => chmodSync(join(bare, 'headgate', 'seal-key.pem'), 0o644)],
      ],
      [
        [
          'hook-program-missing',
          '/nowhere/node, which is gone',
          () =>
            writeFileSync(
              hook('pre-receive'),
              readFileSync(hook('pre-receive'), 'utf8').replace(/^NODE='[^']*'/m, "NODE='/nowhere/node'"),
            ),
        ],
      ],
    ]
    for (const faults of rounds) {
      for (const [, , break_] of faults) break_()
      const report = examine(repository, bare)
      expect(report.code).toBe(77)
      for (const [code, words] of faults) {
        const finding = report.findings.find((one) => one.code === code && one.what.includes(words))
        expect(finding, words).toMatchObject({ level: 'problem', fixable: true })
      }
      canBePasted(report)
      const fixed = examine(repository, bare, '--fix')
      expect(codes(fixed)).toEqual([])
      expect(fixed.code).toBe(0)
    }
  }, 300_000)

  test('what nobody can put right for the admin is only told: drift, policy, hidden ledger, identity', () => {
    const repository = guardedClone({ prepare: releasedTwice })
    const { bare } = repository
    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', 'main~1')
    expect(codes(examine(repository, bare, '--fix'))).toEqual(['drift'])
    expect(codes(examine(repository, '--fix'))).toEqual(['drift'])
    repository.mustRun(repository.headgate('drift', '--reason', 'x', '--key', repository.key('alice')))

    const signers = readFileSync(join(repository.policyFolder, 'allowed_signers'), 'utf8')
    const policy = (text: string) => {
      repository.commit('policy', { '.headgate/policy.yaml': text, '.headgate/allowed_signers': signers })
      repository.mustRun(repository.push('main'))
    }
    policy(repository.policy)
    expect(codes(examine(repository, bare))).toEqual([])
    policy(repository.policy.replace('maxAge: 24h', 'maxAge: 12h'))
    expect(codes(examine(repository, bare))).toEqual(['policy-differs'])
    expect(codes(examine(repository))).toEqual(['policy-differs'])
    policy('version: 2\n')
    expect(codes(examine(repository, bare))).toEqual(['policy-broken'])
    policy(repository.policy)

    repository.server('config', '--add', 'core.hooksPath', '/dev/null')
    const hooksPath = examine(repository, bare, '--fix')
    expect(codes(hooksPath)).toContain('hooks-path')
    expect(hooksPath.findings[0]?.fix).toContain('--unset-all core.hooksPath && headgate server install')
    repository.server('config', '--unset-all', 'core.hooksPath')

    repository.server('config', 'transfer.hideRefs', 'refs/headgate')
    const hidden = examine(repository, bare, '--fix')
    expect(codes(hidden)).toEqual(['ledger-hidden'])
    repository.mustRun(repository.run('sh', ['-c', hidden.findings[0]?.fix ?? 'false']))
    expect(codes(examine(repository, bare))).toEqual([])
    expect(repository.git('ls-remote', 'origin')).toContain('refs/headgate/ledger')
    repository.server('config', '--unset-all', 'transfer.hideRefs')
    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', '-d', 'refs/headgate/ledger')
    const gone = examine(repository, bare)
    expect(codes(gone)).toEqual(['ledger-gone'])
    canBePasted(gone)
  })

  test('an identity source that never yields a name', () => {
    const repository = guardedClone({ identity: 'env:NOT_SET_ANYWHERE' })
    const commit = repository.commit('one')
    repository.mustRun(repository.push('main'))
    repository.prove(commit)
    expect(codes(examine(repository, repository.bare))).toEqual(['identity'])
  })

  test('operators whom the identity source could never know', () => {
    const repository = guardedClone({ identity: 'ssh-auth-info', install: false })
    const file = join(repository.policyFolder, 'allowed_signers')
    const signers = readFileSync(file, 'utf8')
    writeFileSync(file, signers.replaceAll('headgate-approval,git', 'headgate-approval'))
    repository.install('ssh-auth-info')
    const problems = () => {
      const { findings } = examine(repository, repository.bare)
      return findings.filter(({ level }) => level === 'problem').map(({ what }) => what)
    }
    expect(problems()).toEqual([
      'identity is ssh-auth-info, and no operator has a key for namespace git in allowed_signers: nobody can promote',
    ])
    writeFileSync(file, signers)
    repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
    expect(problems()).toEqual([])
  })

  test('a service that is down; one that answers is none of its business', async () => {
    const repository = guardedClone()
    const service = await RunningService.start([repository.bare])
    expect(codes(examine(repository, repository.bare))).toEqual([])
    service.child.kill('SIGKILL')
    await service.exited()
    const { findings } = examine(repository, repository.bare)
    expect(findings.map(({ code }) => code)).toEqual(['service-down'])
    expect(findings[0]?.fix).toContain(`headgate serve ${repository.bare}`)
  })
})

describe('a clone', () => {
  test('each fault of its hooks is found; --fix puts it right', () => {
    const repository = hookedClone({ prepare: released })
    expect(codes(examine(repository))).toEqual([])
    const hook = (name: string) => join(repository.clone, '.git', 'hooks', name)
    const list = join(repository.clone, '.git', 'headgate', 'remotes')
    const edit = (path: string, from: RegExp, to: string) =>
      writeFileSync(path, readFileSync(path, 'utf8').replace(from, to))
    // All that can be there at once, each with a finding of its own that says whether --fix does something about it.
    const rounds: [string, () => void][][] = [
      [
        ['hook-missing', () => rmSync(hook('pre-push'))],
        ['hook-not-executable', () => chmodSync(hook('pre-commit'), 0o644)],
        ['hook-stale', () => edit(hook('pre-merge-commit'), /$/, '# older\n')],
        ['list-stale', () => edit(list, /refs\/heads\/release/, 'refs/heads/production')],
        ['program-missing', () => edit(list, /^app .*/m, 'app /nowhere')],
        [
          'key-open',
          () => {
            repository.git('config', 'gpg.format', 'ssh')
            repository.git('config', 'user.signingKey', `${repository.key('alice')}.pub`)
            chmodSync(repository.key('alice'), 0o644)
          },
        ],
      ],
      [['list-missing', () => rmSync(list)]],
    ]
    for (const faults of rounds) {
      for (const [, break_] of faults) break_()
      const report = examine(repository)
      expect(report.code).toBe(77)
      for (const [code] of faults) {
        const finding = report.findings.find((one) => one.code === code)
        expect(finding, code).toMatchObject({ level: 'problem', fixable: true })
      }
      canBePasted(report)
      expect(codes(examine(repository, '--fix'))).toEqual([])
    }
  }, 300_000)

  test('without the optional hooks it is healthy, with a remark', () => {
    const repository = guardedClone({ prepare: released })
    const ran = repository.headgate('doctor')
    expect(ran.code, ran.all).toBe(0)
    expect(ran.stdout).toMatch(/^remark {3}headgate's hooks, which are optional, are not in this clone/)
    expect(ran.stdout).toMatch(/ {2}fix: headgate init\n.* is healthy\n$/)
    for (const line of ran.stdout.split('\n').slice(0, -2)) expect(line.length).toBeLessThanOrEqual(80)
    // A project whose hooks were put there once is another matter.
    repository.mustRun(repository.headgate('init'))
    rmSync(join(repository.clone, '.git', 'hooks', 'pre-push'))
    expect(repository.headgate('doctor').code).toBe(77)
  })

  test('hooks that core.hooksPath puts out of use', () => {
    const repository = hookedClone()
    repository.git('config', '--global', 'core.hooksPath', join(repository.folder, 'shared'))
    mkdirSync(join(repository.folder, 'shared'))
    const report = examine(repository)
    expect(codes(report)).toContain('shadowed')
    expect(report.findings[0]?.what).toContain('of the global configuration')
    expect(codes(examine(repository, '--fix'))).toEqual([])
    repository.git('switch', '-q', '-c', 'release')
    const commit = repository.run('git', ['commit', '--allow-empty', '-m', 'x'], { cwd: repository.clone })
    expect(commit.stderr).toContain('no commit is made on release')
  })

  test('that git finds by GIT_DIR, from another folder; a second remote out of reach is no fault of it', () => {
    const repository = hookedClone({ prepare: released })
    repository.git('remote', 'add', 'fork', join(repository.folder, 'gone.git'))
    const ran = repository.run(process.execPath, [PROGRAM, 'doctor', '--json'], {
      env: { GIT_DIR: join(repository.clone, '.git'), GIT_WORK_TREE: repository.clone },
    })
    const report = JSON.parse(ran.stdout)
    expect(codes(report)).toEqual(['remote'])
    expect(report.healthy).toBe(true)
    expect(report.findings[0].fix).toBe('git ls-remote fork')
  })

  test('a remote out of reach, a key that is gone, a policy that wants signed pushes', () => {
    const repository = hookedClone()
    renameSync(repository.bare, `${repository.bare}.moved`)
    expect(codes(examine(repository))).toEqual(['remote'])
    renameSync(`${repository.bare}.moved`, repository.bare)
    const env = { HEADGATE_KEY: join(repository.folder, 'nokey') }
    write(repository, '.git/info/exclude', '')
    const ran = repository.run(
      process.execPath,
      [join(import.meta.dirname, '../../dist/headgate.js'), 'doctor'],
      {
        cwd: repository.clone,
        env,
      },
    )
    expect(unwrapped(ran.stdout)).toContain(
      `problem  the key ${env.HEADGATE_KEY} does not exist\n  fix: restore it, or name another key\n`,
    )
    writeFileSync(
      join(repository.policyFolder, 'policy.yaml'),
      repository.policy.replace('signedPush: if-offered', 'signedPush: required'),
    )
    repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
    const report = examine(repository)
    expect(codes(report)).toEqual(['signed-push'])
    expect(report.code).toBe(0)
  })

  test('what is neither: a bare repository without headgate, no repository', () => {
    const repository = guardedClone({ install: false })
    const bare = repository.headgate('doctor', repository.bare)
    expect(bare.stderr).toContain('headgate is not installed in')
    expect(bare.stderr).toContain('hint: headgate server install')
    expect(bare.code).toBe(78)
    expect(repository.headgate('doctor', repository.folder).code).toBe(78)
  })
})
