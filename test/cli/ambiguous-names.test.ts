/** Clones and servers in which the short names of branches mean something else: tags, and a branch of an odd name. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ClientRepository } from '../../src/app/clone/client-repository.ts'
import { parseReleaseLog } from '../../src/core/release-log.ts'
import { released } from '../beginnings.ts'
import { type Ran, unwrapped } from '../make-repository.ts'
import { Day, proved, releasedAndProved, releasedBad } from './day.ts'
import { guarded } from './run-program.ts'

const short = (oid: string) => oid.slice(0, 7)
const ODD = 'refs/heads/refs/heads/release'
const OFF = ['-c', 'core.hooksPath=/dev/null']

/** Whatever git would take for `main`, `release`, `origin/main` and `origin/release`, at a commit that nobody proved. */
function confuse(day: Day, person: string): string {
  const { repository } = day
  const cwd = day.clone(person)
  const git = (...args: string[]) => repository.mustRun(repository.run('git', args, { cwd })).stdout.trim()
  const wrong = git('commit-tree', 'HEAD^{tree}', '-m', 'never proved')
  const refs = [
    ...['main', 'release', 'origin/main', 'origin/release'].flatMap((name) => [
      `refs/tags/${name}`,
      `refs/${name}`,
    ]),
    'refs/heads/refs/heads/release',
    'refs/heads/refs/heads/main',
    'refs/heads/origin/release',
  ]
  for (const ref of refs) git('update-ref', ref, wrong)
  git('push', '-q', repository.bare, `${wrong}:refs/heads/wrong`)
  const server = ['refs/tags/main', 'refs/tags/release', 'refs/main', 'refs/release']
  for (const ref of server) repository.server(...OFF, 'update-ref', ref, wrong)
  return wrong
}

const WHY = ['--trigger', 'pager', '--symptoms', '500 on /pay', '--yes']

test('what goes forward goes by the branches themselves', { timeout: 900_000 }, async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const { repository } = day
  const zero = day.release()!
  const one = day.commit('one')
  const wrong = confuse(day, 'alice')
  const must = (ran: Ran): Ran => repository.mustRun(ran)

  const status = must(await day.as('alice', 'status'))
  expect(status.stdout).toContain(short(zero))
  expect(status.stdout).toContain(`headgate promote ${short(one)}`)
  expect(status.stdout).not.toContain(short(wrong))
  must(await day.as('alice', 'deploy-check', zero, '--environment', 'production'))
  const check = must(await day.as('alice', 'check', one))
  expect(check.stdout).toContain(`git push origin ${short(one)}:refs/heads/release\n`)

  const promoted = must(await day.as('alice', 'promote', '--yes'))
  expect(promoted.stdout).toContain(`release is at ${short(one)}`)
  expect(repository.server('rev-parse', 'refs/heads/release')).toBe(one)
  const { entries } = parseReleaseLog(Buffer.from(day.log()))
  expect(entries.at(-1)?.entry).toMatchObject({ kind: 'promotion', commit: one, smoke: { result: 'PASSED' } })
  for (const ref of ['refs/tags/release', 'refs/release'])
    expect(repository.server('rev-parse', ref)).toBe(wrong)
})

test('a promotion beside a branch of an odd name says why it goes nowhere, and the doctor how it would', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const { repository } = day
  const zero = day.release()!
  const must = (ran: Ran): Ran => repository.mustRun(ran)
  // A push beside this one goes nowhere.
  repository.server(...OFF, 'update-ref', ODD, zero)
  const ambiguous = await day.as('alice', 'promote', '--yes')
  expect(ambiguous.code, ambiguous.all).toBe(78)
  expect(ambiguous.stderr).toContain('git knows several refs there by the name refs/heads/release')
  expect(ambiguous.stderr).toContain('headgate doctor names the others')
  expect(day.release()).toBe(zero)
  const { stdout } = await day.as('alice', 'doctor')
  const [, fix = ''] = /fix: (git push origin :refs\/heads\/refs.*)$/m.exec(stdout) ?? []
  must(repository.run('sh', ['-c', fix], { cwd: day.clone('alice') }))

  must(await day.as('alice', 'promote', '--no-record', '--yes'))
  expect(repository.server('rev-parse', 'refs/heads/release')).toBe(day.commit('one'))
})

test('what goes back does so, too, and is verified', { timeout: 900_000 }, async () => {
  const day = await Day.begin({ begin: releasedBad })
  const { repository } = day
  const zero = day.commit('zero')
  repository.mustRun(await day.as('alice', 'init'))
  const wrong = confuse(day, 'alice')
  const must = (ran: Ran): Ran => repository.mustRun(ran)
  must(await day.as('alice', 'rollback', ...WHY))
  expect(repository.server('rev-parse', 'refs/heads/release')).toBe(zero)
  const { entries } = parseReleaseLog(Buffer.from(day.log()))
  expect(entries.at(-1)?.entry).toMatchObject({ kind: 'rollback', commit: zero })
  const verified = must(await day.as('alice', 'verify'))
  expect(verified.stdout).toContain('VERIFIED')

  // The clone's hook and the server judge what is pushed to the branch, by whatever name.
  const push = repository.run('git', ['push', 'origin', `+${wrong}:refs/heads/release`], {
    cwd: day.clone('alice'),
  })
  expect(push.code).toBe(1)
  expect(push.all).toContain('Nothing was sent.')
  expect(push.all).toContain('[on-staging]')
})

test('the first release makes the branch, and no other', async () => {
  const day = await Day.begin({ begin: proved })
  const one = day.commit('one')
  confuse(day, 'alice')
  const ran = await day.as('alice', 'promote', '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(day.repository.server('rev-parse', 'refs/heads/release')).toBe(one)
})

test('a short name that means two commits is refused; a full one is not', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const wrong = confuse(day, 'alice')
  const one = day.commit('one')
  const cwd = day.clone('alice')
  day.repository.mustRun(day.repository.run('git', ['branch', 'one', one], { cwd }))
  day.repository.mustRun(day.repository.run('git', ['tag', 'one', wrong], { cwd }))
  const client = new ClientRepository({ folder: cwd, environment: day.repository.env })
  for (const name of ['one', 'one~0', 'one^{commit}', 'main', 'origin/main'])
    await expect(client.resolveCommit(name), name).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(`"${name}" is ambiguous in this clone: `),
    })
  const named = await day.as('alice', 'check', 'one')
  expect(named.code, named.all).toBe(64)
  expect(named.stderr).toContain('headgate: "one" is ambiguous in this clone: ')
  expect(named.stderr).toContain(`refs/tags/one (${short(wrong)}), refs/heads/one (${short(one)})`)
  expect(named.stderr).toContain('hint: write the full name of the one that you mean, such as refs/heads/one')
  for (const name of ['refs/heads/one', 'refs/heads/one~0', short(one), `${one}^{commit}`])
    expect(await client.resolveCommit(name), name).toBe(one)
  const full = await day.as('alice', 'check', 'refs/heads/one')
  expect(full.code, full.all).toBe(0)
  expect(full.stdout).toContain(`${short(one)}:refs/heads/release`)
  // Two names of one commit are one meaning.
  day.repository.mustRun(day.repository.run('git', ['tag', '-f', '-a', '-m', 'one', 'one', one], { cwd }))
  expect(await client.resolveCommit('one')).toBe(one)
})

test('the doctor names what is in the way, on the server, on the remote and in the clone', () => {
  const repository = guarded({ prepare: released })
  const tip = repository.git('rev-parse', 'HEAD')
  const server = () => repository.headgate('doctor', repository.bare)
  const clone = () => repository.headgate('doctor')
  expect([server().code, clone().code]).toEqual([0, 0])
  repository.server(...OFF, 'update-ref', 'refs/tags/release', tip)
  repository.git('fetch', '-q', 'origin', 'refs/tags/release:refs/tags/release')
  repository.git('branch', 'origin/main', tip)
  repository.git('update-ref', 'refs/main', tip)

  const there = server()
  expect(there.code).toBe(77)
  expect(unwrapped(there.stdout)).toContain(
    'refs/tags/release is here: git takes release for it and not for the branch, or for both',
  )
  const here = clone()
  expect(here.code).toBe(77)
  expect(unwrapped(here.stdout)).toContain('refs/tags/release is on origin: ')
  for (const ref of ['refs/tags/release', 'refs/heads/origin/main', 'refs/main'])
    expect(unwrapped(here.stdout)).toContain(`${ref} is in this clone: `)

  // Nothing of it is done by --fix, and each fix can be pasted.
  repository.headgate('doctor', repository.bare, '--fix')
  repository.headgate('doctor', '--fix')
  expect(repository.ref('refs/tags/release')).toBe(tip)
  const fixes = (text: string) =>
    [...text.matchAll(/fix: (git .*(?:release|main|NAME).*)$/gm)].map(([, fix = '']) => fix)
  expect(fixes(here.stdout)).toEqual([
    expect.stringContaining('git push origin :refs/tags/release'),
    'git update-ref --no-deref -d refs/main',
    'git tag -d release',
    'git branch -m origin/main NAME',
  ])
  for (const fix of fixes(here.stdout))
    repository.mustRun(repository.run('sh', ['-c', fix], { cwd: repository.clone }))
  expect([server().code, clone().code]).toEqual([0, 0])
  expect(repository.ref('refs/tags/release')).toBeNull()
  expect(clone().stdout).not.toContain('for the branch')
})

test('a server’s tag that is an alias of the branch goes without the branch', () => {
  const repository = guarded({ prepare: released })
  const tip = repository.ref('refs/heads/release')
  repository.server('symbolic-ref', 'refs/tags/release', 'refs/heads/release')
  const { stdout } = repository.headgate('doctor', repository.bare)
  const [, fix = ''] = /fix: (git .*refs\/tags\/release)$/m.exec(stdout) ?? []
  repository.mustRun(repository.run('sh', ['-c', fix]))
  expect(repository.ref('refs/tags/release')).toBeNull()
  expect(readFileSync(join(repository.bare, 'refs/heads/release'), 'utf8').trim()).toBe(tip)
})

test('a ledger ref that is a tag of the ledger is said to be one, by every command', async () => {
  const repository = guarded({ prepare: released })
  const tip = repository.server('rev-parse', 'refs/headgate/ledger')
  repository.server('tag', '-a', '-m', 'x', 'x', tip)
  const tag = repository.server('rev-parse', 'refs/tags/x')
  repository.server(...OFF, 'update-ref', 'refs/headgate/ledger', tag)
  const commands = [
    ['status'],
    ['check', 'HEAD'],
    ['deploy-check', 'HEAD', '--environment', 'production'],
    ['log'],
    ['verify'],
  ]
  for (const args of commands) {
    const ran = repository.headgate(...args)
    expect(ran.code, ran.all).not.toBe(0)
    expect(unwrapped(ran.all), args[0]).toMatch(/tag/)
  }
  const status = repository.headgate('status')
  expect(status.code).toBe(65)
  expect(status.stderr).toContain(`the ledger's tip ${short(tag)} is a tag object and no commit`)
})
