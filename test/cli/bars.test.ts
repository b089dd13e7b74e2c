/** Code that was rolled back from does not come back by itself: not by its log entry, not in what was built on it. */
import { expect, test } from 'vitest'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { guardedClone } from '../client/clones.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'

const LOG = 'docs/RELEASE_LOG.md'

function rollBack(repository: TestRepository, from: string, to: string): void {
  const payload = repository.approvalPayload(from, to, (approval) => {
    approval.symptoms = '500 on /pay'
  })
  repository.mustRun(repository.submit(repository.sign(payload, 'bob', 'headgate-approval'), 'bob'))
  repository.mustRun(repository.push(`+${to}:refs/heads/release`))
}

function bringOut(repository: TestRepository, subject: string, files?: Record<string, string>): string {
  const commit = repository.commit(subject, files)
  repository.mustRun(repository.push('main'))
  repository.prove(commit)
  return commit
}

function beginning(policy = POLICY) {
  const repository = guardedClone({ policy, prepare: releasedTwice })
  const [good = '', bad = ''] = lastCommits(repository, 2)
  rollBack(repository, bad, good)
  return { repository, good, bad, short: bad.slice(0, 7) }
}

const AUDIT = ['verify', '--json']

test('the log entry of a rollback does not bring back what was rolled back from', () => {
  const { repository, good, bad, short } = beginning()
  const entry = bringOut(repository, 'log', { [LOG]: 'rolled back\n' })
  const check = repository.headgate('check', entry)
  expect(check.code, check.all).toBe(77)
  expect(check.stdout).toContain('REFUSED barred')
  expect(check.stdout.replace(/\s+/g, ' ')).toContain(
    `is ${short} but for the release log at most, and barred with it`,
  )
  const pushed = repository.push(`${entry}:refs/heads/release`)
  expect(pushed.all).toContain('[barred]')
  expect(pushed.all).toContain('500 on /pay')
  const second = bringOut(repository, 'log again', { [LOG]: 'rolled back\nand again\n' })
  const promoted = repository.headgate('promote', '--yes', '--no-record', '--auto-rollback')
  expect(promoted.code, promoted.all).toBe(77)
  expect(repository.ref('refs/heads/release')).toBe(good)
  expect(repository.headgate('check', second).code).toBe(77)
  const empty = repository.git('commit-tree', `${bad}^{tree}`, '-p', second, '-m', 'again')
  expect(repository.headgate('check', empty).stdout).toContain('REFUSED barred')
})

test('what was built on it says so, is not promoted by itself, and goes when it is named', () => {
  const { repository, good, bad, short } = beginning()
  const fix = bringOut(repository, 'a fix')
  const said = `contains ${short}, rolled back`
  const check = repository.headgate('check', fix)
  expect(check.code).toBe(0)
  expect(check.stdout).toContain(said)
  expect(check.stdout.replace(/\s+/g, ' ')).toContain('ago: 500 on /pay')
  expect(repository.headgate('status').stdout).toContain(`[contains ${short}]`)
  expect(JSON.parse(repository.headgate('status', '--json').stdout)).toMatchObject({ promotable: null })
  for (const named of [[], [fix]]) {
    const ran = repository.headgate('promote', ...named, '--yes', '--no-record')
    expect(ran.code, ran.all).toBe(77)
    expect(ran.stderr).toContain(`headgate promote ${fix.slice(0, 7)} --despite-bar ${short}`)
    expect(repository.ref('refs/heads/release')).toBe(good)
  }
  const odd = repository.headgate('promote', fix, '--yes', '--no-record', '--despite-bar', 'all')
  expect(odd.code).toBe(64)
  const pushed = repository.push(`${fix}:refs/heads/release`)
  repository.mustRun(pushed)
  expect(pushed.all).toContain(said)
  expect(JSON.parse(repository.headgate('status', '--json').stdout).bars).toEqual([])
  // What comes next ships the barred commit no more.
  const next = bringOut(repository, 'more')
  expect(repository.headgate('check', next).stdout).not.toContain('contains')
  // And the code that was barred stays barred, whatever it is called.
  const back = bringOut(repository, 'back', { 'file.txt': `${repository.git('show', `${bad}:file.txt`)}\n` })
  expect(repository.headgate('check', back).stdout).toContain('REFUSED barred')
  const audit = repository.headgate(...AUDIT)
  expect(audit.code, audit.all).toBe(0)
})

test('rollback.bar: descendants wants the barred commit named at the push, and an audit decides it again', () => {
  const { repository, short } = beginning(
    POLICY.replace('target: landed', 'target: landed, bar: descendants'),
  )
  const fix = bringOut(repository, 'a fix')
  expect(repository.headgate('check', fix).stdout).toContain('REFUSED barred')
  expect(repository.push(`${fix}:refs/heads/release`).all).toContain('[barred]')
  // The clone's own hook is told no push options, and leaves it to the server. None is given here: a git that has some
  // and sends nothing is ended by SIGPIPE where the other side is faster, since that does not wait for them.
  repository.mustRun(repository.headgate('init'))
  repository.mustRun(repository.push(`${fix}:refs/heads/release`, { args: ['--dry-run'] }))
  const ran = repository.headgate(
    'promote',
    fix,
    '--yes',
    '--no-record',
    '--despite-bar',
    short,
    '--wait',
    '1s',
  )
  expect(repository.ref('refs/heads/release'), ran.all).toBe(fix)
  const audit = repository.headgate(...AUDIT)
  expect(audit.code, audit.all).toBe(0)
})
