/** Evidence that is forged, altered, borrowed, replayed, misdated or simply wrong. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { REPOSITORY_NAME, TestRepository } from '../make-repository.ts'
import {
  expectAllRefused,
  expectChanged,
  expectPlainText,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
  rulesIn,
  spoken,
} from './attack.ts'
import { served } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const NAMESPACE = 'headgate-evidence'

let repository: TestRepository
let released: string
/** Commits of main that nothing proves yet; each attack takes one. */
const commits: string[] = []

beforeAll(async () => {
  repository = new TestRepository()
  // Keys whose time is over, or has not come.
  const line = (name: string, options: string) => {
    const signer = repository.makeKey(name, `${name}@example.com`, NAMESPACE)
    return signer.replace('namespaces=', `${options},namespaces=`)
  }
  const signers = join(repository.policyFolder, 'allowed_signers')
  const both = repository.makeKey('both', 'both@example.com', `${NAMESPACE},headgate-approval`)
  writeFileSync(
    signers,
    [
      readFileSync(signers, 'utf8').trimEnd(),
      line('expired', 'valid-before="20200101Z"'),
      line('future', 'valid-after="20990101Z"'),
      both,
      '',
    ].join('\n'),
  )
  repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
  released = repository.release('released')
  commits.push(...repository.commits(Array.from({ length: 45 }, (_, index) => `candidate ${index}`)))
  repository.mustRun(repository.push('main'))
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

function next(): string {
  return commits.shift() ?? ''
}

const sign = (payload: string, key = 'ci', namespace = NAMESPACE) => repository.sign(payload, key, namespace)
const evidence = (commit: string, change?: (predicate: any) => void) =>
  sign(repository.evidencePayload(commit, change))

/** Base64 of the same bytes with bits set that no byte comes from. */
function sloppy(padded: string): string {
  expect(padded.endsWith('==')).toBe(true)
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.indexOf(padded.at(-3) ?? '')
  const other = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'[last | 1]
  return `${padded.slice(0, -3)}${other}==`
}

/** The payload with something changed before it is signed, past every check of the builder. */
function alter(commit: string, change: (statement: any) => void): string {
  const statement = JSON.parse(repository.evidencePayload(commit))
  change(statement)
  return JSON.stringify(statement)
}

describe('a bit that is flipped', () => {
  test('anywhere in an envelope is noticed', async () => {
    const commit = next()
    const fingerprint = repository.run('ssh-keygen', ['-l', '-f', repository.key('ci')]).stdout.split(' ')[1]
    const envelope = JSON.parse(evidence(commit))
    // keyid is a hint that nothing rests on, so it is left out here; the next test has one.
    expect(fingerprint).toMatch(/^SHA256:/)
    const bytes = Buffer.from(
      JSON.stringify({ ...envelope, signatures: envelope.signatures.map(({ sig }: any) => ({ sig })) }),
    )
    // Every 79th bit, so that all bits of a byte and all regions have their turn, and every bit of the ends.
    const bits = new Set<number>()
    for (let bit = 0; bit < bytes.length * 8; bit += 79) bits.add(bit)
    for (let bit = 0; bit < 24; bit++) bits.add(bit).add(bytes.length * 8 - 1 - bit)
    const flipped = [...bits].map((bit) => {
      const copy = Buffer.from(bytes)
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      return copy
    })
    expect(flipped.length).toBeGreaterThan(200)
    for (let start = 0; start < flipped.length; start += 60) {
      const some = flipped.slice(start, start + 60)
      const { all } = await expectRefused(repository, ['inbox'], () =>
        repository.push(some.map((copy) => repository.inboxRefspec(copy))),
      )
      expect(all.match(/^remote: {3}\[inbox\]/gm)?.length).toBe(some.length)
      expectPlainText(all)
    }
    await expectRefused(repository, ['evidence'], () => repository.push(`${commit}:${RELEASE}`))
    repository.mustRun(repository.submit(bytes))
  })

  test('in the payload after decoding, whatever it makes of it', async () => {
    const commit = next()
    const envelope = JSON.parse(evidence(commit))
    const payload = Buffer.from(envelope.payload, 'base64')
    const copies = Array.from({ length: 50 }, (_, index) => {
      const copy = Buffer.from(payload)
      const at = Math.floor((index * payload.length) / 50)
      copy[at] = (copy[at] ?? 0) ^ (1 << (index % 7))
      return JSON.stringify({ ...envelope, payload: copy.toString('base64') })
    })
    const { all } = await expectRefused(repository, ['inbox'], () =>
      repository.push(copies.map((copy) => repository.inboxRefspec(copy))),
    )
    expect(all.match(/^remote: {3}\[inbox\]/gm)?.length).toBe(50)
    expectPlainText(all)
  })
})

describe('a signature', () => {
  test('that does not count is refused: by whom, for what, over what, and how many', () => {
    const commit = next()
    const payload = repository.evidencePayload(commit)
    const envelope = JSON.parse(sign(payload))
    const [signature] = envelope.signatures
    const otherPayload = Buffer.from(repository.evidencePayload(next())).toString('base64')
    const armor = repository.mustRun(
      repository.run('ssh-keygen', ['-q', '-Y', 'sign', '-n', NAMESPACE, '-f', repository.key('ci')], {
        input: payload,
      }),
    ).stdout
    const withoutType = armor
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('-----'))
      .join('')
    return expectAllRefused(repository, [
      { name: 'by a key that nobody trusts', envelope: sign(payload, 'mallory'), reason: 'not listed' },
      {
        name: "by an operator's key, which is for approvals",
        envelope: sign(payload, 'alice'),
        reason: 'not allowed to sign for',
      },
      {
        name: "by an operator's key, in the namespace that it is for",
        envelope: sign(payload, 'alice', 'headgate-approval'),
      },
      ...[
        'git',
        'file',
        'headgate-approval',
        'headgate-ledger',
        'HEADGATE-EVIDENCE',
        'headgate-evidence ',
        '*',
      ].map((name) => ({ name: `in the namespace ${name}`, envelope: sign(payload, 'ci', name) })),
      {
        name: 'by a key that has expired',
        envelope: sign(payload, 'expired'),
        reason: 'was valid until',
      },
      {
        name: 'by a key that is not valid yet',
        envelope: sign(payload, 'future'),
        reason: 'is valid from',
      },
      {
        name: 'of another statement',
        envelope: JSON.stringify({ ...envelope, payload: otherPayload }),
        reason: 'does not fit',
      },
      {
        name: 'over the payload itself, without its type',
        envelope: JSON.stringify({ ...envelope, signatures: [{ sig: withoutType }] }),
        reason: 'does not fit',
      },
      // Not there, empty, twice the same, one of seventeen.
      ...[[], [{ sig: '' }], [signature, signature], Array(17).fill(signature), {}, 'x', null].map(
        (signatures) => ({
          name: JSON.stringify(signatures).slice(0, 40),
          envelope: JSON.stringify({ ...envelope, signatures }),
        }),
      ),
    ])
  })

  test('of mallory beside that of CI: the statement is that of CI, and one record', async () => {
    const commit = next()
    const payload = repository.evidencePayload(commit)
    const [mallory] = JSON.parse(sign(payload, 'mallory')).signatures
    const envelope = JSON.parse(sign(payload))
    const count = ledgerRecords(repository).length
    repository.mustRun(
      repository.submit(JSON.stringify({ ...envelope, signatures: [mallory, ...envelope.signatures] })),
    )
    repository.mustRun(repository.submit(sign(payload)))
    expect(kindsSince(repository, count)).toEqual(['evidence'])
  })
})

describe('a statement', () => {
  const cases: [string, (statement: any) => void, string?][] = [
    ['for another repository', (s) => (s.subject[0].name = 'git.example.com/other'), 'is for repository'],
    ['for this repository with a slash more', (s) => (s.subject[0].name = `${REPOSITORY_NAME}/`)],
    ['for this repository in upper case', (s) => (s.subject[0].name = REPOSITORY_NAME.toUpperCase())],
    [
      'about a commit that does not exist',
      (s) => (s.subject[0].digest.gitCommit = '1'.repeat(40)),
      'not a commit',
    ],
    ['about nothing', (s) => (s.subject[0].digest.gitCommit = '0'.repeat(40))],
    ['about two commits', (s) => s.subject.push({ ...s.subject[0], digest: { gitCommit: released } })],
    ['about the same commit twice', (s) => s.subject.push(s.subject[0])],
    ['about no commit', (s) => (s.subject = [])],
    [
      'about a commit in upper case',
      (s) => (s.subject[0].digest.gitCommit = s.subject[0].digest.gitCommit.toUpperCase()),
    ],
    [
      'about an abbreviated commit',
      (s) => (s.subject[0].digest.gitCommit = s.subject[0].digest.gitCommit.slice(0, 12)),
    ],
    ['about a branch', (s) => (s.subject[0].digest.gitCommit = 'main')],
    ['about a SHA-256 name', (s) => (s.subject[0].digest.gitCommit = 'a'.repeat(64))],
    ['of another type', (s) => (s._type = 'https://in-toto.io/Statement/v0.1')],
    ['of an unknown kind', (s) => (s.predicateType = 'https://example.com/x'), "not one of headgate's"],
    ['of an unknown kind with escapes', (s) => (s.predicateType = '\u001b[31m\u202e\u009b')],
    [
      'that only the server makes: an authorization',
      (s) => (s.predicateType = 'https://slsa.dev/verification_summary/v1'),
    ],
    [
      'that only the server makes: an outcome',
      (s) => {
        s.predicateType = 'urn:headgate:outcome:v1'
        s.predicate = { authorization: 1, result: 'landed', observed: released }
      },
      'only the server',
    ],
    [
      'that only the server makes: a policy',
      (s) => {
        const digest = { sha256: createHash('sha256').update('x').digest('hex') }
        s.predicateType = 'urn:headgate:policy:v1'
        s.predicate = {
          version: 99,
          policy: { text: 'x', digest },
          allowedSigners: { text: 'x', digest },
          sealKey: 'x',
        }
      },
      'only the server',
    ],
    ['that is evidence called an approval', (s) => (s.predicateType = 'urn:headgate:approval:v1')],
    [
      'that finished in an hour',
      (s) => (s.predicate.headgate.finishedAt = new Date(Date.now() + 3_600_000).toISOString()),
      'in the future',
    ],
    [
      'that finished in the year 9999',
      (s) => (s.predicate.headgate.finishedAt = '9999-12-31T23:59:59Z'),
      'in the future',
    ],
    [
      'that finished before it started',
      (s) => (s.predicate.headgate.startedAt = new Date(Date.now() + 1000).toISOString()),
    ],
    ['that finished at no time', (s) => (s.predicate.headgate.finishedAt = 'yesterday')],
    ['that finished on 30 February', (s) => (s.predicate.headgate.finishedAt = '2025-02-30T00:00:00Z')],
    ['with a time without a zone', (s) => (s.predicate.headgate.finishedAt = '2025-01-01T00:00:00')],
    ['that passed with failed gates', (s) => s.predicate.failedTests.push('other')],
    ['in which a gate passed twice', (s) => s.predicate.passedTests.push('health')],
    ['in which a gate passed and was skipped', (s) => (s.predicate.headgate.gates[0].outcome = 'skipped')],
    ['in which a gate passed and failed', (s) => (s.predicate.headgate.gates[0].outcome = 'failed')],
    [
      'with gate names that paint terminals',
      (s) => s.predicate.passedTests.push('\u001b[2J\u202e', '\u001b[2J\u202e'),
    ],
    ['from an environment that nobody knows', (s) => (s.predicate.headgate.environment = 'mars'), 'mars'],
    [
      'from an environment that is called like a part of every object',
      (s) => (s.predicate.headgate.environment = 'constructor'),
    ],
    [
      'from an environment with escapes in its name',
      (s) => (s.predicate.headgate.environment = '\u001b[31m\u202e'),
    ],
    ['from a repository with escapes in its name', (s) => (s.subject[0].name = '\u001b[31m\u202e')],
    ['without a result', (s) => delete s.predicate.result],
    ['with a result of its own', (s) => (s.predicate.result = 'BRILLIANT')],
    ['without a configuration', (s) => (s.predicate.configuration = [])],
    ['without headgate’s part', (s) => delete s.predicate.headgate],
    ['that is a list', (s) => (s.predicate = [])],
  ]
  test('that is none of headgate’s, of this repository, or of this world is refused', () =>
    expectAllRefused(
      repository,
      cases.map(([name, change, reason]) => ({
        name,
        envelope: sign(alter(commits[0] ?? '', change)),
        reason,
      })),
    ))

  const writings: [string, (payload: string) => string | Buffer][] = [
    [
      'a key twice, the second one good',
      (p) => p.replace('"result":"PASSED"', '"result":"FAILED","result":"PASSED"'),
    ],
    [
      'a key twice, written in two ways',
      (p) => p.replace('"result":"PASSED"', '"result":"FAILED","r\\u0065sult":"PASSED"'),
    ],
    [
      'two subjects under one key',
      (p) =>
        p.replace(
          '"subject":',
          `"subject":[{"name":"x","digest":{"gitCommit":"${'2'.repeat(40)}"}}],"subject":`,
        ),
    ],
    ['something after its end', (p) => `${p}{}`],
    ['a byte order mark', (p) => `\ufeff${p}`],
    ['a comment', (p) => `${p}/* passed */`],
    [
      'bytes that are no UTF-8',
      (p) => Buffer.concat([Buffer.from(p.slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')]),
    ],
    ['nothing in it', () => ''],
    ['null', () => 'null'],
    ['a very deep nest', () => `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
  ]
  function signBytes(payload: Buffer): string {
    const type = 'application/vnd.in-toto+json'
    const message = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload])
    const armor = repository.run(
      'ssh-keygen',
      ['-q', '-Y', 'sign', '-n', NAMESPACE, '-f', repository.key('ci')],
      { input: message },
    )
    const sig = repository
      .mustRun(armor)
      .stdout.split('\n')
      .filter((line) => line !== '' && !line.startsWith('-----'))
      .join('')
    return JSON.stringify({ payloadType: type, payload: payload.toString('base64'), signatures: [{ sig }] })
  }
  test('that is written in another way than the one is refused', () =>
    expectAllRefused(
      repository,
      writings.map(([name, change]) => ({
        name,
        envelope: signBytes(Buffer.from(change(repository.evidencePayload(commits[0] ?? '')) as string)),
      })),
    ))

  const worthless: [string, (predicate: any) => void, string?, string?][] = [
    [
      'of a run that failed',
      (p) => {
        p.result = 'FAILED'
        p.passedTests = ['health']
        p.failedTests = ['chat']
        p.headgate.gates[1].outcome = 'failed'
      },
      'evidence',
      'failed: chat',
    ],
    [
      'that misspells a gate',
      (p) => {
        p.passedTests = ['health', 'Chat']
        p.headgate.gates[1].name = 'Chat'
      },
      'evidence',
      'missing: chat',
    ],
    [
      'whose gate has a space more',
      (p) => {
        p.passedTests = ['health', 'chat ']
        p.headgate.gates[1].name = 'chat '
      },
      'evidence',
      'missing: chat',
    ],
    [
      'that lacks a gate',
      (p) => {
        p.passedTests = ['health']
        p.headgate.gates.pop()
      },
      'evidence',
      'missing: chat',
    ],
    [
      'that skipped a gate',
      (p) => {
        p.passedTests = ['health']
        p.headgate.gates[1].outcome = 'skipped'
      },
      'evidence',
      'chat (skipped)',
    ],
    [
      'that lists a gate as passed of which it has no outcome',
      (p) => {
        p.headgate.gates.pop()
      },
      'evidence',
      'missing: chat',
    ],
    [
      'of another configuration',
      (p) => (p.configuration[0].digest.sha256 = 'a'.repeat(64)),
      'evidence',
      'another gate configuration',
    ],
    [
      'of the configuration of production',
      (p) => (p.configuration[0].name = '.headgate/policy.yaml#environments.production'),
      'evidence',
      'another gate configuration',
    ],
    [
      'that is too old',
      (p) => {
        p.headgate.startedAt = p.headgate.finishedAt = new Date(Date.now() - 25 * 3_600_000).toISOString()
      },
      'evidence',
      'the policy allows',
    ],
    ['from production', (p) => (p.headgate.environment = 'production'), 'evidence', 'no staging evidence'],
    [
      'of a staging that served another commit before',
      (p) => (p.headgate.servedCommit.before = released),
      'served-commit',
    ],
    [
      'of a staging that served another commit after',
      (p) => (p.headgate.servedCommit.after = released),
      'served-commit',
    ],
    [
      'of a staging that said its commit in short',
      (p) => (p.headgate.servedCommit.after = p.headgate.servedCommit.after.slice(0, 7)),
      'served-commit',
    ],
    [
      'of a staging that said its commit in upper case',
      (p) => (p.headgate.servedCommit.after = p.headgate.servedCommit.after.toUpperCase()),
      'served-commit',
    ],
    ['of a staging that did not say', (p) => (p.headgate.servedCommit = null), 'served-commit'],
    [
      'of a staging that said it with escapes',
      (p) => (p.headgate.servedCommit.before = '\u001b[31mred'),
      'served-commit',
    ],
  ]
  test('that is honest and not enough is taken, and proves nothing', async () => {
    const cases = worthless.map(([name, change, rule = 'evidence', reason = '']) => {
      const commit = next()
      return { name, commit, rule, reason, payload: repository.evidencePayload(commit, change) }
    })
    const count = ledgerRecords(repository).length
    const envelopes = repository.signAll(
      cases.map(({ payload }) => payload),
      'ci',
      NAMESPACE,
    )
    repository.mustRun(repository.push(envelopes.map((envelope) => repository.inboxRefspec(envelope))))
    expect(kindsSince(repository, count)).toEqual(cases.map(() => 'evidence'))
    for (const { name, commit, rule, reason } of cases) {
      const { all } = await expectRefused(repository, [rule], () => repository.push(`${commit}:${RELEASE}`))
      expect(spoken(all), name).toContain(reason)
    }
  })
})

describe('an envelope', () => {
  const malformed: [string, (envelope: any, text: string) => string | Buffer][] = [
    ['with a key twice', (_, t) => t.replace('"payload":', '"payload":"e30=","payload":')],
    [
      'with a key twice in two ways of writing',
      (_, t) => t.replace('"payload":', '"p\\u0061yload":"e30=","payload":'),
    ],
    ['with an unknown key', (e) => JSON.stringify({ ...e, extra: 1 })],
    ['of another payload type', (e) => JSON.stringify({ ...e, payloadType: 'application/json' })],
    ['with something after its end', (_, t) => `${t}x`],
    ['twice in a row', (_, t) => t + t],
    ['in a list', (_, t) => `[${t}]`],
    ['with a NUL at its end', (_, t) => `${t}\0`],
    ['with a byte order mark', (_, t) => `\ufeff${t}`],
    ['as UTF-16', (_, t) => Buffer.from(t, 'utf16le')],
    [
      'with a line break in its base64',
      (e) => JSON.stringify({ ...e, payload: `${e.payload.slice(0, 40)}\n${e.payload.slice(40)}` }),
    ],
    ['with bits in the padding of its base64', (e) => JSON.stringify({ ...e, payload: sloppy(e.payload) })],
    ['that is empty', () => ''],
    ['that is only a brace', () => '{'],
    ['of 64 KiB and a byte', (_, t) => t + ' '.repeat(65_537 - t.length)],
    ['of a megabyte', (_, t) => t + '\n'.repeat(1_048_576)],
    [
      'with a keyid that paints terminals',
      (e) => JSON.stringify({ ...e, signatures: [{ ...e.signatures[0], keyid: '\u001b[31m\u202e' }] }),
    ],
  ]
  test('that is malformed is refused', () => {
    // A payload of a length that base64 has to pad.
    let payload = repository.evidencePayload(commits[0] ?? '')
    while (Buffer.byteLength(payload) % 3 !== 1) payload += ' '
    const text = sign(payload)
    return expectAllRefused(
      repository,
      malformed.map(([name, change]) => ({ name, envelope: change(JSON.parse(text), text) })),
    )
  })

  const writings: [string, (envelope: any, text: string) => string][] = [
    ['white space', (e) => JSON.stringify(e, null, 4)],
    [
      'tabs and line breaks of Windows',
      (e) => `\r\n\t${JSON.stringify(e, null, '\t').replaceAll('\n', '\r\n')}\r\n`,
    ],
    [
      'another order of keys',
      (e) => JSON.stringify({ signatures: e.signatures, payload: e.payload, payloadType: e.payloadType }),
    ],
    [
      'base64 for URLs',
      (e) => JSON.stringify({ ...e, payload: e.payload.replaceAll('+', '-').replaceAll('/', '_') }),
    ],
    ['64 KiB exactly', (_, t) => t + ' '.repeat(65_536 - t.length)],
    [
      'another hint for the key',
      (e) => JSON.stringify({ ...e, signatures: [{ ...e.signatures[0], keyid: 'somebody' }] }),
    ],
  ]
  test('with other white space, order, alphabet or hint is the same statement: one record', () => {
    const cases = writings.map(([name, change]) => {
      const text = evidence(next())
      return { name, text, changed: change(JSON.parse(text), text) }
    })
    const submitAll = (write: (one: (typeof cases)[number]) => string) => {
      const count = ledgerRecords(repository).length
      const { all } = repository.mustRun(
        repository.push(cases.map((one) => repository.inboxRefspec(write(one)))),
      )
      return { all, kinds: kindsSince(repository, count) }
    }
    expect(submitAll(({ changed }) => changed).kinds).toEqual(cases.map(() => 'evidence'))
    expect(submitAll(({ text }) => text).kinds).toEqual([])
    const again = submitAll(({ text }) => `${text}\n`)
    expect(again.kinds).toEqual([])
    expect(again.all.match(/already/g)).toHaveLength(cases.length)
  })

  test('in the same push twice, in two ways of writing, is one record', () => {
    const commit = next()
    const text = evidence(commit)
    const count = ledgerRecords(repository).length
    repository.mustRun(
      repository.push([
        repository.inboxRefspec(text),
        repository.inboxRefspec(`${text}\n`),
        repository.inboxRefspec(` ${text}`),
      ]),
    )
    expect(kindsSince(repository, count)).toEqual(['evidence'])
  })
})

describe('the inbox', () => {
  test('takes no submission under another name', async () => {
    const commit = next()
    const text = evidence(commit)
    const digest = createHash('sha256').update(text).digest('hex')
    const names = [
      'x',
      digest.toUpperCase(),
      digest.slice(0, 40),
      `${digest}0`,
      `a/${digest}`,
      createHash('sha1').update(text).digest('hex'),
    ]
    const { all } = await expectRefused(repository, ['inbox'], () =>
      repository.push(names.map((name) => repository.inboxRefspec(text, name))),
    )
    const parts: string[] = all.split(/^(?=remote: refs\/headgate\/inbox\/)/m)
    for (const name of names) {
      const told = parts.filter((part) => part.startsWith(`remote: refs/headgate/inbox/${name}:`))
      expect([name, told.map(rulesIn)]).toEqual([name, [['inbox']]])
      // What it should be called: the fix says it, whatever it was called.
      expect(told.join('').split(':').slice(1).join(':')).toContain(digest)
    }
    await expectRefused(repository, ['reserved'], () =>
      repository.push(`${repository.inboxRefspec(text).split(':')[0]}:refs/headgate/outbox/${digest}`),
    )
  })

  test('takes no tree, commit or tag', async () => {
    const blob = repository.inboxRefspec(evidence(next())).split(':')[0] ?? ''
    repository.git('tag', '-a', '-m', 'x', 'of-evidence', blob)
    const oids = repository.git('rev-parse', 'main', 'main^{tree}', 'refs/tags/of-evidence').split('\n')
    const { all } = await expectRefused(repository, ['inbox'], () =>
      repository.push(oids.map((oid, index) => `${oid}:refs/headgate/inbox/${'abc'[index]?.repeat(64)}`)),
    )
    expect(all.match(/^remote: {3}\[inbox\]/gm)).toHaveLength(oids.length)
  })

  test('is empty after a push, and one bad submission keeps all others of its push back', async () => {
    const commit = next()
    await expectRefused(repository, ['inbox'], () =>
      repository.push([repository.inboxRefspec(evidence(commit)), repository.inboxRefspec('{}')]),
    )
    await expectChanged(repository, {}, () => repository.submit(evidence(commit)))
    expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
  })

  test('takes submissions from anybody: it is the key that counts', async () => {
    const commit = next()
    repository.mustRun(repository.submit(evidence(commit), 'nobody'))
    const record = ledgerRecords(repository).at(-1)
    expect([record?.kind, record?.by]).toEqual(['evidence', 'nobody'])
  })

  test('takes no more than 500 submissions in one push, and says so', async () => {
    const folder = join(repository.folder, 'flood')
    const texts = Array.from({ length: 501 }, (_, index) => `{"flood":${index}}`)
    mkdirSync(folder)
    for (const [index, text] of texts.entries()) writeFileSync(join(folder, `${index}`), text)
    const paths = texts.map((_, index) => `${join(folder, `${index}`)}\n`).join('')
    const hashing = repository.run('git', ['hash-object', '-w', '--stdin-paths'], {
      cwd: repository.clone,
      input: paths,
    })
    const blobs = repository.mustRun(hashing).stdout.trim().split('\n')
    const refspecs = blobs.map((blob, index) => {
      const name = createHash('sha256')
        .update(texts[index] ?? '')
        .digest('hex')
      return `${blob}:refs/headgate/inbox/${name}`
    })
    const { all } = await expectRefused(repository, ['inbox'], () => repository.push(refspecs))
    expect(all).toContain('501 submissions')
    await expectRefused(repository, ['inbox'], () => repository.push(refspecs.slice(1)))
  })
})

describe('a replay', () => {
  const failing = (predicate: any) => {
    predicate.result = 'FAILED'
    predicate.passedTests = ['health']
    predicate.failedTests = ['chat']
    predicate.headgate.gates[1].outcome = 'failed'
  }
  const at =
    (ms: number, change: (p: any) => void = () => {}) =>
    (predicate: any) => {
      predicate.headgate.startedAt = predicate.headgate.finishedAt = new Date(Date.now() + ms).toISOString()
      change(predicate)
    }

  test('of an old pass after a failure hides no failure', async () => {
    const commit = next()
    const pass = evidence(commit, at(-60_000))
    repository.mustRun(repository.submit(pass))
    repository.mustRun(repository.submit(evidence(commit, at(-30_000, failing))))
    await expectRefused(repository, ['evidence'], () => repository.push(`${commit}:${RELEASE}`))
    const count = ledgerRecords(repository).length
    repository.mustRun(repository.submit(`${pass}\n`))
    expect(kindsSince(repository, count)).toEqual([])
    await expectRefused(repository, ['evidence'], () => repository.push(`${commit}:${RELEASE}`))
    // Neither does one that was kept back until now.
    repository.mustRun(repository.submit(evidence(commit, at(-45_000))))
    await expectRefused(repository, ['evidence'], () => repository.push(`${commit}:${RELEASE}`))
    // Nor one in the very push.
    await expectRefused(repository, ['evidence'], () =>
      repository.push([repository.inboxRefspec(evidence(commit, at(-40_000))), `${commit}:${RELEASE}`]),
    )
  })

  test('a failure in the same push as the move stops the move', async () => {
    const commit = next()
    repository.mustRun(repository.submit(evidence(commit, at(-60_000))))
    await expectRefused(repository, ['evidence'], () =>
      repository.push([
        `${commit}:${RELEASE}`,
        repository.inboxRefspec(evidence(commit, at(-30_000, failing))),
      ]),
    )
  })

  test('after an invalidation brings nothing back', async () => {
    const commit = next()
    const { statementPayload } = await import('../../src/core/statement.ts')
    const pass = evidence(commit, at(-60_000))
    repository.mustRun(repository.submit(pass))
    const invalidation = statementPayload('invalidation', REPOSITORY_NAME, commit, {
      reason: 'the gate \u001b[31mlied',
      issuedAt: new Date(Date.now() - 10_000).toISOString(),
    })
    repository.mustRun(repository.submit(sign(invalidation, 'alice', 'headgate-approval')))
    repository.mustRun(repository.submit(pass))
    const { all } = await expectRefused(repository, ['evidence'], () =>
      repository.push(`${commit}:${RELEASE}`),
    )
    expect(all).toContain('invalidated')
    expectPlainText(all)
    // What ended before the invalidation, and was kept back, is void as well.
    repository.mustRun(repository.submit(evidence(commit, at(-20_000))))
    await expectRefused(repository, ['evidence'], () => repository.push(`${commit}:${RELEASE}`))
    // A run after it proves the commit anew.
    const fresh = evidence(commit, at(0))
    await expectChanged(repository, { [RELEASE]: commit }, () =>
      repository.push([repository.inboxRefspec(fresh), `${commit}:${RELEASE}`]),
    )
    released = commit
  })

  test('of evidence for one commit does not prove its child or its parent', async () => {
    const [parent, child] = [next(), next()]
    repository.mustRun(repository.submit(evidence(child)))
    await expectRefused(repository, ['evidence'], () => repository.push(`${parent}:${RELEASE}`))
  })

  test('of a record of the ledger itself as a submission is none', async () => {
    const records = ledgerRecords(repository)
    await expectAllRefused(
      repository,
      ['policy', 'authorization', 'outcome'].map((kind) => ({
        name: kind,
        envelope: JSON.stringify(records.find((record) => record.kind === kind)?.envelope),
      })),
    )
  })
})
