/**
 * Everything that people and CI submit, made without headgate: statements written out here, signed by by-hand.sh with
 * keys of every kind. And the recipes of docs/ledger-format.md, run as they stand there.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ran, TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, kindsSince, ledgerRecords } from './attack.ts'
import { served } from './running-service.ts'

const SCRIPT = join(import.meta.dirname, 'by-hand.sh')
const FORMAT = readFileSync(resolve(import.meta.dirname, '../../docs/ledger-format.md'), 'utf8')
const RELEASE = 'refs/heads/release'
const NAME = 'git.example.com/app'

/** JSON is YAML, and this text is canonical: its hash is the configuration digest. */
const STAGING =
  '{"gates":[{"expect":{"status":200},"get":"/health","name":"health"}],"servedCommit":{"get":"/health","json":"commit"},"url":"http://127.0.0.1:9"}'
const KINDS = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa-3072'] as const

let repository: TestRepository

beforeAll(() => {
  const operators = KINDS.map((kind) => `op-${kind}`)
  const policy = `version: 1
repository: ${NAME}
staging: main
release: release
evidence: { maxAge: 24h, servedCommit: required }
promotion: { operators: [alice, ${operators.join(', ')}] }
rollback: { approvers: [${operators.join(', ')}], target: landed }
environments:
  staging: ${STAGING}
  production: ${STAGING}
`
  repository = new TestRepository({ policy, install: false })
  const lines = KINDS.flatMap((kind) => [
    makeKey(`ci-${kind}`, kind, 'headgate-evidence'),
    makeKey(`op-${kind}`, kind, 'headgate-approval'),
  ])
  writeFileSync(join(repository.policyFolder, 'allowed_signers'), `${lines.join('\n')}\n`)
  repository.install()
  return served(repository)
})
afterAll(() => repository.remove())

function makeKey(name: string, kind: string, namespaces: string): string {
  const [type = '', bits] = kind.split('-')
  const size = bits === undefined ? [] : ['-b', bits]
  const file = repository.key(name)
  repository.mustRun(repository.run('ssh-keygen', ['-q', '-t', type, ...size, '-N', '', '-f', file]))
  return `${name} namespaces="${namespaces}" ${readFileSync(`${file}.pub`, 'utf8').trim()}`
}

function envelope(
  key: string,
  namespace: string,
  predicateType: string,
  commit: string,
  predicate: object,
): string {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: NAME, digest: { gitCommit: commit } }],
    predicateType,
    predicate,
  }
  const ran = repository.run('/bin/sh', [SCRIPT, repository.key(key), namespace], {
    input: JSON.stringify(statement),
  })
  return repository.mustRun(ran).stdout
}

const now = (later = 0) => new Date(Date.now() + later).toISOString()

function evidence(kind: string, commit: string, more: object = {}): string {
  const at = now()
  return envelope(
    `ci-${kind}`,
    'headgate-evidence',
    'https://in-toto.io/attestation/test-result/v0.1',
    commit,
    {
      result: 'PASSED',
      configuration: [
        {
          name: '.headgate/policy.yaml#environments.staging',
          digest: { sha256: createHash('sha256').update(STAGING).digest('hex') },
        },
      ],
      passedTests: ['health'],
      headgate: {
        environment: 'staging',
        startedAt: at,
        finishedAt: at,
        servedCommit: { before: commit, after: commit },
        gates: [{ name: 'health', outcome: 'passed' }],
      },
      ...more,
    },
  )
}

const byOperator = (kind: string, type: string, commit: string, predicate: object) =>
  envelope(`op-${kind}`, 'headgate-approval', `urn:headgate:${type}:v1`, commit, predicate)

function permission(
  kind: string,
  type: 'approval' | 'override',
  from: string,
  to: string,
  more: object = {},
): string {
  const nonce = createHash('sha256').update(`${kind} ${type} ${from} ${to}`).digest('hex')
  return byOperator(kind, type, to, {
    ref: RELEASE,
    from,
    to,
    reason: 'it is broken',
    issuedAt: now(),
    expiresAt: now(600_000),
    nonce,
    ...more,
  })
}

const freeze = (kind: string, commit: string, until: string, issuedAt: string) =>
  byOperator(kind, 'freeze', commit, { until, reason: 'sale', issuedAt })

/** What submits these blobs, written by one git. */
function refspecsOf(blobs: readonly Buffer[]): string[] {
  const paths = blobs.map((blob, index) => {
    const path = join(repository.folder, `blob-${index}`)
    writeFileSync(path, blob)
    return path
  })
  const written = repository.run('git', ['hash-object', '-w', '--no-filters', '--stdin-paths'], {
    cwd: repository.clone,
    input: `${paths.join('\n')}\n`,
  })
  const oids = repository.mustRun(written).stdout.trim().split('\n')
  return blobs.map(
    (blob, index) => `${oids[index]}:refs/headgate/inbox/${createHash('sha256').update(blob).digest('hex')}`,
  )
}

/** One push of these envelopes and refs. */
const push = (envelopes: readonly string[], ...refspecs: string[]): Ran =>
  repository.push([...envelopes.map((text) => repository.inboxRefspec(text)), ...refspecs])

describe.each(KINDS)('statements that %s keys signed', (kind) => {
  test('are accepted, and each has its effect', async () => {
    const [one, two] = [repository.commit(`${kind}: one`), repository.commit(`${kind}: two`)]
    const releasing = (commit: string, ...envelopes: string[]) =>
      expectChanged(repository, { [RELEASE]: commit }, () => push(envelopes, `+${commit}:${RELEASE}`))
    const count = ledgerRecords(repository).length

    repository.mustRun(push([evidence(kind, one), evidence(kind, two)], 'main'))
    await releasing(one)
    const issued = now()
    repository.mustRun(push([freeze(kind, one, now(600_000), issued)]))
    await expectRefused(repository, ['frozen'], () => push([], `${two}:${RELEASE}`))
    // The unfreeze ends when it is issued, and it comes with the move that it lets pass.
    await releasing(two, freeze(kind, one, now(), now()))
    await releasing(one, permission(kind, 'approval', two, one))
    repository.mustRun(
      push([byOperator(kind, 'invalidation', two, { reason: 'wrong database', issuedAt: now() })]),
    )
    await expectRefused(repository, ['barred', 'evidence'], () => push([], `${two}:${RELEASE}`))
    await releasing(two, permission(kind, 'override', one, two, { waives: ['barred', 'evidence'] }))

    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', RELEASE, one)
    await expectRefused(repository, ['drift'], () => push([evidence(kind, two)], `${two}:${RELEASE}`))
    const note = {
      ref: RELEASE,
      expected: two,
      found: one,
      reason: 'restored from yesterday',
      issuedAt: now(),
    }
    await releasing(two, byOperator(kind, 'drift', one, note), evidence(kind, two))

    expect(kindsSince(repository, count)).toEqual([
      ...['evidence', 'evidence', 'authorization', 'landed', 'freeze'],
      ...['freeze', 'authorization', 'landed', 'approval', 'authorization', 'landed', 'invalidation'],
      ...['override', 'authorization', 'landed', 'drift', 'evidence', 'authorization', 'landed'],
    ])
    expectSoundLedger(repository)
  })

  test('with one bit flipped are refused, wherever it is', async () => {
    const commit = repository.commit(`${kind}: flipped`)
    repository.mustRun(repository.push('main'))
    const good = Buffer.from(evidence(kind, commit).trimEnd())
    // Nothing rests on keyid, and any text may stand there.
    const start = good.indexOf('"SHA256:') + 1
    const end = start + 'SHA256:'.length + 43
    const all = Array.from({ length: good.length * 8 }, (_, bit) => bit).filter(
      (bit) => bit >> 3 < start || bit >> 3 >= end,
    )
    // Steps of a prime, so that each bit of a byte has its turn.
    const step = 41 + KINDS.indexOf(kind) * 2
    const flipped = all
      .filter((bit) => bit % step === 0)
      .map((bit) => {
        const copy = Buffer.from(good)
        copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        return copy
      })
    expect(flipped.length).toBeGreaterThan(150)
    const pushed = await expectRefused(repository, ['inbox'], () => repository.push(refspecsOf(flipped)))
    expect(pushed.all.match(/^remote: {3}\[inbox\]/gm)?.length).toBe(flipped.length)
    repository.mustRun(repository.submit(good))
  })
})

test('fields that headgate does not know are ignored, and kept', async () => {
  const commit = repository.commit('unknown fields')
  const text = evidence('ed25519', commit, {
    extension: { 'example.com/run': [1, null, { a: 'b' }] },
    generator: 'by hand',
  })
  repository.mustRun(push([text], 'main'))
  await expectChanged(repository, { [RELEASE]: commit }, () => push([], `${commit}:${RELEASE}`))
  const record = ledgerRecords(repository).find((one) => one.kind === 'evidence' && one.commit === commit)
  expect(record?.predicate.extension).toEqual({ 'example.com/run': [1, null, { a: 'b' }] })
})

test('other ways of writing the same envelope are the same record: URL-safe base64, no padding, white space', () => {
  const commit = repository.commit('written otherwise')
  const text = evidence('ecdsa-256', commit)
  repository.mustRun(push([text], 'main'))
  const count = ledgerRecords(repository).length
  const { payloadType, payload, signatures } = JSON.parse(text)
  const urlSafe = (base64: string) => base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  const [{ sig }] = signatures
  for (const other of [
    { payloadType, payload: urlSafe(payload), signatures: [{ sig: urlSafe(sig) }] },
    { signatures, payload, payloadType },
  ])
    repository.mustRun(push([`\r\n\t${JSON.stringify(other, null, '\t')}  \n`]))
  expect(kindsSince(repository, count)).toEqual([])
})

test('the ledger reads as an audit log', () => {
  const subjects = repository.ledgerSubjects()
  const short = (subject: string) =>
    repository.git('log', '--format=%h', '--abbrev=7', `--grep=^ed25519: ${subject}$`, 'main')
  const [one, two] = [short('one'), short('two')]
  const first = subjects.indexOf(`evidence ${one} passed on staging`)
  const told = subjects
    .slice(first, first + 19)
    .map((subject) => subject.replace(/until \S+:/, 'until TIME:'))
  expect(told).toEqual([
    `evidence ${one} passed on staging`,
    `evidence ${two} passed on staging`,
    `promotion ${one} authorized on release, by alice`,
    `promotion ${one} landed, by alice`,
    'freeze until TIME: sale',
    'unfreeze: sale',
    `promotion ${two} authorized on release from ${one}, by alice`,
    `promotion ${two} landed, by alice`,
    `approval to roll release back from ${two} to ${one}`,
    `rollback ${one} authorized on release from ${two}, by alice`,
    `rollback ${one} landed, by alice`,
    `evidence ${two} invalidated: wrong database`,
    `OVERRIDE for ${two} waives barred, evidence: it is broken`,
    `override ${two} authorized on release from ${one}, by alice`,
    `override ${two} landed, by alice`,
    `drift of release from ${two} to ${one} accepted: restored from yesterday`,
    `evidence ${two} passed on staging`,
    `promotion ${two} authorized on release from ${one}, by alice`,
    `promotion ${two} landed, by alice`,
  ])
})

describe('a recipe of docs/ledger-format.md', () => {
  /** The shell blocks under a heading. */
  const recipe = (heading: string) => {
    const [, section = ''] = FORMAT.split(`\n## ${heading}\n`)
    const [own = ''] = section.split('\n## ')
    return [...own.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
  }
  let folder: string
  const run = (script: string) => repository.run('/bin/sh', ['-eu'], { cwd: folder, input: script })

  beforeAll(() => {
    folder = join(repository.folder, 'auditor')
    repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, folder]))
    writeFileSync(join(folder, 'seal.pub'), readFileSync(join(repository.bare, 'headgate', 'seal-key.pub')))
  })

  test('confirms a seal, and who signed the statement in it', () => {
    const [seal = ''] = recipe('Confirm a seal by hand')
    const [statement = '', name = ''] = recipe('Confirm a statement by hand')
    const records = ledgerRecords(repository)
    for (const kind of KINDS) {
      const { seq, envelope: stored } = records.find(({ kind: what, envelope }) => {
        const { keyid } = envelope.signatures[0]
        return what === 'evidence' && keyid === fingerprint(`ci-${kind}`)
      })!
      const ran = run([seal.replaceAll('00000034', String(seq).padStart(8, '0')), statement, name].join('\n'))
      expect(ran.code, ran.all).toBe(0)
      expect(ran.stdout).toMatch(/^Good "headgate-ledger" signature for seal with ED25519 key SHA256:/)
      expect(ran.stdout).toMatch(new RegExp(`^Good "headgate-evidence" signature for ci-${kind} with `, 'm'))
      const canonical = JSON.stringify({
        payload: stored.payload,
        payloadType: stored.payloadType,
        signatures: stored.signatures,
      })
      expect(ran.stdout).toContain(createHash('sha256').update(canonical).digest('hex'))
    }
    // A word of the record changed: the seal no longer holds.
    const [, signed] = [seal, seal.replace('> record.json', '| sed s/alice/bob/ > record.json')]
    const forged = run(signed.replaceAll('00000034', '00000004'))
    expect(forged.code, forged.all).not.toBe(0)
  })

  test('checks the whole ledger', () => {
    const [check = ''] = recipe('Check a whole ledger')
    writeFileSync(join(folder, 'check-ledger'), check)
    const ran = run('git fetch -q origin refs/headgate/ledger\nsh check-ledger FETCH_HEAD seal.pub\n')
    expect(ran.code, ran.all).toBe(0)
  })

  const hasYaml = () => repository.run('python3', ['-c', 'import yaml']).code === 0

  test('makes evidence (skipped without PyYAML)', async ({ skip }) => {
    if (!hasYaml()) skip('python3 has no yaml here')
    const [make = ''] = recipe('Make evidence without headgate')
    const commit = repository.commit('proved by the recipe')
    repository.mustRun(repository.push('main'))
    repository.run('git', ['pull', '-q'], { cwd: folder })
    writeFileSync(join(folder, 'ci_key'), readFileSync(repository.key('ci-ed25519')), { mode: 0o600 })
    const ran = run(
      make
        .replace('"passedTests": ["health", "chat"]', '"passedTests": ["health"]')
        .replace(/, \{"name": "chat"[^}]*\}/, ''),
    )
    expect(ran.all).toContain(`headgate: evidence for ${commit.slice(0, 7)} accepted`)
    await expectChanged(repository, { [RELEASE]: commit }, () => push([], `${commit}:${RELEASE}`))
  })
})

function fingerprint(name: string): string {
  return repository.run('ssh-keygen', ['-l', '-f', `${repository.key(name)}.pub`]).stdout.split(' ')[1] ?? ''
}
