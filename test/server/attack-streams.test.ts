/** What a hand-written client can say to git-receive-pack and `git push` never would. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lastCommits, provedAndAhead } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import {
  allRefs,
  expectChanged,
  expectPlainText,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
} from './attack.ts'
import {
  emptyPack,
  FLUSH,
  packet,
  packOf,
  packOfObjects,
  type Request,
  receivePack,
} from './receive-pack-stream.ts'
import { served } from './running-service.ts'

let repository: TestRepository
let root: string
let released: string
let proved: string
let unproved: string
const zeros = '0'.repeat(40)
const RELEASE = 'refs/heads/release'
const MAIN = 'refs/heads/main'

beforeAll(async () => {
  repository = new TestRepository({ prepare: provedAndAhead })
  ;[root = '', released = '', proved = '', unproved = ''] = lastCommits(repository, 4)
  repository.server('symbolic-ref', 'refs/heads/production', RELEASE)
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

const refused = (rules: readonly string[], request: Request, as = 'alice') =>
  expectRefused(repository, rules, () => receivePack(repository, request, { as }))

/** For requests that git itself, or nobody at all, has to refuse: nothing guarded moves. */
async function harmless(request: Request) {
  const guarded = () => [RELEASE, MAIN, 'refs/headgate/ledger'].map((name) => repository.ref(name))
  const before = guarded()
  const answer = await receivePack(repository, request)
  expect(guarded(), answer.all).toEqual(before)
  expect(answer.all).not.toContain('a bug kept it')
  return answer
}

function commit(subject: string, ...parents: string[]): string {
  return repository.git('commit-tree', 'main^{tree}', '-m', subject, ...parents.flatMap((oid) => ['-p', oid]))
}

describe('old values', () => {
  test.each([
    ['of another commit', () => root],
    ['of the commit itself', () => proved],
    ['of nothing, for a branch that exists', () => zeros],
    ['of an object that does not exist', () => '1'.repeat(40)],
    ['of a commit that comes later', () => unproved],
  ])('%s: a promotion that would be good is refused', (_, old) =>
    refused(['fast-forward'], { commands: [`${old()} ${proved} ${RELEASE}`] }),
  )

  test('that are right cannot make a bad promotion good', () =>
    refused(['evidence'], { commands: [`${released} ${unproved} ${RELEASE}`] }))

  test('of a staging branch that is elsewhere do not rewrite it', async () => {
    for (const old of [zeros, released, '1'.repeat(40)]) {
      await refused(['staging-history'], { commands: [`${old} ${released} ${MAIN}`] })
    }
  })

  test('claimed to be the new ones, so that nothing seems to change', async () => {
    await refused(['evidence', 'fast-forward'], { commands: [`${unproved} ${unproved} ${RELEASE}`] })
    await refused(['fast-forward'], { commands: [`${proved} ${proved} ${RELEASE}`] })
    await refused(['staging-history'], { commands: [`${released} ${released} ${MAIN}`] })
  })
})

describe('deletions', () => {
  test.each([
    ['with its value', () => released],
    ['with another value', () => root],
    // git takes two zeros for a deletion whatever is there.
    ['with two zeros', () => zeros],
    ['with a value that does not exist', () => '1'.repeat(40)],
  ])('of release, %s', async (_, old) => {
    await refused(['release-delete'], { commands: [`${old()} ${zeros} ${RELEASE}`], pack: null })
    await refused(['release-delete'], { commands: [`${old()} ${zeros} refs/heads/production`], pack: null })
    await refused(['release-delete'], {
      commands: [`${old()} ${zeros} ${RELEASE}`],
      capabilities: ['report-status', 'side-band-64k', 'delete-refs'],
      pack: null,
    })
  })

  test('of main with two zeros', () =>
    refused(['staging-history'], { commands: [`${zeros} ${zeros} ${MAIN}`], pack: null }))

  test('of the ledger with two zeros', () =>
    refused(['reserved'], { commands: [`${zeros} ${zeros} refs/headgate/ledger`], pack: null }))

  test('of release while packed, among other deletions, without a pack', async () => {
    repository.server('pack-refs', '--all')
    await refused(['release-delete'], {
      commands: [
        `${zeros} ${zeros} refs/heads/none`,
        `${released} ${zeros} ${RELEASE}`,
        `${zeros} ${zeros} refs/heads/none2`,
      ],
      pack: null,
    })
  })

  test('of what is not there change nothing', async () => {
    const count = ledgerRecords(repository).length
    await harmless({ commands: [`${zeros} ${zeros} refs/heads/none`], pack: null })
    expect(kindsSince(repository, count)).toEqual([])
  })
})

describe('one ref named twice', () => {
  const bad = () => `${released} ${unproved} ${RELEASE}`
  const good = () => `${released} ${proved} ${RELEASE}`
  test.each([
    ['good, then bad', () => [good(), bad()]],
    ['bad, then good', () => [bad(), good()]],
    ['good twice', () => [good(), good()]],
    ['good, then deleted', () => [good(), `${proved} ${zeros} ${RELEASE}`]],
    ['deleted, then made anew', () => [`${released} ${zeros} ${RELEASE}`, `${zeros} ${proved} ${RELEASE}`]],
    ['no change, then bad', () => [`${released} ${released} ${RELEASE}`, bad()]],
    ['bad, then no change', () => [bad(), `${released} ${released} ${RELEASE}`]],
    ['good, then on from there', () => [good(), `${proved} ${unproved} ${RELEASE}`]],
    ['good, then bad by its alias', () => [good(), `${released} ${unproved} refs/heads/production`]],
    ['bad by its alias, then good', () => [`${released} ${unproved} refs/heads/production`, good()]],
    ['no change of the alias, then bad', () => [`${released} ${released} refs/heads/production`, bad()]],
  ])('release: %s', async (_, commands) => {
    for (const capabilities of [
      ['report-status', 'side-band-64k'],
      ['report-status', 'side-band-64k', 'atomic'],
    ]) {
      const before = allRefs(repository)
      const answer = await receivePack(repository, { commands: commands(), capabilities })
      expect(answer.code, answer.all).not.toBe(0)
      expect(answer.all).toContain('[fast-forward]')
      expect(allRefs(repository)).toEqual(before)
    }
  })

  test('main, forward and back', () =>
    refused(['staging-history'], {
      commands: [`${unproved} ${commit('next', unproved)} ${MAIN}`, `${unproved} ${released} ${MAIN}`],
    }))

  test('an inbox ref: one record at most', async () => {
    const envelope = repository.sign(repository.evidencePayload(root), 'ci', 'headgate-evidence')
    const [blob = '', ref = ''] = repository.inboxRefspec(envelope).split(':')
    const count = ledgerRecords(repository).length
    await harmlessLedger({
      commands: [`${zeros} ${blob} ${ref}`, `${zeros} ${blob} ${ref}`],
      pack: packOfObjects(repository, [blob]),
    })
    expect(kindsSince(repository, count).length).toBeLessThanOrEqual(1)
  })
})

/** Like `harmless`, for requests that may add records. */
async function harmlessLedger(request: Request) {
  const guarded = () => [RELEASE, MAIN].map((name) => repository.ref(name))
  const before = guarded()
  const answer = await receivePack(repository, request)
  expect(guarded(), answer.all).toEqual(before)
  expectSoundLedger(repository)
  return answer
}

describe('packs', () => {
  test('a promotion needs no objects, and a pack with a foreign history beside it changes no verdict', async () => {
    const foreign = commit('foreign')
    await refused(['evidence'], {
      commands: [`${released} ${unproved} ${RELEASE}`],
      pack: packOf(repository, [foreign]),
    })
  })

  test('a direct commit with its objects is refused, and nothing of it stays', async () => {
    const direct = commit(`direct ${randomBytes(4).toString('hex')}`, released)
    await refused(['on-staging', 'evidence'], {
      commands: [`${released} ${direct} ${RELEASE}`],
      pack: packOf(repository, [direct, `^${released}`]),
    })
    expect(repository.run('git', ['cat-file', '-e', direct], { cwd: repository.bare }).code).not.toBe(0)
  })

  test('a thin pack', async () => {
    const direct = repository.git('commit-tree', 'main^{tree}', '-m', 'thin', '-p', released)
    await refused(['on-staging', 'evidence'], {
      commands: [`${released} ${direct} ${RELEASE}`],
      pack: packOf(repository, [direct, `^${released}`], '--thin'),
    })
  })

  test('a commit whose objects are not sent', async () => {
    const missing = commit('not sent', released)
    await refused(['commit-object'], { commands: [`${released} ${missing} ${RELEASE}`] })
    await refused(['staging-history'], { commands: [`${unproved} ${missing} ${MAIN}`] })
  })

  test('a commit whose parents are not sent: nobody can tell what it descends from', async () => {
    const parent = commit('not sent either', unproved)
    const child = commit('child', parent)
    for (const [old, ref] of [
      [released, RELEASE],
      [unproved, MAIN],
    ]) {
      const before = allRefs(repository)
      const answer = await receivePack(repository, {
        commands: [`${old} ${child} ${ref}`],
        pack: packOfObjects(repository, [child]),
      })
      expect(answer.code).not.toBe(0)
      expect(answer.all).toContain('headgate')
      expect(answer.all).not.toContain('a bug kept it')
      expect(allRefs(repository)).toEqual(before)
    }
  })

  test('a commit whose tree is not sent', async () => {
    const tree = repository
      .mustRun(
        repository.run('git', ['mktree', '--missing'], {
          cwd: repository.clone,
          input: `100644 blob ${'1'.repeat(40)}\tghost\n`,
        }),
      )
      .stdout.trim()
    const ghost = repository.git('commit-tree', tree, '-m', 'ghost', '-p', unproved)
    const answer = await harmless({
      commands: [`${unproved} ${ghost} ${MAIN}`],
      pack: packOfObjects(repository, [ghost]),
    })
    expect(answer.code).not.toBe(0)
  })

  test.each([
    ['none at all', Buffer.alloc(0)],
    ['garbage', Buffer.from('this is no pack at all')],
    ['a truncated one', emptyPack().subarray(0, 20)],
    ['one with a wrong checksum', Buffer.concat([emptyPack().subarray(0, 12), Buffer.alloc(20, 1)])],
    ['one of the other hash', emptyPack('sha256')],
    ['random bytes', randomBytes(4096)],
  ])('%s', async (_, pack) => {
    const answer = await harmless({ commands: [`${released} ${proved} ${RELEASE}`], pack })
    expect(answer.code).not.toBe(0)
    expectSoundLedger(repository)
  })
})

describe('requests of an odd form', () => {
  test.each([
    ['nothing', () => Buffer.alloc(0)],
    ['a flush', () => FLUSH],
    ['two flushes', () => Buffer.concat([FLUSH, FLUSH])],
    ['garbage', () => Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a packet that is cut off', () => Buffer.from('00ff0000')],
    ['a packet of length 1', () => Buffer.from('0001')],
    ['a negative length', () => Buffer.from('-001')],
    [
      'a command without capabilities',
      () => Buffer.concat([packet(`${released} ${unproved} ${RELEASE}`), FLUSH, emptyPack()]),
    ],
    [
      'a line break in the command',
      () =>
        Buffer.concat([packet(`${released} ${unproved} ${RELEASE}\n\0 report-status`), FLUSH, emptyPack()]),
    ],
    [
      'upper case ids',
      () =>
        Buffer.concat([
          packet(`${released.toUpperCase()} ${unproved.toUpperCase()} ${RELEASE}\0 report-status`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'short ids',
      () =>
        Buffer.concat([
          packet(`${released.slice(0, 7)} ${unproved.slice(0, 7)} ${RELEASE}\0 report-status`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'ids of the other hash',
      () =>
        Buffer.concat([
          packet(`${'0'.repeat(64)} ${'1'.repeat(64)} ${RELEASE}\0 report-status`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'the other object format',
      () =>
        Buffer.concat([
          packet(`${released} ${unproved} ${RELEASE}\0 report-status object-format=sha256`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'an unknown capability',
      () =>
        Buffer.concat([
          packet(`${released} ${unproved} ${RELEASE}\0 report-status make-me-operator`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'a command after the flush',
      () =>
        Buffer.concat([
          packet(`${zeros} ${zeros} refs/heads/none\0 report-status`),
          FLUSH,
          packet(`${released} ${unproved} ${RELEASE}`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'a command that hides behind a NUL',
      () =>
        Buffer.concat([
          packet(`${zeros} ${released} refs/heads/x\0 report-status`),
          packet(`${zeros} ${released} refs/heads/y\0${released} ${unproved} ${RELEASE}`),
          FLUSH,
          emptyPack(),
        ]),
    ],
    [
      'a ref name that ends in a NUL',
      () =>
        Buffer.concat([
          packet(`${zeros} ${zeros} refs/heads/none\0 report-status`),
          packet(`${released} ${unproved} ${RELEASE}\0x`),
          FLUSH,
          emptyPack(),
        ]),
    ],
  ])('%s', async (_, raw) => {
    const answer = await harmless({ commands: [], raw })
    expectPlainText(answer.all.replaceAll('\r', ''))
  })

  test('shallow lines for commits that nobody has', async () => {
    const answer = await harmless({
      commands: [`${released} ${unproved} ${RELEASE}`],
      shallow: [root, '1'.repeat(40), released],
    })
    expect(answer.code).not.toBe(0)
  })

  test('a shallow line for the commit itself does not hide what is before it', async () => {
    const answer = await harmless({ commands: [`${released} ${unproved} ${RELEASE}`], shallow: [unproved] })
    expect(answer.all).toContain('[evidence]')
  })

  test.each([
    ['report-status'],
    ['report-status-v2', 'side-band-64k'],
    ['report-status', 'side-band'],
    ['side-band-64k'],
    ['quiet', 'report-status'],
    [],
  ])('with the capabilities %s %s a bad move is as bad', async (...capabilities) => {
    await harmless({ commands: [`${released} ${unproved} ${RELEASE}`], capabilities })
    await harmless({ commands: [`${released} ${zeros} ${RELEASE}`], capabilities, pack: null })
  })
})

describe('push options', () => {
  test.each([
    ['a line break', [`note=a\n${released} ${unproved} ${RELEASE}`]],
    ['a NUL', ['note=a\0b']],
    ['the empty one', ['']],
    ['bytes that are no text', [Buffer.from([0xff, 0xfe, 0x1b, 0x5b, 0x33, 0x31, 0x6d])]],
    ['a variable that looks like ours', ['GIT_PUSH_OPTION_COUNT=0', 'HEADGATE_PUSHER=bob', 'x=$(id)']],
    ['a long one', [`note=${'x'.repeat(60_000)}`]],
    ['many', Array.from({ length: 500 }, (_, index) => `o${index}=${'y'.repeat(20)}`)],
  ])('%s: a bad push stays refused', async (_, pushOptions) => {
    await harmless({ commands: [`${released} ${unproved} ${RELEASE}`], pushOptions })
    await refused(['operator', 'evidence'], { commands: [`${released} ${unproved} ${RELEASE}`] }, 'dave')
  })

  test('too many and too long for an argument list: guarded refs are refused, never passed', async () => {
    const pushOptions = Array.from({ length: 40 }, () => 'z'.repeat(60_000))
    const answer = await harmless({ commands: [`${released} ${unproved} ${RELEASE}`], pushOptions })
    expect(answer.code).not.toBe(0)
  })
})

describe('many refs at once', () => {
  test('a bad release among 200 good branches is found, wherever it stands', async () => {
    const others = Array.from({ length: 200 }, (_, index) => `${zeros} ${released} refs/heads/many-${index}`)
    for (const place of [0, 100, 200]) {
      const commands = [...others]
      commands.splice(place, 0, `${released} ${unproved} ${RELEASE}`)
      const { all } = await refused(['evidence'], { commands })
      expect(all.split('\n').length).toBeLessThan(40)
    }
  })

  test('200 good branches pass without a record, and go again', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `refs/heads/many-${index}`)
    const count = ledgerRecords(repository).length
    const made = await receivePack(repository, {
      commands: names.map((name) => `${zeros} ${released} ${name}`),
    })
    expect(made.report.filter((line) => line.startsWith('ok ')).length).toBe(200)
    const gone = await receivePack(repository, {
      commands: names.map((name) => `${released} ${zeros} ${name}`),
      pack: null,
    })
    expect(gone.code, gone.all).toBe(0)
    expect(kindsSince(repository, count)).toEqual([])
  })

  test('a flood of submissions is refused with a reason', async () => {
    const blob = repository
      .mustRun(
        repository.run('git', ['hash-object', '-w', '--stdin'], { cwd: repository.clone, input: '{}' }),
      )
      .stdout.trim()
    const commands = Array.from(
      { length: 1200 },
      (_, index) => `${zeros} ${blob} refs/headgate/inbox/${String(index).padStart(64, '0')}`,
    )
    const { all } = await refused(['inbox'], { commands, pack: packOfObjects(repository, [blob]) })
    expect(all).not.toContain('a bug kept it')
    expect(all.length).toBeLessThan(200_000)
  })

  test('a delicate mix: alias of release deleted, release moved, main rewritten, ledger replaced, a good branch', () =>
    refused(['fast-forward', 'reserved', 'staging-history'], {
      commands: [
        `${released} ${zeros} refs/heads/production`,
        `${released} ${unproved} ${RELEASE}`,
        `${unproved} ${released} ${MAIN}`,
        `${zeros} ${released} refs/headgate/ledger`,
        `${zeros} ${released} refs/heads/good`,
      ],
    }))
})

describe('what is good', () => {
  test('lands through a hand-written stream as well, with a pack that brings it nothing', async () => {
    const count = ledgerRecords(repository).length
    await expectChanged(repository, { [RELEASE]: proved, 'refs/heads/production': proved }, () =>
      receivePack(repository, { commands: [`${released} ${proved} ${RELEASE}`] }),
    )
    expect(kindsSince(repository, count)).toEqual(['authorization', 'landed'])
    await refused(['fast-forward'], { commands: [`${released} ${proved} ${RELEASE}`] })
    const { code } = await harmless({ commands: [`${proved} ${proved} ${RELEASE}`] })
    expect(code).toBe(0)
    expectSoundLedger(repository)
  })
})
