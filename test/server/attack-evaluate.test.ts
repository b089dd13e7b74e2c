/** enforcement: evaluate. Nothing is refused but what concerns headgate itself; everything is recorded and told. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { POLICY, TestRepository } from '../make-repository.ts'
import {
  expectChanged,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
  rulesIn,
} from './attack.ts'
import { receivePack } from './receive-pack-stream.ts'
import { served } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const MAIN = 'refs/heads/main'
const zeros = '0'.repeat(40)

let repository: TestRepository
let first: string
let second: string

beforeAll(async () => {
  repository = new TestRepository({
    policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
  })
  first = repository.commit('first')
  second = repository.commit('second')
  repository.mustRun(repository.push('main'))
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

/** The push passes, tells these rules, and its move is recorded with them and as landed. */
async function told(rules: readonly string[], to: string | null, push: () => any) {
  const count = ledgerRecords(repository).length
  const { all } = await expectChanged(repository, { [RELEASE]: to }, push)
  expect(rulesIn(all)).toEqual([...rules].sort())
  if (rules.length > 0) expect(all).toContain('only evaluates')
  expect(kindsSince(repository, count)).toEqual(['authorization', 'landed'])
  const record = ledgerRecords(repository)[count]
  const { objections, enforcement } = record?.predicate['urn:headgate:move'] ?? {}
  expect(enforcement).toBe('evaluate')
  expect(objections.map((one: any) => one.rule).sort()).toEqual([...rules].sort())
  expect(record?.predicate.verificationResult).toBe(rules.length === 0 ? 'PASSED' : 'FAILED')
  expect(record?.predicate.verifiedLevels).toEqual(rules.length === 0 ? ['ORG_SOURCE_STAGING_PROVED'] : [])
  expectSoundLedger(repository)
}

describe('release', () => {
  test('is created by a developer without evidence', () =>
    told(['evidence', 'operator'], first, () => repository.push(`${first}:${RELEASE}`, { as: 'dave' })))

  test('moves on a direct commit', async () => {
    const direct = repository.git('commit-tree', 'main^{tree}', '-m', 'direct', '-p', first)
    await told(['evidence', 'on-staging'], direct, () => repository.push(`${direct}:${RELEASE}`))
    await told(['approval', 'fast-forward'], first, () => repository.push(`+${first}:${RELEASE}`))
  })

  test('moves by a good promotion like anywhere', async () => {
    repository.prove(second)
    await told([], second, () => repository.push(`${second}:${RELEASE}`))
  })

  test('is forced back, and deleted, and made anew', async () => {
    await told(['approval', 'fast-forward'], first, () => repository.push(`+${first}:${RELEASE}`))
    await told(['release-delete'], null, () => repository.push(`:${RELEASE}`))
    const { all } = repository.push(`${first}:${RELEASE}`, { as: 'dave' })
    expect(repository.ref(RELEASE), all).toBe(first)
    expectSoundLedger(repository)
  })

  test('with a stale old value is left to git', async () => {
    const count = ledgerRecords(repository).length
    const { code } = await receivePack(repository, { commands: [`${second} ${second} ${RELEASE}`] })
    expect(code).not.toBe(0)
    expect(kindsSince(repository, count)).toEqual([])
    expect(repository.ref(RELEASE)).toBe(first)
    expectSoundLedger(repository)
    // The next move is not held up, and the record stays true.
    repository.mustRun(repository.push(`${second}:${RELEASE}`))
    expectSoundLedger(repository)
  })
})

describe('what nobody can judge is told by the next push:', () => {
  let other: TestRepository
  let one: string
  let two: string
  beforeAll(() => {
    other = new TestRepository({
      policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
    })
    one = other.commit('one')
    two = other.commit('two')
    other.mustRun(other.push('main'))
    other.mustRun(other.push(`${one}:${RELEASE}`))
  })
  afterAll(() => other.remove())

  test('release, named twice in one push', async () => {
    const count = ledgerRecords(other).length
    const { all } = await receivePack(other, {
      commands: [`${one} ${two} ${RELEASE}`, `${one} ${zeros} ${RELEASE}`],
    })
    expect(all).toContain('twice')
    // git has taken one of the two: up to 2.50 the first.
    expect([two, null]).toContain(other.ref(RELEASE))
    expect(kindsSince(other, count)).toEqual([])
    const next = other.mustRun(other.push(`+${one}:${RELEASE}`))
    expect(rulesIn(next.all)).toContain('drift')
    expect(other.ref(RELEASE)).toBe(one)
  })

  test('a move on the server', async () => {
    other.server('update-ref', RELEASE, two)
    const next = other.mustRun(other.push(`+${one}:${RELEASE}`))
    expect(rulesIn(next.all)).toContain('drift')
    expect(kindsSince(other, 0).slice(-2)).toEqual(['authorization', 'landed'])
  })
})

describe('main', () => {
  test('is rewritten, and told', async () => {
    const tip = repository.ref(MAIN)
    const { all } = await expectChanged(repository, { [MAIN]: first }, () =>
      repository.push(`+${first}:${MAIN}`),
    )
    expect(rulesIn(all)).toEqual(['staging-history'])
    await expectChanged(repository, { [MAIN]: tip }, () => repository.push(`${tip}:${MAIN}`))
  })
})

describe('what concerns headgate itself is refused all the same:', () => {
  test('its own refs', async () => {
    await expectRefused(repository, ['reserved'], () => repository.push(`+${first}:refs/headgate/ledger`))
    await expectRefused(repository, ['reserved'], () => repository.push(':refs/headgate/ledger'))
  })

  test('its ledger on the server', () =>
    expectRefused(repository, [], () =>
      repository.run('git', ['update-ref', '-d', 'refs/headgate/ledger'], { cwd: repository.bare }),
    ))

  test('bad submissions, and with them the push that carries them', async () => {
    await expectRefused(repository, ['inbox'], () => repository.submit('{}'))
    const forged = repository.sign(repository.evidencePayload(first), 'mallory', 'headgate-evidence')
    await expectRefused(repository, ['inbox'], () =>
      repository.push([repository.inboxRefspec(forged), `${first}:refs/heads/other`]),
    )
  })
})

test('what passed while headgate only evaluated is no approved past once it enforces', async () => {
  const strict = new TestRepository({
    policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
  })
  try {
    const one = strict.commit('one')
    const two = strict.commit('two')
    strict.mustRun(strict.push('main'))
    strict.mustRun(strict.push(`${one}:${RELEASE}`, { as: 'dave' }))
    const { writeFileSync } = await import('node:fs')
    writeFileSync(`${strict.policyFolder}/policy.yaml`, POLICY)
    strict.mustRun(strict.headgate('policy', 'apply', strict.bare, strict.policyFolder))
    await expectRefused(strict, ['evidence'], () => strict.push(`${two}:${RELEASE}`))
    strict.prove(two)
    await expectChanged(strict, { [RELEASE]: two }, () => strict.push(`${two}:${RELEASE}`))
    expectSoundLedger(strict)
  } finally {
    strict.remove()
  }
})
