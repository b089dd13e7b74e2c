/** headgate check: the server's answer, rule by rule, with nothing sent. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lastCommits, released, releasedTwice, unproved } from '../beginnings.ts'
import { POLICY } from '../make-repository.ts'
import { guardedClone } from './clones.ts'

test('yes, no, nothing to do: the exit code, the rules and the push that would land', () => {
  const repository = guardedClone({ prepare: unproved })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const ledger = repository.ref('refs/headgate/ledger')
  const no = repository.headgate('check')
  const [short, from] = [two.slice(0, 7), one.slice(0, 7)]
  expect(no.code).toBe(77)
  expect(no.stderr).toBe('')
  expect(no.stdout).toBe(`the server refuses ${short} on release of origin, as of record 4:
  passed  release-delete
  passed  commit-object
  passed  on-staging
  passed  fast-forward
  REFUSED evidence
  passed  served-commit
  passed  known-good
  passed  approval
  passed  barred
  passed  frozen
  passed  drift
  passed  operator

release: ${from} -> ${short}, a promotion
  [evidence]
    there is no staging evidence for ${short}
    fix: deploy ${short} to staging, then run the gates there and record
         the result:
           headgate gate --mode staging --commit ${short} --record --key FILE
`)
  expect(repository.ref('refs/headgate/ledger')).toBe(ledger)
  repository.prove(two)
  const yes = repository.headgate('check', 'main')
  expect(yes.code).toBe(0)
  expect(yes.stdout).toContain(`the server takes ${short} on release of origin, as of record 5:`)
  expect(yes.stdout).toContain(`  alice or bob may run: git push origin ${short}:refs/heads/release\n`)
  const push = /git (push .+)$/m.exec(yes.stdout)?.[1] ?? ''
  repository.git(...push.split(' '))
  expect(repository.headgate('check').stdout).toBe(
    `release of origin is at ${short} already: there is nothing to push\n`,
  )
  expect(repository.headgate('check').code).toBe(0)
})

test('for the staging branch, for a branch that nobody guards, for a ref of its own', () => {
  const repository = guardedClone({ prepare: released })
  repository.commit('log', { 'docs/RELEASE_LOG.md': 'one\n' })
  expect(repository.headgate('check', '--to', 'main').code).toBe(0)
  repository.mustRun(repository.push('main'))
  const edited = repository.commit('edit', { 'docs/RELEASE_LOG.md': 'another\n' })
  const no = repository.headgate('check', '--to', 'refs/heads/main')
  expect(no.code).toBe(77)
  expect(no.stdout).toContain('  REFUSED log-append-only')
  expect(no.stdout).toContain('  passed  staging-history')
  const topic = repository.headgate('check', edited, '--to', 'topic')
  expect(topic.stdout).toBe('nobody guards topic on origin: headgate lets any push of it pass\n')
  expect(topic.code).toBe(0)
  expect(repository.headgate('check', '--to', 'refs/headgate/ledger').code).toBe(77)
})

test('who pushes matters where the policy says so', () => {
  const repository = guardedClone({
    policy: POLICY.replace('approverMayPush: true', 'approverMayPush: false').replace(
      'signedPush: if-offered',
      'signedPush: required',
    ),
  })
  const one = repository.commit('one')
  repository.mustRun(repository.push('main'))
  repository.prove(one)
  const check = (...args: string[]) => JSON.parse(repository.headgate('check', '--json', ...args).stdout)
  expect(check()).toMatchObject({
    answer: 'yes',
    pushers: ['alice', 'bob'],
    signed: true,
    enforced: true,
    to: one,
  })
  expect(check('--as', 'mallory')).toMatchObject({ answer: 'no', pushers: [] })
  expect(check('--as', 'mallory').rules.at(-1)).toMatchObject({
    rule: 'operator',
    verdict: 'refused',
    found: ['mallory is not an operator of release'],
  })
})

test('four eyes: only the other one may push what one approved', () => {
  const repository = guardedClone({
    policy: POLICY.replace('approverMayPush: true', 'approverMayPush: false'),
  })
  const one = repository.release('one')
  const two = repository.release('two')
  const approval = repository.sign(repository.approvalPayload(two, one), 'bob', 'headgate-approval')
  repository.mustRun(repository.submit(approval, 'bob'))
  const ran = repository.headgate('check', one)
  expect(ran.code, ran.all).toBe(0)
  const [short, from] = [one.slice(0, 7), two.slice(0, 7)]
  expect(ran.stdout).toContain(
    `  alice may run: git push --force-with-lease=release:${from} origin ${short}:refs/heads/release`,
  )
})

test('a rollback that is on disk and not recorded yet bars what it left', () => {
  const repository = guardedClone({ prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const approval = repository.sign(repository.approvalPayload(two, one), 'bob', 'headgate-approval')
  repository.mustRun(repository.submit(approval, 'bob'))
  repository.mustRun(repository.push(`+${one}:refs/heads/release`))
  expect(repository.ledgerSubjects().at(-1)).toContain('landed')
  const [ledger, hooks] = ['refs/headgate/ledger', 'core.hooksPath=/dev/null']
  repository.server('-c', hooks, 'update-ref', ledger, `${ledger}~1`)
  expect(repository.headgate('check', two).stdout).toContain('REFUSED barred')
  expect(repository.headgate('status').stdout).toContain('rolled back')
  expect(repository.push(`${two}:refs/heads/release`).all).toContain('[barred]')
})

test('a policy that only evaluates would refuse, and says so', () => {
  const repository = guardedClone({
    policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
  })
  const ran = repository.headgate('check')
  expect(ran.stdout).toContain('the server only reports')
  expect(ran.stderr).toContain('enforcement: evaluate')
  expect(ran.code).toBe(0)
})

test('an override is seen, with what it waives', () => {
  const repository = guardedClone({ prepare: unproved })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const override = repository.overridePayload(one, two, ['evidence'], 'x')
  repository.mustRun(repository.submit(repository.sign(override, 'bob', 'headgate-approval'), 'bob'))
  const ran = repository.headgate('check')
  expect(ran.stdout).toContain('  waived  evidence')
  expect(ran.code).toBe(0)
})

test('could not tell: no remote in reach, a clone without the history; not guarded, no such commit', () => {
  const repository = guardedClone({ prepare: releasedTwice })
  expect(repository.headgate('check', 'nonsense').code).toBe(64)
  const shallow = join(repository.folder, 'shallow')
  repository.mustRun(
    repository.run('git', ['clone', '-q', '--depth=1', `file://${repository.bare}`, shallow]),
  )
  repository.mustRun(repository.run('git', ['commit', '-q', '--allow-empty', '-m', 'x'], { cwd: shallow }))
  const ran = repository.run(
    process.execPath,
    [join(import.meta.dirname, '../../dist/headgate.js'), 'check'],
    {
      cwd: shallow,
    },
  )
  expect([69, 77]).toContain(ran.code)
  repository.git('remote', 'set-url', 'origin', '/nowhere')
  expect(repository.headgate('check').code).toBe(69)
  repository.mustRun(repository.run('git', ['init', '-q', '--bare', join(repository.folder, 'fork.git')]))
  repository.git('remote', 'add', 'fork', join(repository.folder, 'fork.git'))
  const open = repository.headgate('check', '--remote', 'fork')
  expect(open.stderr).toContain('the remote "fork" is not guarded by headgate')
  expect(open.code).toBe(78)
})

test('a name that git takes for the release branch is refused beforehand, too', () => {
  const repository = guardedClone({ prepare: released })
  const commit = repository.git('rev-parse', 'HEAD')
  const ran = repository.headgate('check', commit, '--to', 'refs/tags/release')
  expect(ran.code).toBe(77)
  expect(ran.stdout).toContain('REFUSED namesake')
  expect(ran.stdout).toContain(`git push origin ${commit.slice(0, 7)}:refs/heads/release`)
  expect(repository.headgate('check', commit, '--to', 'refs/tags/v1').code).toBe(0)
})
