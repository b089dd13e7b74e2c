import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../src/core/canonical-json.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import {
  PREDICATE_TYPES,
  parseStatement,
  type StatementKind,
  statementPayload,
} from '../../src/core/statement.ts'
import { hostileText } from './generate.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonMap = { [key: string]: Json }

const OID = '3f2c1ab'.padEnd(40, '0')
const FROM = '9d0e1f2'.padEnd(40, '0')
const ZEROS = '0'.repeat(40)
const DIGEST = 'ab'.repeat(32)
const NOON = '2026-03-02T12:00:00Z'
const LATER = '2026-03-02T13:00:00+01:00'

const permission = {
  ref: 'refs/heads/release',
  from: FROM,
  to: OID,
  trigger: 'pager',
  reason: 'checkout fails',
  symptoms: '500s',
  issuedAt: NOON,
  expiresAt: LATER,
  nonce: '4c7e2a90',
}

/** One statement of each kind as the design describes it, written by hand. */
const PREDICATES: { readonly [K in StatementKind]: JsonMap } = {
  evidence: {
    result: 'PASSED',
    configuration: [{ name: '.headgate/policy.yaml#environments.staging', digest: { sha256: DIGEST } }],
    passedTests: ['health', 'chat'],
    warnedTests: ['drills'],
    failedTests: [],
    url: 'https://ci.example.com/run/7',
    headgate: {
      environment: 'staging',
      baseUrl: 'https://staging.example.com',
      startedAt: NOON,
      finishedAt: LATER,
      servedCommit: { before: OID, after: OID },
      gates: [
        { name: 'health', outcome: 'passed', status: 200, durationMs: 12.5, reason: null },
        { name: 'chat', outcome: 'passed', status: 200, durationMs: 40, reason: null },
        { name: 'drills', outcome: 'skipped', status: null, durationMs: 0, reason: 'not run' },
      ],
      runner: 'github-actions',
    },
  },
  approval: permission,
  override: { ...permission, waives: ['evidence', 'frozen'] },
  invalidation: { reason: 'wrong database', issuedAt: NOON },
  request: {
    ref: 'refs/heads/release',
    from: FROM,
    to: OID,
    note: 'weekly',
    plan: 'ticket 7',
    despiteBar: ['abcdef0'],
    issuedAt: NOON,
    expiresAt: LATER,
    nonce: '4c7e2a90',
  },
  retire: { role: 'release', ref: 'refs/heads/old', found: OID, reason: 'renamed', issuedAt: NOON },
  freeze: { until: LATER, reason: 'sale weekend', issuedAt: NOON },
  drift: { ref: 'refs/heads/release', expected: FROM, found: OID, reason: 'restored', issuedAt: NOON },
  authorization: {
    verifier: { id: 'urn:headgate:server:v1' },
    timeVerified: NOON,
    resourceUri: 'git+https://git.example.com/app',
    policy: { uri: '.headgate/policy.yaml', digest: { sha256: DIGEST } },
    inputAttestations: [{ digest: { sha256: DIGEST } }],
    verificationResult: 'PASSED',
    verifiedLevels: ['ORG_SOURCE_STAGING_PROVED'],
    'urn:headgate:move': {
      kind: 'promotion',
      ref: 'refs/heads/release',
      from: FROM,
      to: OID,
      pusher: 'alice',
      enforcement: 'enforce',
      facts: { fastForward: true, approvedBy: ['bob'] },
      objections: [{ rule: 'evidence', found: 'none', waived: true }],
      pushOptions: ['note=hello'],
      pushCertificate: null,
    },
  },
  outcome: { authorization: 42, result: 'landed', observed: OID },
  policy: {
    version: 3,
    policy: { text: 'version: 1', digest: { sha256: DIGEST } },
    allowedSigners: { text: '', digest: { sha256: DIGEST } },
    sealKey: 'ssh-ed25519 AAAA',
  },
}

const KINDS = Object.keys(PREDICATES) as StatementKind[]

function statement(kind: StatementKind, predicate: Json = PREDICATES[kind], head: JsonMap = {}): JsonMap {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'git.example.com/app', digest: { gitCommit: OID } }],
    predicateType: PREDICATE_TYPES[kind],
    predicate,
    ...head,
  }
}

const parse = (value: Json) => parseStatement(Buffer.from(JSON.stringify(value)))

/** What is said about a statement that is refused; null if it is accepted. */
function complaint(value: Json | string): string | null {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  try {
    parseStatement(Buffer.from(text))
    return null
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    expect(error.code).toBe('data')
    return error.message
  }
}

/** A copy of the value in which `path` (keys joined by dots) holds `part`; without it, if `part` is undefined. */
function replaced(value: Json, path: string, part: Json | undefined): Json {
  const copy = structuredClone(value)
  const keys = path.split('/')
  const last = keys.pop() ?? ''
  const parent = keys.reduce<Json>((at, key) => (at as JsonMap)[key] as Json, copy) as JsonMap
  if (part === undefined) delete parent[last]
  else parent[last] = part
  return copy
}

describe.for(KINDS)('a statement of kind %s', (kind) => {
  test('is accepted as the design writes it', () => {
    const value = statement(kind)
    expect(parse(value)).toEqual({
      kind,
      repository: 'git.example.com/app',
      commit: OID,
      predicate: PREDICATES[kind],
      payloadDigest: sha256(JSON.stringify(value)),
    })
  })

  test('is written as it is read', () => {
    const payload = statementPayload(kind, 'git.example.com/app', OID, PREDICATES[kind] as never)
    expect(JSON.parse(payload)).toEqual(statement(kind))
  })

  test('may have fields that nobody knows, anywhere', () => {
    const withMore = (value: Json): Json => {
      if (Array.isArray(value)) return value.map(withMore)
      if (typeof value !== 'object' || value === null) return value
      const fields = Object.entries(value).map(([key, part]) => [key, withMore(part)] as const)
      return { ...Object.fromEntries(fields), 'urn:example:more': { a: [1, null] } }
    }
    // `facts` is a map of whatever the server writes down, so that nothing in it is unknown.
    const parsed = parse(withMore(statement(kind)))
    const { predicate } = parse(statement(kind))
    if (kind !== 'authorization') expect(parsed.predicate).toEqual(predicate)
  })

  test('has no field that may be missing without anybody noticing, but for these', () => {
    const optional: Partial<Record<StatementKind, string[]>> = {
      evidence: ['passedTests', 'warnedTests', 'failedTests', 'url'],
      approval: ['trigger', 'symptoms'],
      override: ['trigger', 'symptoms'],
      request: ['note', 'plan', 'despiteBar'],
    }
    for (const field of Object.keys(PREDICATES[kind])) {
      const said = complaint(statement(kind, replaced(PREDICATES[kind], field, undefined)))
      if (optional[kind]?.includes(field)) expect(said).toBeNull()
      else expect(said).toContain(`${kind} statement: ${field}: `)
    }
  })
})

describe('a hand-made statement', () => {
  test('of evidence may leave out or null what is not needed', () => {
    const short = {
      result: 'PASSED',
      configuration: [
        { name: 'gates', digest: { sha256: DIGEST, sha512: 'more' }, uri: 'file:gates' },
        // What other tools say of their own configuration.
        { uri: 'https://ci.example.com/job/7' },
        { name: '.github/workflows/ci.yml', digest: { gitBlob: 'a'.repeat(40) } },
      ],
      passedTests: ['health'],
      failedTests: null,
      url: null,
      headgate: {
        environment: 'staging',
        startedAt: NOON,
        finishedAt: NOON,
        servedCommit: null,
        gates: [
          { name: 'health', outcome: 'passed' },
          // Attempts and counts came later than the rest.
          { name: 'burst', outcome: 'passed', attempts: 2, statuses: { 200: 12, none: 1 } },
        ],
        runner: null,
      },
    }
    expect(parse(statement('evidence', short)).predicate).toMatchObject({
      passedTests: ['health'],
      warnedTests: [],
      failedTests: [],
    })
    expect(
      complaint(statement('evidence', replaced(short, 'headgate/servedCommit', { before: OID }))),
    ).toBeNull()
  })

  test('may be about a commit of a SHA-256 repository', () => {
    const long = 'ab'.repeat(32)
    const subject = [{ name: 'app', digest: { gitCommit: long } }]
    expect(parse(statement('invalidation', PREDICATES.invalidation, { subject })).commit).toBe(long)
  })

  test('may have another digest of its subject, and white space anywhere', () => {
    const subject = [{ name: 'app', digest: { gitCommit: OID, sha1: OID }, uri: 'git+https://x' }]
    const text = JSON.stringify(statement('freeze', PREDICATES.freeze, { subject }), null, '\t')
    expect(complaint(`\n${text}\n`)).toBeNull()
  })

  test('of evidence may report the failure of an optional gate in a run that passed', () => {
    const gates = [{ name: 'drills', outcome: 'failed' }]
    expect(
      complaint(statement('evidence', replaced(PREDICATES.evidence, 'headgate/gates', gates))),
    ).toBeNull()
  })
})

describe('what is no statement is refused', () => {
  test.for([
    ['nothing', '', 'statement is not JSON in UTF-8'],
    ['no JSON', '{"_type":', 'statement is not JSON in UTF-8'],
    ['a byte order mark', `\ufeff${JSON.stringify(statement('freeze'))}`, 'statement is not JSON in UTF-8'],
    ['two texts', `${JSON.stringify(statement('freeze'))}{}`, 'statement is not JSON in UTF-8'],
    ['a list', '[]', 'statement: Invalid input: expected object, received array'],
    [
      'a key twice',
      JSON.stringify(statement('freeze')).replace('"until"', '"reason":"","until"'),
      'statement has a key twice',
    ],
    [
      'a key twice, once in disguise',
      JSON.stringify(statement('freeze')).replace('"until"', '"re\\u0061son":"","until"'),
      'statement has a key twice',
    ],
    [
      'a key twice where headgate does not look',
      JSON.stringify(statement('freeze')).replace('"predicate"', '"x":{"a":1,"a":2},"predicate"'),
      'statement has a key twice',
    ],
    [
      'depth without end',
      JSON.stringify(statement('authorization')).replace(
        '"bob"',
        `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
      ),
      'statement nests deeper than 64 levels',
    ],
  ] as [string, string, string][])('%s', ([, text, message]) => {
    expect(complaint(text)).toBe(message)
  })

  test('bytes that are no UTF-8', () => {
    const bytes = Buffer.from(JSON.stringify(statement('freeze')).replace('sale', 's\u00e4le'), 'latin1')
    expect(() => parseStatement(bytes)).toThrow('statement is not JSON in UTF-8')
  })

  const subjects = (...list: Json[]) => statement('freeze', PREDICATES.freeze, { subject: list })
  const app = { name: 'app', digest: { gitCommit: OID } }
  test.for([
    ['another type', statement('freeze', {}, { _type: 'https://in-toto.io/Statement/v0.1' }), '_type: '],
    ['no type', replaced(statement('freeze'), '_type', undefined), '_type: '],
    ['no subject', subjects(), 'subject: '],
    ['two subjects', subjects(app, app), 'subject: '],
    ['a subject without a name', subjects({ ...app, name: '' }), 'subject.0.name: '],
    [
      'a subject without a commit',
      subjects({ name: 'app', digest: { sha1: OID } }),
      'subject.0.digest.gitCommit: ',
    ],
    [
      'an abbreviated commit',
      subjects({ name: 'app', digest: { gitCommit: OID.slice(0, 12) } }),
      'subject.0.digest.gitCommit: must be a full lowercase object id',
    ],
    [
      'a commit in upper case',
      subjects({ name: 'app', digest: { gitCommit: OID.toUpperCase() } }),
      'subject.0.digest.gitCommit: must be a full lowercase object id',
    ],
    [
      'a predicate that headgate does not know',
      statement('freeze', {}, { predicateType: 'https://slsa.dev/provenance/v1' }),
      'predicateType "https://slsa.dev/provenance/v1" is not one of headgate\'s',
    ],
    [
      'a predicate with a name that objects have',
      statement('freeze', {}, { predicateType: 'constructor' }),
      'predicateType "constructor" is not one of headgate\'s',
    ],
  ] as [string, Json, string][])('%s', ([, value, message]) => {
    expect(complaint(value)).toContain(`statement: ${message}`)
  })
})

describe('a predicate is refused', () => {
  const gate = (name: string, outcome: string) => ({ name, outcome })
  const gates = (...list: Json[]): [string, Json] => ['headgate/gates', list]
  test.for([
    [
      'evidence',
      'with an unknown result',
      'result',
      'OK',
      'result: Invalid option: expected one of "PASSED"|"WARNED"|"FAILED"',
    ],
    ['evidence', 'with a result in lower case', 'result', 'passed', 'result: Invalid option'],
    [
      'evidence',
      'that passed although a test failed',
      'failedTests',
      ['login'],
      'result is PASSED although failedTests names a gate',
    ],
    [
      'evidence',
      'with a test in a list twice',
      'passedTests',
      ['health', 'health'],
      'gate "health" is reported twice',
    ],
    ['evidence', 'with a test in two lists', 'warnedTests', ['health'], 'gate "health" is reported twice'],
    [
      'evidence',
      'with a gate twice',
      ...gates(gate('health', 'passed'), gate('health', 'failed')),
      'gate "health" is reported twice',
    ],
    [
      'evidence',
      'with a passed test whose gate failed',
      ...gates(gate('health', 'failed')),
      'gate "health" stands in passedTests but its outcome is failed',
    ],
    [
      'evidence',
      'with a passed test whose gate was skipped',
      ...gates(gate('chat', 'skipped')),
      'gate "chat" stands in passedTests but its outcome is skipped',
    ],
    [
      'evidence',
      'with an unknown outcome',
      ...gates(gate('drills', 'ok')),
      'headgate.gates.0.outcome: Invalid option',
    ],
    ['evidence', 'with an empty gate name', 'passedTests', [''], 'passedTests.0: Too small'],
    [
      'evidence',
      'with a thousand and one tests',
      'passedTests',
      Array.from({ length: 1001 }, (_, i) => `t${i}`),
      'passedTests: Too big',
    ],
    [
      'evidence',
      'with lists that are none',
      'passedTests',
      'health',
      'passedTests: Invalid input: expected array, received string',
    ],
    ['evidence', 'without a configuration', 'configuration', [], 'configuration: Too small'],
    [
      'evidence',
      'with a digest in upper case',
      'configuration',
      [{ name: 'x', digest: { sha256: DIGEST.toUpperCase() } }],
      'configuration.0.digest.sha256: must be 64 lowercase hex digits',
    ],
    [
      'evidence',
      'that ended before it began',
      'headgate/finishedAt',
      '2026-03-02T11:59:59Z',
      'finishedAt is before startedAt',
    ],
    [
      'evidence',
      'without an offset in a time',
      'headgate/startedAt',
      '2026-03-02T12:00:00',
      'headgate.startedAt: Invalid ISO datetime',
    ],
    [
      'evidence',
      'with a day that is none',
      'headgate/startedAt',
      '2026-02-30T12:00:00Z',
      'headgate.startedAt: Invalid ISO datetime',
    ],
    [
      'evidence',
      'with a number for a time',
      'headgate/startedAt',
      1772452800,
      'headgate.startedAt: Invalid input: expected string, received number',
    ],
    [
      'evidence',
      'with a status that is none',
      ...gates({ ...gate('drills', 'failed'), status: '200' }),
      'headgate.gates.0.status: Invalid input',
    ],
    [
      'evidence',
      'with a time that runs backwards',
      ...gates({ ...gate('drills', 'failed'), durationMs: -1 }),
      'headgate.gates.0.durationMs: Too small',
    ],
    [
      'evidence',
      'with half an attempt',
      ...gates({ ...gate('drills', 'failed'), attempts: 0.5 }),
      'headgate.gates.0.attempts: Invalid input',
    ],
    [
      'evidence',
      'with counts that are none',
      ...gates({ ...gate('drills', 'failed'), statuses: { 200: -1 } }),
      'headgate.gates.0.statuses.200: Too small',
    ],
    ['approval', 'to no commit', 'to', ZEROS, 'to: must be a full lowercase object id'],
    ['approval', 'for an abbreviated commit', 'from', '9d0e1f2', 'from: must be a full lowercase object id'],
    [
      'approval',
      'for a short branch name',
      'ref',
      'release',
      'ref: must be a full branch name, refs/heads/...',
    ],
    ['approval', 'for a tag', 'ref', 'refs/tags/v1', 'ref: must be a full branch name, refs/heads/...'],
    [
      'approval',
      'with a blank in the branch name',
      'ref',
      'refs/heads/a b',
      'ref: must be a full branch name, refs/heads/...',
    ],
    ['approval', 'without a reason', 'reason', '', 'reason: must say why'],
    ['approval', 'with a reason of blanks', 'reason', ' \n\t', 'reason: must say why'],
    ['approval', 'with a reason of a book', 'reason', 'x'.repeat(4097), 'reason: Too big'],
    ['approval', 'with a nonce that can be guessed', 'nonce', '1', 'nonce: Too small'],
    [
      'approval',
      'without an end',
      'expiresAt',
      null,
      'expiresAt: Invalid input: expected string, received null',
    ],
    ['override', 'that waives nothing', 'waives', [], 'waives: Too small'],
    [
      'override',
      'that waives everything at once',
      'waives',
      'all',
      'waives: Invalid input: expected array, received string',
    ],
    ['invalidation', 'without a reason', 'reason', ' ', 'reason: must say why'],
    ['freeze', 'without an end', 'until', 'tomorrow', 'until: Invalid ISO datetime'],
    ['drift', 'of an abbreviated commit', 'found', '3f2c1ab', 'found: must be a full lowercase object id'],
    ['retire', 'of a tag', 'ref', 'refs/tags/v1', 'ref: must be a full branch name, refs/heads/...'],
    ['retire', 'of no part', 'role', 'production', 'role: Invalid option'],
    ['outcome', 'of no authorization', 'authorization', 0, 'authorization: Too small'],
    ['outcome', 'that is neither', 'result', 'maybe', 'result: Invalid option'],
    [
      'authorization',
      'of an unknown kind of move',
      'urn:headgate:move/kind',
      'drift',
      'urn:headgate:move.kind: Invalid option',
    ],
    ['policy', 'with version 0', 'version', 0, 'version: Too small'],
  ] as [StatementKind, string, string, Json, string][])('%s %s', ([kind, , path, part, message]) => {
    const said = complaint(statement(kind, replaced(PREDICATES[kind], path, part)))
    expect(said).toContain(`${kind} statement: ${message}`)
  })

  test('approval and override may start where there is no branch', () => {
    expect(complaint(statement('override', replaced(PREDICATES.override, 'from', ZEROS)))).toBeNull()
  })
})

describe('writing a statement', () => {
  test('refuses what nobody would accept', () => {
    const predicate = { ...PREDICATES.freeze, reason: ' ' } as never
    expect(() => statementPayload('freeze', 'git.example.com/app', OID, predicate)).toThrow(
      'freeze statement: reason: must say why',
    )
  })

  test.for([
    ['for no repository', '', OID],
    ['about an abbreviated commit', 'git.example.com/app', '3f2c1ab'],
  ] as const)('refuses one %s', ([, repository, commit]) => {
    const predicate = PREDICATES.freeze as never
    expect(() => statementPayload('freeze', repository, commit, predicate)).toThrow('statement: subject.0.')
  })
})

describe('whatever bytes come in', () => {
  const paths = (value: Json, at: readonly string[] = []): string[] => [
    at.join('/'),
    ...(typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, part]) => paths(part as Json, [...at, key]))
      : []),
  ]
  const places = KINDS.flatMap((kind) =>
    paths(statement(kind))
      .filter((path) => path !== '')
      .map((path) => [kind, path] as const),
  )
  const anyJson = fc.oneof(
    fc.jsonValue() as fc.Arbitrary<Json>,
    hostileText,
    fc.constantFrom<Json[]>(null, [], {}, '', 0, -1, 1e308, true, OID, ZEROS, NOON),
  )

  test('they are a statement, or refused in one line of visible characters', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .tuple(fc.constantFrom(...places), anyJson)
        .map(([[kind, path], part]) => Buffer.from(JSON.stringify(replaced(statement(kind), path, part)))),
      fc
        .tuple(fc.constantFrom(...KINDS), hostileText, anyJson)
        .map(([kind, key, part]) =>
          Buffer.from(
            JSON.stringify({ ...statement(kind), predicate: { ...PREDICATES[kind], [key]: part } }),
          ),
        ),
    )
    fc.assert(
      fc.property(bytes, (payload) => {
        try {
          const { kind, repository, commit, predicate } = parseStatement(payload)
          // What is accepted is accepted again when it is written anew.
          const again = parseStatement(
            Buffer.from(statementPayload(kind, repository, commit, predicate as never)),
          )
          expect(again.predicate).toEqual(predicate)
        } catch (error) {
          if (!(error instanceof HeadgateError)) throw error
          expect(error.code).toBe('data')
          expect(error.message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
          expect(error.message.length).toBeLessThan(700)
        }
      }),
      { numRuns: 1500 },
    )
  })

  test('a time that is accepted is a moment that can be compared', () => {
    const digits = (low: number, high: number, width = 2) =>
      fc.integer({ min: low, max: high }).map((value) => String(value).padStart(width, '0'))
    const times = fc
      .tuple(
        digits(0, 9999, 4),
        digits(0, 13),
        digits(0, 32),
        digits(0, 25),
        digits(0, 61),
        fc.oneof(
          digits(0, 61).map((s) => `:${s}`),
          fc.constantFrom('', ':00.5', ':60', ':59.999999999999', ':00.'),
        ),
        fc.constantFrom('Z', 'z', '', '+00:00', '-00:00', '+14:00', '+23:59', '-24:00', '+0100', '+1:00'),
      )
      .map(([y, mo, d, h, mi, s, zone]) => `${y}-${mo}-${d}T${h}:${mi}${s}${zone}`)
    let accepted = 0
    fc.assert(
      fc.property(times, (time) => {
        if (complaint(statement('freeze', { ...PREDICATES.freeze, until: time })) !== null) return
        accepted++
        expect(Number.isFinite(Date.parse(time))).toBe(true)
      }),
      { numRuns: 3000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })
})
