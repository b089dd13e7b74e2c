/** Promotion and rollback as functions: called in the test's own process, on a real repository with its hooks. */
import { expect, test } from 'vitest'
import { type PromoteEvent, type PromoteOptions, promote } from '../../src/app/release/promote.ts'
import { type RollbackEvent, rollback } from '../../src/app/release/rollback.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { parseReleaseLog } from '../../src/core/release-log.ts'
import { Day, released, releasedAndProved, releasedBad } from '../cli/day.ts'

const SESSION = {
  remote: 'origin',
  key: undefined,
  record: true,
  smokeKey: undefined,
  waitMs: 60_000,
  url: undefined,
  logBranch: undefined,
} as const

const PROMOTE: PromoteOptions = {
  ...SESSION,
  commit: undefined,
  note: undefined,
  plan: undefined,
  yes: false,
  autoRollback: false,
}

const ROLLBACK = {
  ...SESSION,
  commit: undefined,
  trigger: 'pager',
  symptoms: '500 on /chat',
  reason: undefined,
  yes: false,
} as const

/** Somebody on their own machine, with a key. */
function callerOf(day: Day, person: string) {
  const { env } = day.repository
  const key = day.repository.key(person)
  return {
    folder: day.clone(person),
    environment: { ...env, TEST_PUSHER: person, HEADGATE_KEY: key },
  }
}

/** Says yes to everything, and remembers what was asked. */
function agreeing() {
  const asked: unknown[] = []
  const operator = {
    consent: async (question: { readonly kind: string }) => {
      asked.push(question)
    },
    note: async () => 'what was asked for',
    goBack: async (to: string) => {
      asked.push({ kind: 'go-back', to })
      return true
    },
    interruptible: <Result>(_: unknown, work: (signal: AbortSignal) => Promise<Result>) =>
      work(new AbortController().signal),
  }
  return { asked, operator }
}

const entries = (day: Day) =>
  parseReleaseLog(Buffer.from(day.log())).entries.map(({ entry: { kind, commit, smoke } }) => [
    kind,
    commit,
    smoke?.result,
  ])

test('a promotion is planned, asked for, made, tested and written down', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const [zero, one] = [day.commit('zero'), day.commit('one')]
  const { asked, operator } = agreeing()
  const events: PromoteEvent[] = []
  const options = { ...PROMOTE, note: 'the weekly one' }
  const result = await promote(callerOf(day, 'alice'), options, operator, (event) => events.push(event))

  expect(result).toMatchObject({
    release: one,
    lastMove: { kind: 'promotion', from: zero, to: one, by: 'alice' },
    production: { kind: 'passed' },
    log: { branch: 'main', entries: [{ kind: 'promotion', commit: one }] },
    failed: false,
  })
  expect(asked).toEqual([{ kind: 'promote', branch: 'release', commit: one }])
  expect(day.release()).toBe(one)
  expect(events.find(({ kind }) => kind === 'promotion-planned')).toMatchObject({
    plan: {
      from: zero,
      to: one,
      evidence: { state: 'passed', by: 'ci@example.com' },
      note: 'the weekly one',
      failedBefore: null,
      unrecorded: null,
      log: { path: 'docs/RELEASE_LOG.md', branch: 'main', missing: [] },
    },
  })
  const kinds = events.map(({ kind }) => kind).filter((kind) => kind !== 'production-awaited')
  expect(kinds).toEqual([
    ...['promotion-planned', 'server-said', 'promoted', 'production-serves', 'smoke-began'],
    ...['gate-ended', 'gate-ended', 'smoke-ended', 'log-written', 'released'],
  ])
  expect(entries(day)).toEqual([
    ['promotion', zero, 'PASSED'],
    ['promotion', one, 'PASSED'],
  ])
})

test('without consent nothing is pushed, and whoever has said yes is asked nothing', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const zero = day.commit('zero')
  const no = new HeadgateError('refused', 'no')
  const operator = { ...agreeing().operator, consent: () => Promise.reject(no) }
  const told: string[] = []
  const call = promote(callerOf(day, 'alice'), PROMOTE, operator, ({ kind }) => told.push(kind))
  await expect(call).rejects.toBe(no)
  expect(told).toEqual(['promotion-planned'])
  expect(day.release()).toBe(zero)

  const result = await promote(callerOf(day, 'alice'), { ...PROMOTE, yes: true }, operator, () => undefined)
  expect(result.release).toBe(day.commit('one'))
})

test('what fails in production is rolled back where the operator wants it, and both moves are written down', async () => {
  const day = await Day.begin({ begin: released })
  const good = day.commit('zero')
  const bad = await day.proved('bad', { release: 'broken' })
  const { asked, operator } = agreeing()
  const events: PromoteEvent[] = []
  const result = await promote(callerOf(day, 'alice'), PROMOTE, operator, (event) => events.push(event))

  // The promotion failed, whatever came after it.
  expect(result).toMatchObject({
    release: good,
    lastMove: { kind: 'rollback', from: bad, to: good },
    production: { kind: 'passed' },
    failed: true,
  })
  expect(asked).toEqual([
    { kind: 'promote', branch: 'release', commit: bad },
    { kind: 'go-back', to: good },
  ])
  expect(events.find(({ kind }) => kind === 'rollback-planned')).toMatchObject({
    plan: { from: bad, to: good, symptoms: 'chat: status 500, expected 200', hasAuthor: true },
  })
  expect(entries(day)).toEqual([
    ['promotion', good, 'PASSED'],
    ['promotion', bad, 'FAILED'],
    ['rollback', good, 'PASSED'],
  ])
})

test('a rollback is planned, approved with the own key, made, verified and written down', async () => {
  const day = await Day.begin({ begin: releasedBad })
  const [good, bad] = [day.commit('zero'), day.commit('bad')]
  const { asked, operator } = agreeing()
  const events: RollbackEvent[] = []
  const result = await rollback(callerOf(day, 'bob'), ROLLBACK, operator, (event) => events.push(event))

  expect(result).toMatchObject({ release: good, production: { kind: 'passed' }, failed: false })
  expect(asked).toEqual([{ kind: 'roll-back', branch: 'release', to: good, signing: true }])
  expect(events.filter(({ kind }) => kind === 'approval-signed' || kind === 'rolled-back')).toEqual([
    { kind: 'approval-signed', principal: 'bob' },
    { kind: 'rolled-back', branch: 'release', from: bad, to: good },
  ])
  expect(entries(day).at(-1)).toEqual(['rollback', good, 'PASSED'])
})
