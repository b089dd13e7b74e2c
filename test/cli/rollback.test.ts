import { expect, test } from 'vitest'
import { parseReleaseLog } from '../../src/core/release-log.ts'
import { Day, proved, released, releasedBad } from './day.ts'

const short = (oid: string) => oid.slice(0, 7)
const WHY = ['--trigger', 'pager', '--symptoms', '500 on /chat'] as const
const FOUR_EYES = '{ approvers: [alice, bob], approverMayPush: false }'
const entries = (day: Day) => parseReleaseLog(Buffer.from(day.log())).entries.map(({ entry }) => entry)

/** Bob approves one move. */
function approve({ repository }: Day, from: string, to: string, expires = Date.now() + 3_600_000): void {
  const payload = repository.approvalPayload(from, to, (predicate) => {
    predicate.expiresAt = new Date(expires).toISOString()
  })
  repository.mustRun(repository.submit(repository.sign(payload, 'bob', 'headgate-approval'), 'bob'))
}

/** A release that works, and one on top of it that fails in production. */
async function trouble(options: Parameters<typeof Day.begin>[0] = {}) {
  const day = await Day.begin({ ...options, begin: releasedBad })
  const [good, bad] = [day.commit('zero'), day.commit('bad')]
  expect(day.release()).toBe(bad)
  return { day, good, bad }
}

/** Alice promotes what fails in production; the way back is named. */
async function promotesInVain(day: Day, good: string, bad: string): Promise<void> {
  const second = await day.as('alice', 'promote', bad, '--yes')
  expect(second.code, second.all).toBe(77)
  expect(second.stderr).toContain(`PRODUCTION SMOKE FAILED for ${short(bad)}, which release is at now`)
  expect(second.stdout).toContain(
    `  headgate rollback ${short(good)} --trigger 'the production smoke failed' --symptoms 'chat: status 500, expected 200'\n`,
  )
  expect(day.release()).toBe(bad)
}

test('a failed smoke, and the way back to the last known-good release, verified and written down', async () => {
  const day = await Day.begin({ begin: released })
  const good = day.commit('zero')
  const bad = await day.proved('bad', { release: 'broken' })
  await promotesInVain(day, good, bad)
  // Whoever looks now, or would promote on top of it, is told.
  const { stdout } = await day.as('bob', 'status')
  expect(stdout).toMatch(/^smoke {7}failed .* ago, by alice \(record \d+\): chat$/m)
  expect(stdout).toContain(`headgate rollback ${short(good)} `)
  // Above the release is the log's own commit alone, which brings nothing to production.
  expect(stdout).not.toContain('headgate check')
  const ran = await day.as('bob', 'rollback', ...WHY, '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stdout).toBe(
    `rolled back: release is at ${short(good)}\n` +
      `done: release is back at ${short(good)}; production serves it and passed its smoke test\n`,
  )
  expect(day.release()).toBe(good)
  expect(entries(day)).toMatchObject([
    { kind: 'promotion', commit: good, smoke: { result: 'PASSED' } },
    { kind: 'promotion', commit: bad, smoke: { result: 'FAILED' } },
    {
      kind: 'rollback',
      ...{ commit: good, from: bad, operator: 'bob', approvedBy: ['bob'] },
      ...{ trigger: 'pager', symptoms: '500 on /chat' },
      smoke: { result: 'PASSED', by: 'bob' },
    },
  ])
  // Barred: it does not come back on the old evidence, neither by name nor by default.
  const barred = await day.as('alice', 'promote', bad, '--yes')
  expect(barred.stderr).toContain('[barred]')
  expect(barred.code).toBe(77)
  expect((await day.as('alice', 'promote', '--yes')).stderr).toContain('[barred]')
  expect(day.release()).toBe(good)
})

test('four eyes: one says what is needed, the other approves, and the first goes on', async () => {
  const day = await Day.begin({ rollback: FOUR_EYES, begin: released })
  const good = day.commit('zero')
  const bad = await day.proved('bad', { release: 'broken' })
  await promotesInVain(day, good, bad)
  const asked = await day.as('alice', 'rollback', ...WHY, '--yes')
  expect(asked.code).toBe(77)
  expect(asked.stderr).toContain('headgate: going back needs 1 approval more, by bob; nothing was moved\n')
  expect(day.release()).toBe(bad)
  const command = /^ +(headgate approve .*) --key FILE$/m.exec(asked.stderr)?.[1] ?? ''
  expect(command).toBe(
    `headgate approve --from ${short(bad)} --to ${short(good)} --reason pager --trigger pager --symptoms '500 on /chat'`,
  )
  const { repository } = day
  // Bob's clone has none of these commits yet: the command works all the same.
  day.clone('bob')
  repository.mustRun(repository.run('sh', ['-c', day.shell('bob', command.replace('headgate ', ''))]))
  const status = await day.as('alice', 'status')
  expect(status.stdout).toMatch(new RegExp(`open approval to roll back to ${short(good)}: by bob until`))

  const ran = await day.as('alice', 'rollback', ...WHY, '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(entries(day).at(-1)).toMatchObject({ kind: 'rollback', operator: 'alice', approvedBy: ['bob'] })
})

test('an approval that expires between the judgement here and the push permits nothing', async () => {
  const { day, good, bad } = await trouble({ rollback: FOUR_EYES })
  const attempt = async (seconds: number) => {
    approve(day, bad, good, Date.now() + seconds * 1000)
    day.beforePush('alice', 'release', `sleep ${seconds}`)
    return day.as('alice', 'rollback', ...WHY, '--yes')
  }
  // On a slow machine it expires before it is judged here: then it must last longer.
  let [seconds, ran] = [6, await attempt(6)]
  while (ran.stderr.includes('needs 1 approval more') && seconds < 200) {
    seconds *= 3
    ran = await attempt(seconds)
  }
  // The server's verdict as it laid it out, rule by rule.
  expect(ran.stderr).toMatch(
    /headgate: the server refused to move release\n {2}release: .*, a rollback by alice\n {4}\[fast-forward\]\n/,
  )
  expect(ran.stderr).toMatch(/\n {4}\[approval\]\n(?: {6}.*\n)*.*expired\s/)
  expect(ran.stderr).toMatch(/\n {2}hint: nothing was moved\n$/)
  expect(ran.code).toBe(77)
  expect(day.release()).toBe(bad)

  const again = await day.as('alice', 'rollback', ...WHY, '--yes')
  expect(again.stderr).toContain('going back needs 1 approval more, by bob')
})

test('a wrong target is refused by name, with the right one', async () => {
  const { day, good, bad } = await trouble()
  const never = day.repository.git('rev-parse', `${good}~1`)
  const ran = await day.as('bob', 'rollback', never, ...WHY, '--yes')
  expect(ran.stderr).toContain(`headgate: ${short(never)} cannot be gone back to\n`)
  expect(ran.stderr).toContain(`${short(never)} never landed on release`)
  expect(ran.stderr).toContain(
    `hint: the last known-good release: headgate rollback ${short(good)} --trigger pager --symptoms '500 on /chat'\n`,
  )
  expect(ran.code).toBe(77)

  const itself = await day.as('bob', 'rollback', bad, ...WHY, '--yes')
  expect(itself.stderr).toContain(`release is at ${short(bad)} already`)
  const forward = day.push('forward')
  const ahead = await day.as('bob', 'rollback', forward, ...WHY, '--yes')
  expect(ahead.stderr).toContain(`${short(forward)} is no way back`)
  expect([itself.code, ahead.code]).toEqual([64, 64])
  expect(day.release()).toBe(bad)
  expect(day.repository.ledgerSubjects().filter((subject) => subject.startsWith('approval'))).toEqual([])
})

test('a rollback whose laptop died is finished by the next run, and not made twice', async () => {
  const { day, good } = await trouble()
  day.production.stuck = true
  const died = await day.watch('bob', ['rollback', ...WHY, '--yes'], (text, interrupt) => {
    if (text.includes('waiting for production')) interrupt('SIGKILL')
  })
  expect(died.code).toBe(-1)
  expect(day.release()).toBe(good)
  day.production.stuck = false
  const ran = await day.as('alice', 'rollback', ...WHY, '--yes')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain(`release is at ${short(good)} already, rolled back: going on from there\n`)
  expect(day.release()).toBe(good)
  expect(entries(day).map(({ kind }) => kind)).toEqual(['promotion', 'promotion', 'rollback'])
})

test('--auto-rollback goes back by itself where the policy lets whoever pushes approve', async () => {
  const early = await Day.begin({ begin: proved })
  const nowhere = await early.as('alice', 'promote', '--yes', '--auto-rollback')
  expect(nowhere.stderr).toContain('--auto-rollback has nowhere to go back to')
  expect(nowhere.code).toBe(64)
  const day = await Day.begin({ begin: released })
  const good = day.commit('zero')
  const bad = await day.proved('bad', { release: 'broken' })
  const ran = await day.as('alice', 'promote', '--yes', '--auto-rollback')
  // The promotion failed, whatever came after it.
  expect(ran.code, ran.all).toBe(77)
  expect(ran.stdout).toMatch(
    new RegExp(`^promoted: .*${short(bad)}\nrolled back: .*${short(good)}\ndone: release is back`),
  )
  expect(day.release()).toBe(good)
  expect(entries(day).map(({ kind, smoke }) => [kind, smoke?.result])).toEqual([
    ['promotion', 'PASSED'],
    ['promotion', 'FAILED'],
    ['rollback', 'PASSED'],
  ])
})

test('--auto-rollback with four eyes asks for the approval before anything is pushed', async () => {
  const day = await Day.begin({ rollback: FOUR_EYES, begin: released })
  const good = day.commit('zero')
  const bad = await day.proved('bad', { release: 'broken' })
  const asked = await day.as('alice', 'promote', bad, '--yes', '--auto-rollback')
  expect(asked.stderr).toContain('--auto-rollback needs 1 approval more, by bob, given in advance:')
  expect(asked.code).toBe(77)
  expect(day.release()).toBe(good)

  approve(day, bad, good)
  const ran = await day.as('alice', 'promote', bad, '--yes', '--auto-rollback')
  expect(ran.code, ran.all).toBe(77)
  expect(day.release()).toBe(good)
  expect(entries(day).at(-1)).toMatchObject({ kind: 'rollback', approvedBy: ['bob'], operator: 'alice' })
})
