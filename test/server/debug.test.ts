/** Debugging in the server's hooks: the server admin switches it on, and nobody else. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { lastCommits, proved } from '../beginnings.ts'
import { type Ran, TestRepository } from '../make-repository.ts'
import { RunningService } from './running-service.ts'

const SECRET = 's3cret-of-the-pusher'
const HOSTILE = { HEADGATE_DEBUG: '1', HEADGATE_GATE_TOKEN: SECRET, DEBUG: '*' }

function debugLines({ stderr }: Ran): string[] {
  return stderr
    .split('\n')
    .map((line) => line.replace(/^remote: /, '').trimEnd())
    .filter((line) => line.startsWith('headgate: debug: '))
    .map((line) => line.slice('headgate: debug: '.length))
}

function without(ran: Ran): string {
  return ran.stderr
    .split('\n')
    .filter((line) => !line.includes('headgate: debug: '))
    .join('\n')
}

function hooks(repository: TestRepository): string {
  return ['pre-receive', 'reference-transaction', 'post-receive']
    .map((name) => readFileSync(join(repository.bare, 'hooks', name), 'utf8'))
    .join()
}

function settings(repository: TestRepository): string {
  return readFileSync(join(repository.bare, 'headgate', 'server.json'), 'utf8')
}

function debugHooks(repository: TestRepository, how = '--debug-hooks'): Ran {
  return repository.mustRun(repository.headgate('server', 'install', repository.bare, how))
}

describe('the hooks of a repository', () => {
  const repository = new TestRepository({ prepare: proved })
  afterAll(() => repository.remove())
  const [, two = ''] = lastCommits(repository, 2)
  const before = { hooks: hooks(repository), settings: settings(repository) }
  const refused = () => repository.push(`${two}^:refs/heads/release`, { args: ['--force'], env: HOSTILE })
  let [three, plain] = ['', '']

  test('tell nothing because the pusher wants it', () => {
    three = repository.commit('three')
    const pushed = repository.push([`${three}:refs/heads/release`, 'main', 'HEAD:topic'], { env: HOSTILE })
    expect(pushed.code).toBe(1)
    expect(pushed.stderr).not.toContain('debug')
    plain = pushed.stderr
    expect(refused().stderr).not.toContain('debug')
  })

  test('tell, once the admin wants it, what git was asked and why a move is refused', () => {
    const installed = debugHooks(repository)
    expect(installed.stderr).toContain(
      'remark: the hooks tell everybody who pushes what they do, with paths of this machine; to end it: headgate server install REPO.git --no-debug-hooks',
    )
    // An installation again leaves it as it is.
    expect(debugHooks(repository, '--json').stdout).toContain('the hooks tell everybody')
    expect(repository.headgate('doctor', repository.bare).stdout).toContain('--no-debug-hooks')
    const env = { ...HOSTILE, HEADGATE_DEBUG: '' }
    const pushed = repository.push([`${three}:refs/heads/release`, 'main', 'HEAD:topic'], { env })
    expect(pushed.code).toBe(1)
    // Not a word of the refusal is another one.
    expect(without(pushed)).toBe(plain)
    expect(pushed.all).not.toContain(SECRET)
    const short = three.slice(0, 7)
    const lines = debugLines(pushed)
    expect(lines[0]).toMatch(/^a process of this hook's own decides: \S+ \S+\/dist\/hook\.cjs$/)
    const asked = new RegExp(`^git --git-dir=${repository.bare} [a-z-]+ .*: exit [01], \\d+ ms$`)
    expect(lines.filter((line) => asked.test(line)).length).toBeGreaterThan(1)
    expect(
      lines.filter((line) => /^git cat-file contents [0-9a-f]{40}: \w+, \d+ bytes$/.test(line)),
    ).not.toEqual([])
    expect(lines.join('\n')).not.toMatch(/ -c |core\.hooksPath|GIT_/)
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^ledger record 5 \([0-9a-f]{12}\), policy 1, enforce, main at \w{7}, release at \w{7}$/,
        ),
        expect.stringMatching(/^main: \w{7} -> \w{7}: yes, all rules agree$/),
        'the pusher is alice, by env:TEST_PUSHER',
        expect.stringMatching(new RegExp(`^release: \\w{7} -> ${short}, a promotion by alice: no$`)),
        expect.stringMatching(/^rule on-staging objects: /),
        `rule evidence objects: there is no staging evidence for ${short}`,
      ]),
    )
  })

  test('tell what passes without a decision, and the way of a promotion', () => {
    expect(debugLines(repository.mustRun(repository.push('HEAD:topic')))).toEqual([
      'pre-receive: no guarded ref is in this push: yes, and nothing was started',
    ])
    expect(debugLines(repository.mustRun(repository.push('main')))).toEqual([
      'pre-receive: git rev-list and git cat-file were asked: refs/heads/main goes on and its release log is what it was: yes',
    ])
    const promoted = repository.mustRun(repository.push(`${two}:refs/heads/release`))
    const lines = debugLines(promoted)
    expect(lines).toContainEqual(
      expect.stringMatching(/^release: .*, a promotion by alice: yes, all rules agree$/),
    )
    expect(lines).toContainEqual(expect.stringMatching(/^it rests on the statement [0-9a-f]{64}$/))
    expect(lines).toContainEqual(expect.stringMatching(/ update-ref --stdin: exit 0, \d+ ms$/))
    expect(lines).toContainEqual(
      expect.stringMatching(
        /^prepared: refs\/heads\/release to [0-9a-f]{40} is the move that was authorized last/,
      ),
    )
    const behind = repository.run('git', ['update-ref', 'refs/heads/release', `${two}^`], {
      cwd: repository.bare,
    })
    expect(behind.code).not.toBe(0)
    expect(debugLines(behind)).toContain('release: none covers this move')
  })

  test('say no more than a pipe holds', () => {
    const blob = repository.inboxRefspec('no statement').split(':')[0]
    const names = Array.from({ length: 400 }, (_, index) => index.toString(16).padStart(64, '0'))
    const pushed = repository.push(names.map((name) => `${blob}:refs/headgate/inbox/${name}`))
    expect(pushed.code).toBe(1)
    const lines = debugLines(pushed)
    expect(lines.at(-1)).toBe('the rest is left out')
    expect(Buffer.byteLength(lines.join('\n'))).toBeLessThan(40_000)
  })

  test('are what they were, when the admin has found the mistake', () => {
    debugHooks(repository, '--no-debug-hooks')
    expect(hooks(repository)).toBe(before.hooks)
    expect(settings(repository)).toBe(before.settings)
    expect(refused().stderr).not.toContain('debug')
  })
})

test('through the service the pusher hears of the own push alone', async () => {
  const [talking, silent] = [new TestRepository({ prepare: proved }), new TestRepository({ prepare: proved })]
  debugHooks(talking)
  const service = await RunningService.start([talking.bare, silent.bare])
  try {
    const [two = ''] = lastCommits(talking, 1)
    const three = talking.commit('three')
    const no = debugLines(talking.push(`${three}:refs/heads/release`, { env: HOSTILE }))
    expect(no.at(-1)).toBe(`the service at ${service.socket} decided`)
    expect(no).toContain(`rule evidence objects: there is no staging evidence for ${three.slice(0, 7)}`)
    const yes = debugLines(talking.mustRun(talking.push(`${two}:refs/heads/release`)))
    expect(yes).toContainEqual(expect.stringMatching(/: yes, all rules agree$/))
    const [other = ''] = lastCommits(silent, 1)
    const quiet = silent.mustRun(silent.push(`${other}:refs/heads/release`, { env: HOSTILE }))
    expect(quiet.stderr).not.toContain('debug')
    expect(service.stderr).toBe('')
    // The settings are read anew when they change.
    debugHooks(talking, '--no-debug-hooks')
    expect(talking.push(`${three}:refs/heads/release`).stderr).not.toContain('debug')
  } finally {
    await service.stop()
    talking.remove()
    silent.remove()
  }
})

test('settings of an earlier version tell nothing, and odd ones are an error', () => {
  const repository = new TestRepository()
  try {
    expect(settings(repository)).not.toContain('debug')
    writeFileSync(
      join(repository.bare, 'headgate', 'server.json'),
      settings(repository).replace('"version"', '"debug": "yes",\n  "version"'),
    )
    const pushed = repository.push('HEAD:refs/heads/release')
    expect(pushed.code).toBe(1)
    expect(pushed.stderr).toContain('server.json: debug: ')
  } finally {
    repository.remove()
  }
})
