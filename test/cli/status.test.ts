import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { statementPayload } from '../../src/core/statement.ts'
import { lastCommits, released, releasedTwice } from '../beginnings.ts'
import { PROGRAM, REPOSITORY_NAME } from '../make-repository.ts'
import { Day, releasedAndProved, released as releasedByDay } from './day.ts'
import { guarded } from './run-program.ts'

const short = (oid: string) => oid.slice(0, 7)
/** Without what depends on the clock: ages, and the columns that they widen. */
const still = (text: string) =>
  text
    .replace(/(?:\d+ min )?\d+ (?:m?s|min) ago/g, 'now')
    .replace(/(?<=[a-z]) (?:\d+ min )?\d+ (?:m?s|min),/g, ' now,')
    .replace(/(?<=\S) {2,}/g, '  ')

test('a day at a glance, in 80 columns', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const [zero, one] = [day.commit('zero'), day.commit('one')]
  const three = day.push('three')
  const failed = await day.as('alice', 'status')
  expect(failed.code, failed.all).toBe(0)
  expect(still(failed.stdout)).toBe(`git.example.com/app on origin, as of record 6

main  ${short(three)}  now, three
release  ${short(zero)}  promotion by alice, now (record 3)
staging  serves ${short(three)} (main)
production  serves ${short(zero)} (release)
smoke  passed now, by alice (record 5)

2 commits on main ahead of release, newest first:
  ${short(three)}  no evidence  Dev  three
> ${short(one)}  passed now, ci  Dev  one

release can move to ${short(one)} now:
  headgate promote ${short(one)} --key FILE
  (proved at ${day.staging.url})
`)
  day.push(`a subject that goes on ${'and on '.repeat(30)}until no terminal could show it all`)
  const wide = await day.as('alice', 'status', '--no-environments')
  expect(wide.stdout).toMatch(/a subject that goes on and on .*\.\.\.$/m)
  for (const line of wide.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  expect(wide.stdout).not.toContain('\x1b')
})

test('what stands in the way is said: a freeze, a bar, a failed run, evidence taken back, drift', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const ask = () => repository.headgate('status', '--no-environments').stdout
  const refspec = (payload: string, key: string, namespace: string) =>
    repository.inboxRefspec(repository.sign(payload, key, namespace))
  const approval = refspec(repository.approvalPayload(two, one), 'alice', 'headgate-approval')
  repository.mustRun(repository.push([approval, `+${one}:refs/heads/release`]))
  const barred = ask()
  expect(barred).toContain(`rolled back from, barred until staging proves it anew: ${short(two)} (`)
  expect(barred).toMatch(new RegExp(`^ {2}${short(two)} {2}passed .*\\[barred\\] two$`, 'm'))
  const failing = repository.commit('failing')
  const failure = repository.evidencePayload(failing, (predicate) => {
    predicate.result = 'FAILED'
    predicate.passedTests = ['health']
    predicate.failedTests = ['chat']
    predicate.headgate.gates[1].outcome = 'failed'
  })
  const failed = refspec(failure, 'ci', 'headgate-evidence')
  const invalid = repository.commit('invalid')
  const passed = refspec(repository.evidencePayload(invalid), 'ci', 'headgate-evidence')
  repository.mustRun(repository.push(['main', failed, passed], { as: 'ci' }))
  const issuedAt = new Date().toISOString()
  const until = new Date(Date.now() + 3_600_000).toISOString()
  const said = [
    statementPayload('freeze', REPOSITORY_NAME, one, { until, reason: 'sale weekend', issuedAt }),
    statementPayload('invalidation', REPOSITORY_NAME, invalid, { reason: 'wrong database', issuedAt }),
  ]
  repository.mustRun(repository.push(said.map((payload) => refspec(payload, 'alice', 'headgate-approval'))))
  const text = ask()
  expect(text).toMatch(/\nFROZEN until .*Z, by alice \(record \d+\):\n? *sale\n? *weekend/)
  expect(text).toContain('nothing can be promoted now')
  expect(text).toMatch(new RegExp(`^ {2}${short(failing)} {2}failed `, 'm'))
  expect(text).toMatch(new RegExp(`^ {2}${short(invalid)} {2}invalidated `, 'm'))

  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', two)
  expect(ask().replaceAll('\n  ', ' ')).toContain(
    `DRIFT: release is ${short(two)}, and the ledger says ${short(one)}: someone moved it behind the guard.`,
  )
  const json = JSON.parse(repository.headgate('status', '--no-environments', '--json').stdout)
  expect(json).toMatchObject({
    drift: { expected: one, found: two },
    freeze: { reason: 'sale weekend' },
    bars: [{ commit: two }],
    serving: null,
    promotable: null,
  })
})

test('under a drift nobody is credited, and promote and rollback name it before anything else', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', one)
  const { stdout } = repository.headgate('status', '--no-environments')
  expect(stdout).toContain(`release     ${short(one)}  drifted: no move that is recorded put it there\n`)
  expect(stdout.replaceAll('\n  ', ' ')).toMatch(
    new RegExp(`the last move that is recorded: promotion by alice, .* to ${short(two)}`),
  )
  expect(stdout).toMatch(/accepts that:\n {2}headgate drift --reason TEXT --key FILE\n$/)
  expect(stdout).not.toMatch(/nothing to do|headgate promote|headgate rollback|unfinished/)
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  const words = ['--trigger', 'alarm', '--symptoms', '500']
  for (const call of [['promote'], ['promote', two], ['rollback', ...words], ['rollback', one, ...words]]) {
    const ran = repository.headgate(...call, '--yes')
    expect(ran.code, ran.all).toBe(77)
    expect(ran.stderr).toContain(
      `headgate: DRIFT: release is ${short(one)}, and the ledger says ${short(two)}: someone moved it behind the guard\n`,
    )
    expect(ran.stderr).toContain('headgate drift --reason TEXT --key FILE\n')
  }
})

test('a promotion that nobody has finished shows, with the command that finishes it', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const one = day.commit('one')
  day.repository.mustRun(day.repository.push(`${one}:release`))
  const { stdout } = await day.as('bob', 'status')
  expect(stdout.replaceAll('\n  ', ' ')).toContain(
    `unfinished: the promotion to ${short(one)} by alice is not in docs/RELEASE_LOG.md yet; who goes on with it waits for production, tests it and writes it down: headgate promote ${short(one)} --key FILE\n`,
  )
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  expect(JSON.parse((await day.as('bob', 'status', '--json')).stdout).unfinished).toBeGreaterThan(1)
  expect((await day.as('bob', 'promote', one, '--yes')).code).toBe(0)
  expect((await day.as('bob', 'status')).stdout).not.toContain('unfinished')
})

test('hostile names and subjects are shown and not obeyed', () => {
  const repository = guarded()
  repository.git('config', 'user.name', 'Eve\x1b[2J\u202e')
  repository.commit('subject \x1b]0;owned\x07 \u202egpj')
  repository.mustRun(repository.push('main'))
  const { stdout } = repository.headgate('status', '--no-environments')
  expect(stdout.replaceAll('\n', '')).not.toMatch(/[\x00-\x1f\x7f\u202e]/)
  expect(stdout).toContain('\\x1b]0;owned')
})

test('before the first push, where nobody guards, and with odd options', () => {
  const repository = guarded()
  expect(repository.headgate('status', '--no-environments').stdout).toContain(
    'release     does not exist yet\n',
  )
  expect(repository.headgate('status', '--limit', '0')).toMatchObject({ code: 64 })
  const open = guarded({ install: false })
  const ran = open.headgate('status')
  expect(ran.stderr).toContain('headgate: the remote "origin" is not guarded by headgate\n')
  expect(ran.code).toBe(78)
})

test('thousands of commits ahead are counted, and the newest listed', () => {
  const repository = guarded({ prepare: released })
  const one = repository.git('rev-parse', 'HEAD')
  const stream = Array.from({ length: 3000 }, (_, index) => {
    const from = index === 0 ? `from ${one}\n` : ''
    return `commit refs/heads/main\ncommitter Dev <dev@example.com> ${1_800_000_000 + index} +0000\ndata 4\nbusy\n${from}\n`
  })
  repository.mustRun(
    repository.run('git', ['fast-import', '--quiet', '--force'], {
      cwd: repository.clone,
      input: stream.join(''),
    }),
  )
  repository.mustRun(repository.push('main'))
  // Every git that is started is counted: reading each commit's records with a process of its own would be thousands.
  const bin = join(repository.folder, 'bin')
  mkdirSync(bin)
  const git = repository.mustRun(repository.run('sh', ['-c', 'command -v git'])).stdout.trim()
  writeFileSync(join(bin, 'git'), `#!/bin/sh\necho >> ${bin}/started\nexec ${git} "$@"\n`, { mode: 0o755 })
  const status = (...args: string[]) =>
    repository.run(process.execPath, [PROGRAM, 'status', '--no-environments', ...args], {
      cwd: repository.clone,
      env: { PATH: `${bin}:${repository.env.PATH}` },
    })
  const { stdout, code } = status('--limit', '3')
  expect(code).toBe(0)
  expect(stdout).toContain('3000 commits on main ahead of release, newest first:')
  expect(stdout).toContain('  and 2997 more: headgate status --limit 3000\n')
  // The one that can go is far down.
  const proved = repository.git('rev-parse', 'main~2000')
  repository.prove(proved)
  expect(JSON.parse(status('--json').stdout).promotable).toBe(proved)
  expect(readFileSync(join(bin, 'started'), 'utf8').length).toBeLessThan(150)
})

test("the log's own commits are no candidates, and count where staging proved one with what is below it", async () => {
  const day = await Day.begin({ begin: releasedByDay })
  const status = async () =>
    JSON.parse((await day.as('alice', 'status', '--json', '--no-environments')).stdout)
  day.repository.git('pull', '-q', '--ff-only', 'origin', 'main')
  const subject = day.repository.git('log', '-1', '--format=%s')
  expect(subject).toMatch(/^Release log: /)
  expect(await status()).toMatchObject({ candidateCount: 0, candidates: [] })
  const text = (await day.as('alice', 'status', '--no-environments')).stdout
  expect(text).toContain('release has everything that main has\n')
  // Proved, it still brings nothing.
  day.repository.prove(day.repository.git('rev-parse', 'main'))
  expect(await status()).toMatchObject({ candidateCount: 0, candidates: [], promotable: null })

  const code = day.push('code')
  const log = day.repository.commit('an entry', { 'docs/RELEASE_LOG.md': `${day.log()}\nmore\n` })
  day.repository.mustRun(day.repository.push('main'))
  expect(await status()).toMatchObject({ candidateCount: 1, candidates: [{ oid: code }] })
  day.repository.prove(log)
  const proved = await status()
  expect(proved).toMatchObject({ candidateCount: 1, promotable: log })
})
