/** A policy that names other branches, and one that asks for less: neither hides what was before. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lastCommits, released, releasedTwice } from '../beginnings.ts'
import { guarded } from '../cli/run-program.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'
import { audited } from './audited.ts'

function apply(repository: TestRepository, policy: string, signers?: (text: string) => string) {
  writeFileSync(join(repository.policyFolder, 'policy.yaml'), policy)
  const file = join(repository.policyFolder, 'allowed_signers')
  if (signers !== undefined) writeFileSync(file, signers(readFileSync(file, 'utf8')))
  return repository.headgate('policy', 'apply', repository.bare, repository.policyFolder)
}

async function findings(repository: TestRepository, options: Parameters<typeof audited>[1] = {}) {
  const { code, told, report } = await audited(repository, options)
  return { code, told, text: report.findings.map(({ found }) => found).join('\n') }
}

/** Moves a branch of the server behind all hooks. */
function moveBehind(repository: TestRepository, ref: string, to: string): void {
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', ref, to)
}

const LIVE = POLICY.replace('release: release', 'release: live')

describe('a policy that names another release branch', { timeout: 300_000 }, () => {
  test('leaves the old one guarded and audited until an operator retires it', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = '', two = ''] = lastCommits(repository, 2)
    repository.mustRun(apply(repository, LIVE))
    for (const push of [`+${one}:refs/heads/release`, ':refs/heads/release']) {
      const ran = repository.push(push)
      expect(ran.code).not.toBe(0)
      expect(ran.all).toContain('[former-branch]')
      expect(ran.all).toContain('headgate retire release --reason TEXT --key FILE')
    }
    // Whoever writes the ref on the server itself meets the other hook.
    expect(() => repository.server('update-ref', 'refs/heads/release', one)).toThrow(
      /an earlier policy named release/,
    )
    const before = await findings(repository)
    expect(before.code).toBe(0)
    expect(before.told).toContain('exception policy@8')
    expect(before.text).toContain('release: release -> live')

    moveBehind(repository, 'refs/heads/release', one)
    const moved = await findings(repository)
    expect(moved.code).toBe(77)
    expect(moved.told.some((told) => told.startsWith('violation release-ref@'))).toBe(true)
    expect((await findings(repository, { fromStart: true })).told).toEqual(moved.told)
    moveBehind(repository, 'refs/heads/release', two)

    const alice = ['--reason', 'live is what we deploy', '--key', repository.key('alice')]
    repository.mustRun(repository.headgate('retire', 'release', ...alice))
    repository.mustRun(repository.push(`+${one}:refs/heads/release`))
    const after = await findings(repository)
    expect(after.code).toBe(0)
    expect(after.told).toContain('exception release-ref@9')
    expect(after.text).toContain('was retired at')
    const again = repository.headgate('retire', 'release', ...alice)
    expect(again.code).toBe(77)
  })

  test('and takes what it finds there, as an exception', async () => {
    const repository = guarded({ prepare: released })
    const stray = repository.commit('never proved')
    repository.mustRun(repository.push('main'))
    repository.mustRun(repository.push(`${stray}:refs/heads/live`))
    repository.mustRun(apply(repository, LIVE))
    const { told, text } = await findings(repository)
    expect(told.filter((one) => one.startsWith('exception installation'))).toHaveLength(1)
    expect(text).toMatch(/policy version 2 took [0-9a-f]{7} as the release.*nothing proves it/)
  })

  test('a policy may not make one of the other, nor retire what is in use', () => {
    const repository = guarded({ prepare: released })
    const swapped = apply(
      repository,
      POLICY.replace('staging: main\nrelease: release', 'staging: release\nrelease: main'),
    )
    expect(swapped.code).toBe(78)
    expect(swapped.all).toContain('was the release branch, and this policy makes it the staging branch')
    const used = repository.headgate('retire', 'release', '--reason', 'x', '--key', repository.key('alice'))
    expect(used.code).toBe(77)
    expect(used.all).toContain("release is not guarded for an earlier policy's sake")
  })

  test('there and back again, the branch is where it was', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = ''] = lastCommits(repository, 2)
    repository.mustRun(apply(repository, LIVE))
    repository.mustRun(apply(repository, POLICY))
    const { told } = await findings(repository)
    expect(told.filter((finding) => finding.startsWith('exception policy'))).toHaveLength(2)
    const ran = repository.push(`+${one}:refs/heads/live`)
    expect(ran.all).toContain('[former-branch]')
    repository.release('third')
    expect((await findings(repository)).code).toBe(0)
  })
})

test('a former staging branch is not rewritten either', { timeout: 300_000 }, async () => {
  const repository = guarded({ prepare: released })
  repository.mustRun(repository.push('main:refs/heads/trunk'))
  repository.mustRun(apply(repository, POLICY.replace('staging: main', 'staging: trunk')))
  const [first = ''] = repository.git('rev-list', '--max-parents=0', 'main').split('\n')
  const ran = repository.push(`+${first}:refs/heads/main`)
  expect(ran.code).not.toBe(0)
  expect(ran.all).toContain('[staging-history]')
  expect((await findings(repository)).code).toBe(0)
  moveBehind(repository, 'refs/heads/main', first)
  const { code, told } = await findings(repository)
  expect(code).toBe(77)
  expect(told.some((finding) => finding.startsWith('violation staging-ref@'))).toBe(true)
})

test('a key that is in for one record, and a weakening between two policies', {
  timeout: 300_000,
}, async () => {
  const repository = guarded({ prepare: released })
  const line = repository.makeKey('eve', 'eve@example.com', 'headgate-evidence')
  repository.mustRun(
    apply(repository, POLICY.replace('approvals: 1', 'approvals: 2'), (text) => `${text}${line}\n`),
  )
  repository.mustRun(apply(repository, POLICY, (text) => text.replace(`${line}\n`, '')))
  const { code, told, text } = await findings(repository)
  expect(code).toBe(0)
  const policies = told.filter((finding) => finding.includes('policy@'))
  expect(policies.map((finding) => finding.split(' ')[0])).toEqual(['exception', 'note', 'exception', 'note'])
  expect(text).toMatch(
    /weakens: allowed_signers: eve@example.com SHA256:\S+ \(for headgate-evidence\) put in/,
  )
  expect(text).toMatch(/weakens: rollback.approvals: 2 -> 1/)
  expect(text).toMatch(/changes: .*eve@example.com SHA256:\S+ \(for headgate-evidence\) taken out/)
  const listed = repository.headgate('log', '--kind', 'policy')
  expect(listed.code).toBe(0)
  expect(listed.stdout.match(/^policy version \d/gm)).toHaveLength(3)
  expect(listed.stdout).toContain('  WEAKENS rollback.approvals: 2 -> 1')
  const { policies: json } = JSON.parse(repository.headgate('log', '--kind', 'policy', '--json').stdout)
  expect(json[0].changes).toBeNull()
  expect(json[1].changes).toContainEqual({ text: 'rollback.approvals: 1 -> 2', weakens: false })
})

describe('evaluate mode', { timeout: 300_000 }, () => {
  const EVALUATE = POLICY.replace('release: release', 'release: release\nenforcement: evaluate')
  /** main without its last commit, and with another one. */
  const rewrite = (repository: TestRepository, push: boolean) => {
    repository.git('reset', '-q', '--hard', 'HEAD~1')
    const other = repository.commit(push ? 'instead' : 'behind the guard')
    if (push) repository.mustRun(repository.push(`+${other}:refs/heads/main`))
    else {
      repository.mustRun(repository.push(`${other}:refs/heads/other`))
      moveBehind(repository, 'refs/heads/main', other)
    }
  }
  const aboutStaging = async (repository: TestRepository) =>
    (await findings(repository)).told.filter((finding) => finding.includes('staging-ref'))

  test('that begins excuses nothing from before', async () => {
    const repository = guarded({ prepare: releasedTwice })
    rewrite(repository, false)
    repository.mustRun(apply(repository, EVALUATE))
    repository.mustRun(apply(repository, POLICY))
    expect(await aboutStaging(repository)).toContain('violation staging-ref@8')
  })

  test('that ends excuses what nobody was to refuse, and nothing after it', async () => {
    const repository = guarded({ prepare: releasedTwice })
    repository.mustRun(apply(repository, EVALUATE))
    rewrite(repository, true)
    repository.mustRun(apply(repository, POLICY))
    expect((await aboutStaging(repository)).map((finding) => finding.split('@')[0])).not.toContain(
      'violation staging-ref',
    )
    rewrite(repository, false)
    expect((await aboutStaging(repository)).map((finding) => finding.split('@')[0])).toContain(
      'violation staging-ref',
    )
  })

  test('that begins excuses no move of a former release branch from before', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = ''] = lastCommits(repository, 2)
    const LIVE_EVALUATE = LIVE.replace('release: live', 'release: live\nenforcement: evaluate')
    const aboutRelease = async () =>
      (await findings(repository)).told
        .map((finding) => finding.split('@')[0])
        .filter((finding) => finding?.includes('release-ref'))
    // What an audit remembers that could not ask the remote is no excuse either.
    repository.mustRun(apply(repository, LIVE))
    expect((await findings(repository)).code).toBe(0)
    moveBehind(repository, 'refs/heads/release', one)
    repository.mustRun(apply(repository, LIVE_EVALUATE))
    repository.git('fetch', '-q', 'origin', '+refs/headgate/ledger:refs/headgate-copies/origin/ledger')
    await findings(repository, { offline: true })
    expect(await aboutRelease()).toContain('violation release-ref')
  })

  test('that begins with another release branch excuses no move of the old one from before', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = ''] = lastCommits(repository, 2)
    moveBehind(repository, 'refs/heads/release', one)
    const evaluate = LIVE.replace('release: live', 'release: live\nenforcement: evaluate')
    repository.mustRun(apply(repository, evaluate))
    expect((await findings(repository)).told.map((finding) => finding.split('@')[0])).toContain(
      'violation release-ref',
    )
  })

  test('in which a release branch was named and left excuses its moves', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = ''] = lastCommits(repository, 2)
    const evaluate = (policy: string) => policy.replace(/^release: .*/m, '$&\nenforcement: evaluate')
    repository.mustRun(apply(repository, evaluate(POLICY)))
    repository.mustRun(apply(repository, evaluate(LIVE)))
    repository.mustRun(repository.push(`+${one}:refs/heads/release`))
    const { code, told } = await findings(repository)
    expect(code).toBe(0)
    expect(told.map((finding) => finding.split('@')[0])).toContain('exception release-ref')
  })
})

const hasPython = spawnSync('python3', ['-c', 'import yaml']).status === 0

test.runIf(hasPython)(
  'both verifiers say the same of a ledger with other branches',
  { timeout: 300_000 },
  async () => {
    const repository = guarded({ prepare: released })
    const second = () => {
      const script = join(import.meta.dirname, 'second-verifier', 'verify.py')
      const env = { PATH: process.env.PATH ?? '', PYTHONDONTWRITEBYTECODE: '1' }
      const { stderr, status } = spawnSync('python3', [script, repository.bare], { encoding: 'utf8', env })
      return [stderr, status]
    }
    const [first = ''] = repository.git('rev-list', '--max-parents=0', 'main').split('\n')
    repository.mustRun(apply(repository, LIVE))
    const staging = repository.git('rev-parse', 'main')
    expect([(await findings(repository)).code, ...second()]).toEqual([0, '', 0])
    moveBehind(repository, 'refs/heads/release', first)
    expect([(await findings(repository)).code, ...second()]).toEqual([77, '', 77])
    moveBehind(repository, 'refs/heads/release', staging)
    const alice = ['--reason', 'over', '--key', repository.key('alice')]
    repository.mustRun(repository.headgate('retire', 'release', ...alice))
    moveBehind(repository, 'refs/heads/release', first)
    expect([(await findings(repository)).code, ...second()]).toEqual([0, '', 0])
  },
)

test.runIf(hasPython)(
  'both verifiers excuse what was rewritten while every policy only evaluated, and nothing else',
  { timeout: 300_000 },
  async () => {
    const repository = guarded({ prepare: released })
    const second = () => {
      const script = join(import.meta.dirname, 'second-verifier', 'verify.py')
      const env = { PATH: process.env.PATH ?? '', PYTHONDONTWRITEBYTECODE: '1' }
      return spawnSync('python3', [script, repository.bare], { encoding: 'utf8', env }).status
    }
    const start = repository.git('rev-parse', 'main')
    repository.mustRun(apply(repository, POLICY.replace(/^release: .*/m, '$&\nenforcement: evaluate')))
    for (const line of ['one', 'other']) {
      repository.commit(line, { 'docs/RELEASE_LOG.md': `- ${line}\n` })
      repository.mustRun(repository.push('main'))
    }
    const edited = await findings(repository)
    expect(edited.told.map((told) => told.split('@')[0])).toContain('exception release-log')
    expect([edited.code, second()]).toEqual([0, 0])
    // Whoever enforces again finds main where it is, and no other rewriting is excused.
    repository.mustRun(apply(repository, POLICY))
    moveBehind(repository, 'refs/heads/main', start)
    expect([(await findings(repository)).code, second()]).toEqual([77, 77])
  },
)
