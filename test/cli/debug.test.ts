/** `--debug` and HEADGATE_DEBUG of commands and of a clone's hooks. */
import { describe, expect, test } from 'vitest'
import { proved } from '../beginnings.ts'
import { hookedClone } from '../client/clones.ts'
import type { Ran } from '../make-repository.ts'
import { guarded } from './run-program.ts'

function debugLines({ stderr }: Ran): string[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('headgate: debug: '))
    .map((line) => line.slice('headgate: debug: '.length))
}

const SECRET = 's3cret-of-the-url'

describe('a command', () => {
  const says = (env: Record<string, string>, ...args: string[]) => {
    const repository = guarded({ prepare: proved })
    Object.assign(repository.env, env)
    return { repository, ran: repository.headgate(...args) }
  }

  test('tells on stderr what it asks git, and why the verdict is what it is', () => {
    const repository = guarded({ prepare: proved })
    const three = repository.commit('three')
    repository.mustRun(repository.push('main'))
    const plain = repository.headgate('check', '--json')
    expect(plain.stderr).not.toContain('debug')
    for (const args of [
      ['check', '--json', '--debug'],
      ['--debug', 'check', '--json'],
    ]) {
      const told = repository.headgate(...args)
      expect(told.code).toBe(77)
      expect(told.stdout).toBe(plain.stdout)
      expect(told.stderr.replace(/^headgate: debug: .*\n/gm, '')).toBe(plain.stderr)
      const lines = debugLines(told)
      expect(lines).toContainEqual(
        expect.stringMatching(/^git ls-remote -- origin refs\/headgate\/ledger .*: exit 0, \d+ ms$/),
      )
      expect(lines).toContainEqual(
        expect.stringMatching(/^git --git-dir=\S+ merge-base --is-ancestor \w+ \w+: exit 0, \d+ ms$/),
      )
      expect(lines).toContainEqual(
        expect.stringMatching(
          /^origin: ledger record 5 \(\w{12}\), policy 1, enforce, main at \w{7}, release at \w{7}$/,
        ),
      )
      expect(lines).toContain(`rule evidence objects: there is no staging evidence for ${three.slice(0, 7)}`)
    }
    repository.env.HEADGATE_DEBUG = '1'
    const yes = repository.headgate('check', 'HEAD~1')
    expect(yes.code).toBe(0)
    expect(debugLines(yes)).toContainEqual(
      expect.stringMatching(/^release: .*, a promotion: yes, all rules agree$/),
    )
    repository.env.HEADGATE_DEBUG = '0'
    expect(repository.headgate('check', 'HEAD~1').stderr).not.toContain('debug')
  })

  test('tells how git ended, and no password', () => {
    const url = `http://user:${SECRET}@127.0.0.1:9/app.git`
    const { repository, ran } = says(
      { HEADGATE_DEBUG: '1', HEADGATE_GATE_TOKEN: SECRET },
      'status',
      '--remote',
      url,
    )
    expect(ran.code).toBe(69)
    expect(debugLines(ran)).toContainEqual(
      expect.stringMatching(/^git ls-remote -- http:\/\/127\.0\.0\.1:9\/app\.git .*: exit 128, \d+ ms$/),
    )
    const frozen = repository.headgate(
      'freeze',
      '--reason',
      'sale',
      '--for',
      '1h',
      '--key',
      repository.key('alice'),
    )
    expect(debugLines(repository.mustRun(frozen))).toContainEqual(
      expect.stringMatching(/^git push --porcelain .* \w{40}:refs\/headgate\/inbox\/\w{64}: exit 0, \d+ ms$/),
    )
    repository.git('remote', 'set-url', 'origin', url)
    for (const args of [['status'], ['check'], ['doctor'], ['promote', '--yes', '--no-record']]) {
      const failed = repository.headgate(...args)
      expect(debugLines(failed), args[0]).not.toEqual([])
      expect(failed.all, args[0]).not.toContain(SECRET)
    }
  })
})

test('the hooks of a clone tell what they do where HEADGATE_DEBUG says so', () => {
  const repository = hookedClone({ prepare: proved })
  const three = repository.commit('three')
  const env = { HEADGATE_DEBUG: '1' }
  expect(debugLines(repository.mustRun(repository.push('HEAD:topic', { env })))).toEqual([
    'pre-push: no guarded ref is in this push: yes, and nothing was started',
  ])
  const refused = repository.push(`${three}:refs/heads/release`, { env })
  expect(refused.all).toContain('Nothing was sent.')
  expect(debugLines(refused)).toContain(
    `rule evidence objects: there is no staging evidence for ${three.slice(0, 7)}`,
  )
  const silent = repository.push(`${three}:refs/heads/release`)
  expect(silent.all).toContain('Nothing was sent.')
  expect(silent.all).not.toContain('debug')
})
