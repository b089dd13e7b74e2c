/** A policy with promotion.notes: required, on real pushes: what is refused, how a note is given, what an audit says. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Forger, violations } from '../audit/forged-ledger.ts'
import { guardedClone, hookedClone } from '../client/clones.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'
import { Day } from './day.ts'

const NOTED = POLICY.replace('signedPush: if-offered', 'signedPush: if-offered, notes: required')
const RELEASE = 'refs/heads/release'

function bringOut(repository: TestRepository, subject: string): string {
  const commit = repository.commit(subject)
  repository.mustRun(repository.push('main'))
  repository.prove(commit)
  return commit
}

function secondVerifier(repository: TestRepository): number | null {
  const script = join(import.meta.dirname, '..', 'audit', 'second-verifier', 'verify.py')
  const second = spawnSync('python3', [script, repository.bare], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', PYTHONDONTWRITEBYTECODE: '1' },
  })
  return second.status
}

function audit(repository: TestRepository): (number | null)[] {
  return [repository.headgate('verify').code, hasPython ? secondVerifier(repository) : 0]
}

const hasPython = spawnSync('python3', ['-c', 'import yaml']).status === 0

test('a push without a note is refused with the commands that give one, and both verifiers ask for it', async () => {
  const repository = guardedClone({ policy: NOTED })
  const commit = bringOut(repository, 'one')
  for (const args of [[], ['-o', 'note='], ['-o', 'note= \u200b'], ['-o', 'plan=x']]) {
    const refused = repository.push(`${commit}:${RELEASE}`, { args })
    expect(refused.code).toBe(1)
    const said = refused.all.replace(/^remote: */gm, '')
    expect(said).toContain('[note]')
    expect(said).toContain(`git push -o note='TEXT' origin ${commit.slice(0, 7)}:${RELEASE}`)
    expect(said).toContain(`headgate promote ${commit.slice(0, 7)} --note 'TEXT'`)
  }
  expect(repository.ref(RELEASE)).toBeNull()
  repository.mustRun(repository.push(`${commit}:${RELEASE}`, { args: ['-o', 'note=the first one'] }))
  // Neither way back nor override says why twice.
  const two = bringOut(repository, 'two')
  repository.mustRun(repository.push(`${two}:release`, { args: ['-o', 'note=✓'] }))
  const approval = repository.approvalPayload(two, commit)
  repository.mustRun(repository.submit(repository.sign(approval, 'bob', 'headgate-approval'), 'bob'))
  repository.mustRun(repository.push(`+${commit}:release`))
  const three = repository.commit('three')
  repository.mustRun(repository.push('main'))
  const override = repository.overridePayload(commit, three, ['evidence', 'barred'], 'staging is down')
  repository.mustRun(repository.submit(repository.sign(override, 'bob', 'headgate-approval'), 'bob'))
  repository.mustRun(repository.push(`${three}:release`))
  expect(audit(repository)).toEqual([0, 0])

  const forger = await Forger.of(repository)
  const index = forger.honest.findIndex(({ statement }) => statement.kind === 'authorization')
  for (const pushOptions of [[], ['note=\u00a0']]) {
    const drafts = forger.drafts()
    const signing = { key: forger.serverKey, namespace: 'headgate-ledger' }
    forger.rewrite(
      drafts[index]!,
      ({ predicate }) => {
        predicate['urn:headgate:move'].pushOptions = pushOptions
      },
      signing,
    )
    const tip = forger.forge(forger.rechain(drafts))
    expect(violations(await forger.audit(tip))).toContain(`replay@${index + 1}`)
    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/headgate/ledger', tip)
    if (hasPython) expect(secondVerifier(repository)).toBe(77)
  }
})

test('evaluate mode warns, and lets it pass', () => {
  const repository = guardedClone({ policy: NOTED.replace('release: release', '$&\nenforcement: evaluate') })
  const commit = bringOut(repository, 'one')
  const passed = repository.mustRun(repository.push(`${commit}:${RELEASE}`))
  expect(passed.all).toContain('[note]')
  const two = bringOut(repository, 'two')
  const ran = repository.headgate('promote', two, '--yes', '--no-record', '--wait', '1s')
  expect(ran.stderr).toContain('remark: the policy wants a note with each promotion')
  expect(repository.ref(RELEASE)).toBe(two)
  expect(audit(repository)).toEqual([0, 0])
})

test('check, status and gate say what is needed, and promote refuses before the push', () => {
  const repository = hookedClone({ policy: NOTED })
  const commit = bringOut(repository, 'one')
  const short = commit.slice(0, 7)
  const check = repository.headgate('check', commit)
  expect(check.code).toBe(0)
  expect(check.stdout).toContain('  needed  note\n')
  expect(check.stdout).toContain('the push needs a note: the policy says promotion.notes: required\n')
  const push = `git push -o note='TEXT' origin ${short}:${RELEASE}`
  expect(check.stdout).toContain(`alice or bob may run: ${push}\n`)
  const json = JSON.parse(repository.headgate('check', commit, '--json').stdout)
  expect(json).toMatchObject({ answer: 'yes', note: true })
  expect(json.rules.at(-1)).toMatchObject({ rule: 'note', verdict: 'needed' })

  const line = `headgate promote ${short} --key FILE --note 'TEXT'`
  expect(repository.headgate('status', '--no-environments').stdout).toContain(line)
  expect(JSON.parse(repository.headgate('status', '--no-environments', '--json').stdout).command).toBe(
    line.replace(short, commit),
  )
  const records = repository.ledgerSubjects().length
  for (const more of [[], ['--json']]) {
    const ran = repository.headgate('promote', commit, '--yes', '--no-record', ...more)
    expect([ran.code, ran.stdout]).toEqual([64, ''])
    expect(ran.stderr).toContain('the policy wants a note with each promotion (promotion.notes: required)')
    expect(ran.stderr).toContain("hint: say it with --note 'TEXT'; nothing was pushed")
  }
  for (const empty of ['', '  ', '\u200b'])
    expect(repository.headgate('promote', commit, '--yes', '--no-record', '--note', empty).code).toBe(64)
  expect(repository.ledgerSubjects().length).toBe(records)
  // What check recommends works as it is, through the clone's own hook as well.
  repository.mustRun(repository.run('sh', ['-c', push], { cwd: repository.clone }))
  expect(repository.ref(RELEASE)).toBe(commit)
  const next = bringOut(repository, 'two')
  const ran = repository.headgate('promote', next, '--yes', '--no-record', '--wait', '1s', '--note', 'weekly')
  expect(repository.ref(RELEASE), ran.all).toBe(next)
})

test('the note is in the entry, whichever of several options has it', async () => {
  const day = await Day.begin({ notes: 'required' })
  const one = await day.proved('one')
  const { repository } = day
  const args = ['-o', 'note= ', '-o', 'note=all of it', '-o', 'note=no more']
  repository.mustRun(repository.push(`${one}:${RELEASE}`, { args }))
  // It has moved: who goes on gives no note.
  const status = await day.as('alice', 'status')
  expect(status.stdout).toContain(`headgate promote ${one.slice(0, 7)} --key FILE\n`)
  const ran = await day.as('alice', 'promote', '--yes')
  expect(ran.code, ran.all).toBe(0)
  repository.git('fetch', '-q', 'origin')
  expect(repository.git('show', 'origin/main:docs/RELEASE_LOG.md')).toContain('all of it')
})
