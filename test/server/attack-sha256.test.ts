/** A repository with SHA-256 ids, loose and packed: the main way, and a few ways around it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lastCommits, releasedTwiceAndAhead } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, kindsSince, ledgerRecords } from './attack.ts'
import { emptyPack, receivePack } from './receive-pack-stream.ts'
import { served } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const zeros = '0'.repeat(64)
const pack = emptyPack('sha256')
const capabilities = ['report-status', 'side-band-64k', 'object-format=sha256']

let repository: TestRepository
let first: string
let second: string
let unproved: string

beforeAll(async () => {
  repository = new TestRepository({ objectFormat: 'sha256', prepare: releasedTwiceAndAhead })
  ;[first = '', second = '', unproved = ''] = lastCommits(repository, 3)
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

describe.each([
  ['loose', () => {}],
  ['packed', () => repository.server('pack-refs', '--all')],
])('with %s refs', (_, prepare) => {
  beforeAll(() => prepare())
  const refused = (rules: readonly string[], command: string) =>
    expectRefused(repository, rules, () =>
      receivePack(repository, { commands: [command], capabilities, pack }),
    )

  test('ids have 64 digits, and what is unproved is refused', async () => {
    expect(second.length).toBe(64)
    await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:${RELEASE}`))
  })

  test('deletions with zeros of either length are refused', async () => {
    await refused(['release-delete'], `${second} ${zeros} ${RELEASE}`)
    await refused(['release-delete'], `${zeros} ${zeros} ${RELEASE}`)
    await refused([], `${second.slice(0, 40)} ${'0'.repeat(40)} ${RELEASE}`)
    await refused(['staging-history'], `${zeros} ${zeros} refs/heads/main`)
  })

  test('the way back without an approval is refused', () =>
    expectRefused(repository, ['approval', 'fast-forward'], () => repository.push(`+${first}:${RELEASE}`)))

  test('wrong old values are refused', async () => {
    await refused(['evidence', 'fast-forward'], `${first} ${unproved} ${RELEASE}`)
    await refused(['evidence', 'fast-forward'], `${unproved} ${unproved} ${RELEASE}`)
  })

  test('an alias, a direct commit and a rewrite of main are refused', async () => {
    repository.server('symbolic-ref', 'refs/heads/production', RELEASE)
    await expectRefused(repository, ['evidence'], () => repository.push(`${unproved}:production`))
    repository.server('symbolic-ref', '-d', 'refs/heads/production')
    const direct = repository.git('commit-tree', 'main^{tree}', '-m', 'direct', '-p', second)
    await expectRefused(repository, ['evidence', 'on-staging'], () => repository.push(`${direct}:${RELEASE}`))
    await expectRefused(repository, ['staging-history'], () => repository.push(`+${first}:main`))
  })

  test('evidence about an id of the other length is refused', async () => {
    const payload = repository.evidencePayload('a'.repeat(40))
    await expectRefused(repository, ['inbox'], () =>
      repository.submit(repository.sign(payload, 'ci', 'headgate-evidence')),
    )
  })

  test('a move on the server is refused, and housekeeping passes', async () => {
    await expectRefused(repository, [], () =>
      repository.run('git', ['update-ref', RELEASE, unproved], { cwd: repository.bare }),
    )
    await expectRefused(repository, [], () =>
      repository.run('git', ['update-ref', '-d', RELEASE], { cwd: repository.bare }),
    )
    const before = repository.ref(RELEASE)
    repository.server('gc', '-q', '--prune=now')
    expect(repository.ref(RELEASE)).toBe(before)
  })
})

test('an approved rollback lands once', async () => {
  const count = ledgerRecords(repository).length
  const approval = repository.sign(repository.approvalPayload(second, first), 'bob', 'headgate-approval')
  await expectChanged(repository, { [RELEASE]: first }, () =>
    repository.push([`+${first}:${RELEASE}`, repository.inboxRefspec(approval)]),
  )
  expect(kindsSince(repository, count)).toEqual(['approval', 'authorization', 'landed'])
  await expectRefused(repository, ['barred'], () => repository.push(`${second}:${RELEASE}`))
})
