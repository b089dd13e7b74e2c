/** Push certificates: forged, replayed, for something else, by somebody else. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { POLICY, type Ran, TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, ledgerRecords, spoken } from './attack.ts'
import { emptyPack, FLUSH, packet, type Request, receivePack } from './receive-pack-stream.ts'
import { served } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const zeros = '0'.repeat(40)

let repository: TestRepository
let root: string
let released: string
let proved: string

beforeAll(async () => {
  repository = new TestRepository({ identity: 'push-cert' })
  root = repository.git('rev-parse', 'main')
  repository.git('config', 'gpg.format', 'ssh')
  released = repository.commit('released')
  proved = repository.commit('proved')
  repository.mustRun(repository.push('main'))
  repository.prove(released)
  repository.prove(proved)
  repository.mustRun(signedPush(`${released}:${RELEASE}`, 'alice'))
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

function signedPush(refspecs: string | string[], key: string, there = repository, args: string[] = []): Ran {
  const config = ['-c', 'gpg.format=ssh', '-c', `user.signingKey=${there.key(key)}`]
  return there.run('git', [...config, 'push', '--signed', ...args, 'origin', ...[refspecs].flat()], {
    cwd: there.clone,
    env: { TEST_PUSHER: 'dave' },
  })
}

/** The certificate as git would write it, signed with ssh-keygen by hand. */
function certificate(
  updates: readonly string[],
  options: {
    key?: string
    nonce?: string | null
    namespace?: string
    there?: TestRepository
    extra?: string
  } = {},
): string {
  const { key = 'alice', nonce = null, namespace = 'git', there = repository, extra = '' } = options
  const text = [
    'certificate version 0.1',
    `pusher ${key} ${Math.floor(Date.now() / 1000)} +0000`,
    `pushee ${there.bare}`,
    ...(nonce === null ? [] : [`nonce ${nonce}`]),
    `${extra}`,
    ...updates,
    '',
  ].join('\n')
  const signed = there.run('ssh-keygen', ['-q', '-Y', 'sign', '-n', namespace, '-f', there.key(key)], {
    input: text,
  })
  return text + there.mustRun(signed).stdout
}

/** A push whose certificate is `text` of the server's nonce. */
function pushWith(text: (nonce: string) => string): Request {
  return {
    commands: [],
    raw: ({ capabilities }) => {
      const nonce = capabilities.find((one) => one.startsWith('push-cert='))?.slice('push-cert='.length) ?? ''
      const lines = text(nonce).match(/[^\n]*\n/g) ?? []
      return Buffer.concat([
        packet(`push-cert\0 report-status side-band-64k`),
        ...lines.map((line) => packet(line)),
        packet('push-cert-end\n'),
        FLUSH,
        emptyPack(),
      ])
    },
  }
}

/** Puts a text into the server's object store, as every signed push does with its certificate. */
function store(text: string): string {
  const ran = repository.run('git', ['hash-object', '-w', '--stdin'], { cwd: repository.bare, input: text })
  return repository.mustRun(ran).stdout.trim()
}

const refused = (
  rules: readonly string[],
  text: (nonce: string) => string,
  env: Record<string, string> = {},
) => expectRefused(repository, rules, () => receivePack(repository, pushWith(text), { env }))

describe('a server that knows pushers by their certificate refuses', () => {
  const good = () => `${released} ${proved} ${RELEASE}`

  test('a push without one, whatever the environment says', () =>
    expectRefused(repository, ['operator'], () =>
      repository.push(`${proved}:${RELEASE}`, {
        env: {
          USER: 'alice',
          REMOTE_USER: 'alice',
          GIT_PUSH_CERT_SIGNER: 'alice',
          GIT_PUSH_CERT_STATUS: 'G',
        },
      }),
    ))

  test.each([
    ['mallory', 'not listed'],
    ['ci', 'not allowed to sign for "git"'],
  ])('one that %s signed', async (key, reason) => {
    const { all } = await expectRefused(repository, ['operator'], () =>
      signedPush(`${proved}:${RELEASE}`, key),
    )
    expect(spoken(all)).toContain(reason)
  })

  test('one that was signed for another purpose', () =>
    refused(['operator'], (nonce) => certificate([good()], { nonce, namespace: 'headgate-approval' })))

  test('one without a nonce', () => refused(['operator'], () => certificate([good()])))

  test('one with a nonce of its own making', () =>
    refused(['operator'], () =>
      certificate([good()], { nonce: `${Math.floor(Date.now() / 1000)}-${'a'.repeat(40)}` }),
    ))

  test('one with two nonces', () =>
    refused(['operator'], (nonce) => certificate([good()], { nonce: `1-x\nnonce ${nonce}` })))

  test('one that was altered after signing', () =>
    refused(['operator'], (nonce) =>
      certificate([`${released} ${root} ${RELEASE}`], { nonce }).replace(
        `${released} ${root}`,
        `${released} ${proved}`,
      ),
    ))

  test('one whose signature is that of another certificate', () =>
    refused(['operator'], (nonce) => {
      const [signed = ''] = certificate([good()], { nonce }).split('-----BEGIN')
      const other = certificate([`${zeros} ${root} refs/heads/x`], { nonce })
      return signed + other.slice(other.indexOf('-----BEGIN'))
    }))

  test('one with an unsigned update after the signature', async () => {
    const before = repository.ref(RELEASE)
    const { all } = await receivePack(
      repository,
      pushWith((nonce) => `${certificate([`${zeros} ${zeros} refs/heads/none`], { nonce })}${good()}\n`),
    )
    expect(repository.ref(RELEASE), all).toBe(before)
  })

  test('one beside an unsigned update', async () => {
    const before = repository.ref(RELEASE)
    const request = pushWith((nonce) => certificate([`${zeros} ${zeros} refs/heads/none`], { nonce }))
    const { all } = await receivePack(repository, {
      commands: [],
      raw: (advertisement) => {
        const bytes = request.raw!(advertisement)
        const at = bytes.indexOf('0000PACK')
        return Buffer.concat([bytes.subarray(0, at), packet(good()), bytes.subarray(at)])
      },
    })
    expect(repository.ref(RELEASE), all).toBe(before)
  })

  test('one that names the update twice', () =>
    refused(['fast-forward'], (nonce) => certificate([good(), good()], { nonce })))

  test('one with a header that nobody knows', () =>
    refused(['operator'], (nonce) => certificate([good()], { nonce: `${nonce}\nx-operator alice` })))

  test('one with terminal escapes, which do not come back', async () => {
    const { all } = await refused(['operator'], (nonce) =>
      certificate([good()], { nonce: `${nonce}\n\u001b[31mowned\u202e` }),
    )
    expect(all).not.toMatch(/\u001b|\u202e/u)
  })

  test('one for another repository, on the wire', async () => {
    const other = new TestRepository({ identity: 'push-cert' })
    try {
      const { advertisement } = await receivePack(other, { commands: [], raw: () => FLUSH })
      const nonce = advertisement.capabilities.find((one) => one.startsWith('push-cert='))?.slice(10) ?? ''
      expect(nonce).not.toBe('')
      await refused(['operator'], () => certificate([good()], { nonce }))
    } finally {
      other.remove()
    }
  })
})

describe('variables that a pusher of a shared account set', () => {
  const forged = (blob: string, more: Record<string, string> = {}) => ({
    GIT_PUSH_CERT: blob,
    GIT_PUSH_CERT_NONCE_STATUS: 'OK',
    GIT_PUSH_CERT_STATUS: 'G',
    GIT_PUSH_CERT_SIGNER: 'alice',
    GIT_PUSH_CERT_NONCE: 'x',
    ...more,
  })
  const pushForged = (env: Record<string, string>, command = `${released} ${proved} ${RELEASE}`) =>
    receivePack(repository, { commands: [command] }, { as: 'dave', env })
  const now = () => Math.floor(Date.now() / 1000)

  test.each([
    ['an object that does not exist', () => '1'.repeat(40)],
    ['a commit', () => released],
    ['a name instead of an id', () => 'refs/heads/main'],
    ['an option', () => '--help'],
    [
      'a certificate by mallory',
      () => store(certificate([`${released} ${proved} ${RELEASE}`], { key: 'mallory', nonce: `${now()}-x` })),
    ],
    [
      "alice's certificate of another move",
      () => store(certificate([`${released} ${root} ${RELEASE}`], { nonce: `${now()}-x` })),
    ],
    [
      "alice's certificate of another branch",
      () => store(certificate([`${released} ${proved} refs/heads/x`], { nonce: `${now()}-x` })),
    ],
    [
      "alice's certificate of an hour ago",
      () => store(certificate([`${released} ${proved} ${RELEASE}`], { nonce: `${now() - 3600}-x` })),
    ],
    [
      "alice's certificate of tomorrow",
      () => store(certificate([`${released} ${proved} ${RELEASE}`], { nonce: `${now() + 86400}-x` })),
    ],
    ["alice's certificate without a nonce", () => store(certificate([`${released} ${proved} ${RELEASE}`]))],
  ])('naming %s, make nobody an operator', async (_, blob) => {
    await expectRefused(repository, ['operator'], () => pushForged(forged(blob())))
  })

  test.each(['BAD', 'MISSING', 'UNSOLICITED', '', 'ok'])('with nonce status %j, neither', (status) =>
    expectRefused(repository, ['operator'], () =>
      pushForged(
        forged(store(certificate([`${released} ${proved} ${RELEASE}`], { nonce: `${now()}-x` })), {
          GIT_PUSH_CERT_NONCE_STATUS: status,
        }),
      ),
    ),
  )
})

describe('a certificate is good', () => {
  test('for the move that it was signed for, once, and is kept in the record', async () => {
    await expectChanged(repository, { [RELEASE]: proved }, () => signedPush(`${proved}:${RELEASE}`, 'alice'))
    const move = ledgerRecords(repository).findLast(({ kind }) => kind === 'authorization')
    expect(move?.by).toBe('alice')
    const kept: string = move?.predicate['urn:headgate:move'].pushCertificate
    expect(kept).toContain(`${released} ${proved} ${RELEASE}`)

    // Back again by an approved rollback, and a new run on staging: everything but the operator is there.
    const approval = repository.sign(repository.approvalPayload(proved, released), 'bob', 'headgate-approval')
    repository.mustRun(repository.submit(approval))
    repository.mustRun(signedPush(`+${released}:${RELEASE}`, 'bob'))
    repository.prove(proved)

    // On the wire its nonce is not this session's.
    await refused(['operator'], () => kept)
  })
})

describe('certificates that a shared account takes from elsewhere', () => {
  // Over ssh with a wildcard AcceptEnv, or by a local path, the variables beside the certificate are the pusher's own:
  // that its nonce was given out by this server, for this push, then rests on his word. What was used is known here.
  const pushAs = (blob: string, command: string) =>
    receivePack(
      repository,
      { commands: [command] },
      { as: 'dave', env: { GIT_PUSH_CERT: blob, GIT_PUSH_CERT_NONCE_STATUS: 'OK' } },
    )

  test("alice's own, of a move that landed and was rolled back, makes nobody an operator a second time", async () => {
    const move = ledgerRecords(repository).findLast(
      ({ kind, predicate }) => kind === 'authorization' && predicate['urn:headgate:move'].to === proved,
    )
    const kept: string = move?.predicate['urn:headgate:move'].pushCertificate
    const blob = createHash('sha1')
      .update(`blob ${Buffer.byteLength(kept)}\0${kept}`)
      .digest('hex')
    expect(repository.server('cat-file', '-t', blob)).toBe('blob')
    await expectRefused(repository, ['operator'], () => pushAs(blob, `${released} ${proved} ${RELEASE}`))
  })
})

describe('a server that asks for signed pushes besides', () => {
  let strict: TestRepository
  let commit: string
  beforeAll(() => {
    strict = new TestRepository({ policy: POLICY.replace('signedPush: if-offered', 'signedPush: required') })
    commit = strict.commit('proved')
    strict.mustRun(strict.push('main'))
    strict.prove(commit)
  })
  afterAll(() => strict.remove())

  const as = (pusher: string, key: string) => () =>
    strict.run(
      'git',
      [
        '-c',
        'gpg.format=ssh',
        '-c',
        `user.signingKey=${strict.key(key)}`,
        'push',
        '--signed',
        'origin',
        `${commit}:${RELEASE}`,
      ],
      { cwd: strict.clone, env: { TEST_PUSHER: pusher } },
    )

  test('refuses an unsigned one', () =>
    expectRefused(strict, ['operator'], () => strict.push(`${commit}:${RELEASE}`)))

  test("refuses alice's push that bob signed", async () => {
    const { all } = await expectRefused(strict, ['operator'], as('alice', 'bob'))
    expect(spoken(all)).toContain('alice pushes, but bob signed the push certificate')
  })

  test("refuses dave's push that alice signed", () =>
    expectRefused(strict, ['operator'], as('dave', 'alice')))

  test('takes one that its pusher signed', () =>
    expectChanged(strict, { [RELEASE]: commit }, as('alice', 'alice')))
})
