/** What may happen on an honest server, and is no violation: each of it, audited at once and in two parts. */
import { describe, expect, test } from 'vitest'
import { statementPayload } from '../../src/core/statement.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { guarded } from '../cli/run-program.ts'
import { POLICY, REPOSITORY_NAME, type TestRepository } from '../make-repository.ts'
import { Forger, violations } from './forged-ledger.ts'

/** Exceptions and notes as `grade rule@record`; violations must be none, also when the audit is made in two parts. */
async function remarks(repository: TestRepository, halfway?: () => void): Promise<string[]> {
  let remembered = null
  if (halfway !== undefined) {
    const half = await (await Forger.of(repository)).auditHonest()
    expect(violations(half)).toEqual([])
    remembered = half.remember
    halfway()
  }
  const forger = await Forger.of(repository)
  const whole = await forger.auditHonest()
  expect(violations(whole)).toEqual([])
  const told = whole.findings.map(({ grade, rule, record }) => `${grade} ${rule}@${record}`)
  if (remembered !== null) {
    const second = await forger.auditHonest({ remembered })
    expect(second.findings.map(({ grade, rule, record }) => `${grade} ${rule}@${record}`)).toEqual(told)
    expect(second.records.before).toBeGreaterThan(0)
  }
  return told
}

describe('an honest server', { timeout: 300_000 }, () => {
  test('evidence and promotion in one push, a merge on main, a freeze and its end', async () => {
    const repository = guarded()
    repository.git('checkout', '-q', '-b', 'topic')
    repository.commit('on a branch', { 'other.txt': 'x\n' })
    repository.git('checkout', '-q', 'main')
    repository.commit('on main')
    repository.git('merge', '-q', '--no-ff', '-m', 'merge', 'topic')
    const merged = repository.git('rev-parse', 'HEAD')
    repository.mustRun(repository.push('main'))
    const evidence = repository.sign(repository.evidencePayload(merged), 'ci', 'headgate-evidence')
    repository.mustRun(repository.push([repository.inboxRefspec(evidence), `${merged}:refs/heads/release`]))
    const told = await remarks(repository, () => {
      const alice = ['--reason', 'weekend', '--key', repository.key('alice')]
      repository.mustRun(repository.headgate('freeze', '--for', '1h', ...alice))
      repository.mustRun(repository.headgate('unfreeze', ...alice))
      repository.release('after it')
    })
    expect(told).toEqual([])
  })

  test('a release that was there before, and evaluate mode', async () => {
    const repository = guarded({
      install: false,
      policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
    })
    repository.mustRun(repository.push('main:refs/heads/release'))
    repository.install()
    const stray = repository.commit('unproved')
    repository.mustRun(repository.push('main'))
    repository.mustRun(repository.push(`${stray}:refs/heads/release`))
    expect(await remarks(repository)).toEqual([
      'exception installation@1',
      'note installation@2',
      'exception override@4',
    ])
  })

  test('a drift that was accepted, and a rollback by override', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = '', two = ''] = lastCommits(repository, 2)
    const told = await remarks(repository, () => {
      repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', one)
      const alice = ['--reason', 'restored', '--key', repository.key('alice')]
      repository.mustRun(repository.headgate('drift', ...alice))
      repository.mustRun(repository.push(`${two}:refs/heads/release`))
      const waive = ['--waive', 'approval', 'fast-forward']
      repository.mustRun(repository.headgate('override', '--from', two, '--to', one, ...waive, ...alice))
      repository.mustRun(
        repository.push(`${one}:refs/heads/release`, { args: [`--force-with-lease=release:${two}`] }),
      )
    })
    expect(told).toEqual(['exception release-ref@8', 'exception override@12'])
  })

  test('a push that is signed', async () => {
    const repository = guarded({ identity: 'push-cert' })
    repository.git('config', 'gpg.format', 'ssh')
    repository.git('config', 'user.signingKey', repository.key('alice'))
    const commit = repository.commit('one')
    repository.pushProved(commit)
    repository.mustRun(repository.push(`${commit}:refs/heads/release`, { args: ['--signed'] }))
    expect(await remarks(repository)).toEqual([])
  })

  test('two people sign one statement, and one of them is used', async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = '', two = ''] = lastCommits(repository, 2)
    const payload = repository.approvalPayload(two, one)
    const approvals = ['alice', 'bob'].map((name) =>
      repository.inboxRefspec(repository.sign(payload, name, 'headgate-approval')),
    )
    const invalid = statementPayload('invalidation', REPOSITORY_NAME, two, {
      reason: 'wrong database',
      issuedAt: new Date().toISOString(),
    })
    const voided = repository.inboxRefspec(repository.sign(invalid, 'ci', 'headgate-evidence'))
    repository.mustRun(repository.push([...approvals, voided]))
    const told = await remarks(repository, () => {
      repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
      repository.mustRun(
        repository.push(`${one}:refs/heads/release`, { args: [`--force-with-lease=release:${two}`] }),
      )
    })
    expect(told).toEqual([])
  })
})
