import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseReleaseLog } from '../../src/core/release-log.ts'
import { Day, proved, releasedAndProved, releasedAndProvedTwice } from './day.ts'
import { headgate } from './run-program.ts'

const short = (oid: string) => oid.slice(0, 7)
const kinds = (day: Day) =>
  parseReleaseLog(Buffer.from(day.log())).entries.map(({ entry }) => `${entry.kind} ${short(entry.commit)}`)

test('the newest proved commit is promoted, production tested, and all of it written down', async () => {
  const day = await Day.begin({ begin: proved })
  const commit = day.commit('one')
  const later = day.push('Not proved yet')

  const ran = await day.as('alice', 'promote', '--yes', '--note', 'weekly', '--plan', 'ticket 4711')

  expect(ran.code, ran.all).toBe(0)
  expect(ran.stdout).toBe(
    `promoted: release is at ${short(commit)}\n` +
      `done: ${short(commit)} is released; production serves it and passed its smoke test\n`,
  )
  expect(ran.stderr).toContain('release on origin: the first release, 2 commits\nby Dev\n')
  expect(ran.stderr).not.toMatch(/\x1b|.{160}/)
  const [plan] = ran.stderr.split('\nremote: ')
  expect(plan).not.toMatch(/.{81}/)
  expect(day.release()).toBe(commit)
  const { entries, problems } = parseReleaseLog(Buffer.from(day.log()))
  expect(problems).toEqual([])
  expect(entries.map(({ entry }) => entry)).toMatchObject([
    {
      kind: 'promotion',
      commit,
      from: null,
      operator: 'alice',
      stagingBase: later,
      stagingGates: { result: 'PASSED', by: 'ci@example.com' },
      smoke: { result: 'PASSED', by: 'alice', gates: [{ name: 'health' }, { name: 'chat' }] },
      notes: 'weekly',
      plan: 'ticket 4711',
      record: 3,
    },
  ])
  // The entry is a commit of its own on main, by whoever promoted, and changes nothing else.
  const { repository } = day
  expect(repository.server('log', '-1', '--format=%P %s', 'main')).toBe(
    `${later} Release log: promotion to ${short(commit)}`,
  )
  expect(repository.server('diff', '--name-only', later, 'main')).toBe('docs/RELEASE_LOG.md')
})

test('without a terminal nothing is pushed unasked', async () => {
  const day = await Day.begin({ begin: proved })
  const ran = await day.as('alice', 'promote')
  expect(ran.stderr).toMatch(
    /headgate: there is no terminal to ask on\n {2}hint: look at what would be done, above, and say --yes\n$/,
  )
  expect(ran.code).toBe(64)
  expect(day.release()).toBeNull()
})

test('what the server would refuse is refused here, by the same rules, and nothing is pushed', async () => {
  const day = await Day.begin()
  const commit = day.push('one')
  const named = await day.as('alice', 'promote', commit, '--yes')
  expect(named.stderr).toContain(`headgate: ${short(commit)} cannot be promoted now\n`)
  expect(named.stderr).toContain('[evidence]')
  expect(named.stderr).toContain(`there is no staging evidence for ${short(commit)}`)
  expect(named.code).toBe(77)

  const newest = await day.as('alice', 'promote', '--yes')
  expect(newest.stderr).toMatch(/^headgate: no commit of main can be promoted now\n/)
  expect(newest.code).toBe(77)
  expect(day.release()).toBeNull()
})

test("the laptop dies between push and log entry: another operator's run finishes it, and promotes nothing else", async () => {
  const day = await Day.begin({ begin: proved })
  const one = day.commit('one')
  day.production.stuck = true
  const died = await day.watch('alice', ['promote', one, '--yes', '--note', 'weekly'], (text, interrupt) => {
    if (text.includes('waiting for production')) interrupt('SIGKILL')
  })
  expect(died.code).toBe(-1)
  expect(day.release()).toBe(one)
  expect(day.log()).toBe('')
  await day.proved('two')
  day.production.stuck = false

  const ran = await day.as('bob', 'promote', '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain(
    `release is at ${short(one)} already (promotion by alice): going on from there\n`,
  )
  expect(day.release()).toBe(one)
  const [first] = parseReleaseLog(Buffer.from(day.log())).entries
  expect(first?.entry).toMatchObject({ operator: 'alice', notes: 'weekly', smoke: { by: 'bob' } })

  // Finished, so that the next run is about the next commit.
  const again = await day.as('bob', 'promote', '--yes')
  expect(again.stdout).toMatch(/^promoted: /)
  expect(kinds(day)).toEqual([`promotion ${short(one)}`, `promotion ${short(day.release() ?? '')}`])
})

test('an interrupted wait says how to go on, and naming the commit does', async () => {
  const day = await Day.begin({ begin: proved })
  const one = day.commit('one')
  day.production.stuck = true
  const stopped = await day.watch('alice', ['promote', '--yes'], (text, interrupt) => {
    if (text.includes('waiting for production')) interrupt()
  })
  expect(stopped.stderr).toMatch(
    new RegExp(
      `headgate: interrupted while waiting for production\n  hint: release is at ${short(one)}; go on with: headgate promote ${short(one)} --yes\n$`,
    ),
  )
  expect(stopped.code).toBe(69)

  const late = await day.as('alice', 'promote', one, '--yes', '--wait', '1s')
  expect(late.stderr).toContain(`headgate: production does not serve ${short(one)} after 1 s`)
  expect(late.code).toBe(69)

  day.production.stuck = false
  const ran = await day.as('alice', 'promote', one, '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(kinds(day)).toEqual([`promotion ${short(one)}`])
  // Once more: there is nothing left to do, and nothing is written twice.
  const again = await day.as('alice', 'promote', one, '--yes')
  expect(again.code).toBe(0)
  expect(again.stderr).toContain('docs/RELEASE_LOG.md has the entry already')
  expect(kinds(day)).toEqual([`promotion ${short(one)}`])
})

test('main moves five times while the log entry is written', async () => {
  const day = await Day.begin({ begin: proved })
  const one = day.commit('one')
  const push = `cd ${day.clone('erin')} && "$GIT" pull -q --rebase && "$GIT" commit -q --allow-empty -m busy && TEST_PUSHER=erin "$GIT" push -q origin HEAD:main`
  day.beforePush('alice', 'main', push, 5)

  const ran = await day.as('alice', 'promote', '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr.match(/main moved meanwhile/g)).toHaveLength(5)
  expect(kinds(day)).toEqual([`promotion ${short(one)}`])
  const subjects = day.repository.server('log', '-7', '--format=%s', 'main').split('\n')
  expect(subjects).toEqual([`Release log: promotion to ${short(one)}`, ...Array(5).fill('busy'), 'one'])
})

test('two operators promote the same commit at once: one push, one entry, and both are told the truth', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const one = day.commit('one')
  const both = await Promise.all([
    day.as('alice', 'promote', one, '--yes'),
    day.as('bob', 'promote', one, '--yes'),
  ])
  for (const ran of both) expect(ran.code, ran.all).toBe(0)
  expect(day.release()).toBe(one)
  expect(kinds(day).filter((kind) => kind === `promotion ${short(one)}`)).toHaveLength(1)
  const landed = day.repository
    .ledgerSubjects()
    .filter((subject) => subject.startsWith(`promotion ${short(one)} landed`))
  expect(landed).toHaveLength(1)
})

test('another operator is faster with another commit: nothing is pushed over it', async () => {
  const day = await Day.begin({ begin: releasedAndProvedTwice })
  const [one, two] = [day.commit('one'), day.commit('two')]
  const push = `cd ${day.repository.clone} && TEST_PUSHER=bob "$GIT" push -q origin ${two}:release`
  day.beforePush('alice', 'release', push)
  const ran = await day.as('alice', 'promote', one, '--yes')
  expect(ran.stderr).toMatch(
    new RegExp(
      `headgate: release moved meanwhile: it is at ${short(two)}, by bob\n  hint: look at what was released, then decide anew: headgate status\n$`,
    ),
  )
  expect(ran.code).toBe(77)
  expect(day.release()).toBe(two)
})

test('a freeze starts while a promotion is under way: the server has the last word', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const zero = day.commit('zero')
  day.beforePush('alice', 'release', day.shell('bob', "freeze --reason 'sale weekend'"))
  const ran = await day.as('alice', 'promote', '--yes')
  expect(ran.stderr).toMatch(
    /headgate: the server refused to move release\n {2}release: .*\n {4}\[frozen\]\n {6}release is frozen until /,
  )
  expect(ran.stderr).toContain('sale weekend')
  expect(ran.stderr).toContain('headgate unfreeze')
  expect(ran.code).toBe(77)
  expect(day.release()).toBe(zero)
  const again = await day.as('alice', 'promote', '--yes')
  expect(again.stderr).toMatch(
    /^headgate: no commit of main can be promoted now\n {2}the newest that staging has proved/,
  )
  expect(again.stderr).toContain('[frozen]')
  expect(again.code).toBe(77)
})

test('another operator moves on while production is waited for: the wait ends, and says what became of it', async () => {
  const day = await Day.begin({ begin: releasedAndProvedTwice })
  const [zero, one, two] = [day.commit('zero'), day.commit('one'), day.commit('two')]
  const { repository } = day
  day.production.stuck = true
  let moved = false
  const ran = await day.watch('alice', ['promote', one, '--yes', '--json'], (text) => {
    if (moved || !text.includes('waiting for production')) return
    moved = true
    repository.mustRun(repository.push(`${two}:release`, { as: 'bob' }))
    day.production.stuck = false
  })
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain(
    `done: ${short(one)} was released; release is at ${short(two)} (promotion by bob) by now\n`,
  )
  expect(JSON.parse(ran.stdout)).toMatchObject({
    release: two,
    lastMove: { kind: 'promotion', from: one, to: two, by: 'bob' },
    production: { kind: 'untested' },
    log: null,
  })

  day.production.stuck = true
  moved = false
  const three = await day.proved('three')
  const back = await day.watch('alice', ['promote', three, '--yes'], (text) => {
    if (moved || !text.includes('waiting for production')) return
    moved = true
    const approval = repository.sign(repository.approvalPayload(three, zero), 'bob', 'headgate-approval')
    repository.mustRun(repository.submit(approval, 'bob'))
    repository.mustRun(repository.push(`+${zero}:release`, { as: 'bob' }))
    day.production.stuck = false
  })
  expect(back.stderr).toContain(
    `headgate: ${short(three)} was taken back: release is at ${short(zero)} (rollback by bob)\n`,
  )
  expect(back.code).toBe(77)
})

test('git does not know the operator: said before anything is pushed', async () => {
  const day = await Day.begin({ begin: proved })
  day.repository.run('git', ['config', 'user.name', ''], { cwd: day.clone('alice') })
  const ran = await day.as('alice', 'promote', '--yes')
  expect(ran.stderr).toMatch(/^headgate: git does not know who you are, and the log entry is a commit\n/)
  expect(ran.code).toBe(78)
  expect(day.release()).toBeNull()
})

test('push options of a plain push make the same entry', async () => {
  const day = await Day.begin({ begin: proved })
  const one = day.commit('one')
  const { repository } = day
  const options = ['-o', 'note=weekly', '-o', 'plan=ticket 4711']
  repository.mustRun(repository.push(`${one}:refs/heads/release`, { args: options }))
  const ran = await day.as('bob', 'promote', '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(parseReleaseLog(Buffer.from(day.log())).entries[0]?.entry).toMatchObject({
    operator: 'alice',
    notes: 'weekly',
    plan: 'ticket 4711',
  })
})

test('a key that may not sign evidence: an error before anything moves; told so, the smoke runs, and is completed later', async () => {
  const productionGate = "{ name: drills, run: 'echo drilled $MODE' }"
  const day = await Day.begin({ operatorsSmoke: false, productionGate })
  const one = await day.proved('one')
  const bare = await day.as('alice', 'promote', '--yes')
  expect(bare.code, bare.all).toBe(64)
  expect(bare.stderr).toMatch(/could not be recorded: .+\n {2}hint: .*--key FILE.*--no-record/)
  expect(day.release()).toBe(null)
  const ran = await day.as('alice', 'promote', '--yes', '--no-record')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain('remark: the production smoke will run and will not be recorded: --no-record')
  expect(ran.stderr).toContain('\n  drills | drilled prod\n')
  expect(ran.stderr).toContain('PASSED: 3 of 3 gates passed; not recorded')
  expect(parseReleaseLog(Buffer.from(day.log())).entries[0]?.entry).toMatchObject({
    commit: one,
    smoke: null,
  })
  const key = day.repository.key('ci')
  const completed = await day.as('alice', 'promote', one, '--yes', '--smoke-key', key)
  expect(completed.code, completed.all).toBe(0)
  const { entries, amendments, problems } = parseReleaseLog(Buffer.from(day.log()))
  expect([entries.length, problems]).toEqual([1, []])
  expect(amendments.map(({ amendment }) => amendment)).toMatchObject([
    { commit: one, record: entries[0]?.entry.record, smoke: { result: 'PASSED', by: 'ci@example.com' } },
  ])
  // Once is enough.
  expect((await day.as('alice', 'log', '--append')).stdout).toBe(
    'the release log has an entry for every landed move\n',
  )
  const verified = await day.as('alice', 'verify')
  expect(verified.code, verified.all).toBe(0)
  expect(verified.all).not.toContain('[release-log]')

  const two = await day.proved('two')
  const recorded = await day.as('alice', 'promote', '--yes', '--smoke-key', key)
  expect(recorded.code, recorded.all).toBe(0)
  expect(parseReleaseLog(Buffer.from(day.log())).entries[1]?.entry).toMatchObject({
    commit: two,
    smoke: { by: 'ci@example.com' },
  })
})

test('main takes only reviewed changes: the promotion landed, and the entry goes where it is reviewed', async () => {
  const day = await Day.begin({ begin: proved })
  const one = day.commit('one')
  const hook = join(day.repository.bare, 'hooks/update')
  writeFileSync(
    hook,
    '#!/bin/sh\n[ "$1" != refs/heads/main ] || { echo "main: reviewed changes only" >&2; exit 1; }\n',
    {
      mode: 0o755,
    },
  )
  const ran = await day.as('alice', 'promote', '--yes')
  expect(ran.code).toBe(77)
  expect(ran.stdout).toBe(`promoted: release is at ${short(one)}\n`)
  expect(ran.stderr).toContain('headgate: the release log entry is not written on main: ')
  expect(ran.stderr).toContain('main: reviewed changes only')
  expect(ran.stderr).toContain(
    'hint: where main takes only reviewed changes: headgate log --append --log-branch NAME\n',
  )
  const again = await day.as('alice', 'promote', '--yes', '--log-branch', 'release-log')
  expect(again.code, again.all).toBe(0)
  expect(again.stderr).toContain('docs/RELEASE_LOG.md: 1 entry appended on release-log')
  expect(day.repository.server('diff', '--name-only', 'main', 'release-log')).toBe('docs/RELEASE_LOG.md')
})

test('a commit that is released already is no promotion', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const { repository } = day
  repository.mustRun(repository.push(`${day.commit('one')}:release`))
  const zero = day.commit('zero')
  const ran = await day.as('alice', 'promote', zero, '--yes')
  expect(ran.stderr).toMatch(new RegExp(`^headgate: release has ${short(zero)} already: it is at `))
  expect(ran.code).toBe(64)
})

test('headgate that only evaluates: what objects is said, and the promotion is made', async () => {
  const day = await Day.begin({ enforcement: 'evaluate' })
  const one = day.push('one')
  const ran = await day.as('alice', 'promote', one, '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain('remark: enforcement: evaluate refuses nothing, but these rules object:')
  expect(ran.stderr).toContain('[evidence]')
  expect(parseReleaseLog(Buffer.from(day.log())).entries[0]?.entry).toMatchObject({
    commit: one,
    stagingGates: null,
  })
})

test.for([{ LC_ALL: 'fr_FR.UTF-8' }, { LC_ALL: '', LANG: 'de_DE.UTF-8' }])(
  'a command gate has the same environment under promote as under gate (%j)',
  async (locale) => {
    const day = await Day.begin({
      begin: proved,
      productionGate: '{ name: facts, run: "env | sort >facts.txt" }',
    })
    const cwd = day.clone('alice')
    const env = { TEST_PUSHER: 'alice', HEADGATE_KEY: day.repository.key('alice'), ...locale }
    const told = async (...args: string[]) => {
      const ran = await headgate(day.repository, args, { cwd, env })
      expect(ran.code, ran.all).toBe(0)
      return readFileSync(join(cwd, 'facts.txt'), 'utf8')
    }
    const promote = await told('promote', '--yes')
    for (const [name, value] of Object.entries(locale)) expect(promote).toContain(`${name}=${value}\n`)
    expect(await told('gate', '--mode', 'prod', '--record')).toBe(promote)
  },
)

test('without a terminal nothing that an earlier run began is gone on with unasked', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const one = day.commit('one')
  day.repository.mustRun(day.repository.push(`${one}:release`))
  const before = [day.repository.ledgerSubjects(), day.log(), day.repository.ref('refs/heads/main')]
  for (const call of [['promote'], ['promote', one], ['promote', '--json']]) {
    const ran = await day.as('alice', ...call)
    expect(ran.code, ran.all).toBe(64)
    expect(ran.stderr).toContain('headgate: there is no terminal to ask on\n')
  }
  expect([day.repository.ledgerSubjects(), day.log(), day.repository.ref('refs/heads/main')]).toEqual(before)
  expect((await day.as('alice', 'promote', '--yes')).code).toBe(0)
})
