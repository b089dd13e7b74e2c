/** Where a relay guards, a signed request stands for the push: for who pushes, for one exact move, once. */
import { describe, expect, test } from 'vitest'
import { requestOptions, requestWords, withRequestKey } from '../../src/core/request.ts'
import { parseStatement, statementPayload } from '../../src/core/statement.ts'
import { objectionToSubmission } from '../../src/core/submission.ts'
import {
  answer,
  evidence,
  firstRelease,
  foundBy,
  HOUR,
  iso,
  landed,
  MINUTE,
  makePolicy,
  NEW,
  NOW,
  OLD,
  oidOf,
  promotion,
  RELEASE_REF,
  REPOSITORY,
  request,
  SECOND,
} from './build.ts'

const policy = makePolicy({ guard: 'relay' })
const PROVED = [firstRelease(), evidence(NEW)]
const asked = (name = 'alice') =>
  promotion({ pusher: { identified: true, principal: name, source: 'request' } })

describe('a move that is asked for', () => {
  test('goes by the request of an operator, signed push or not', () => {
    const required = makePolicy({ guard: 'relay', promotion: 'operators: [alice], signedPush: required' })
    for (const terms of [policy, required])
      expect(answer([...PROVED, request()], { facts: asked(), policy: terms })).toBe('allowed')
  })

  test.for([
    ['there is none', []],
    ['it is of another operator', [request({ signer: 'bob' })]],
    ['its signer is not trusted', [request({ signer: { untrusted: 'no such key' } })]],
    ['it is for another move', [request({ from: oidOf('elsewhere') })]],
    ['it is for another commit', [request({ to: oidOf('elsewhere'), subject: NEW })]],
    ['it is for another branch', [request({ ref: 'refs/heads/other' })]],
    ['it is for another repository', [request({ repository: 'git.example.com/other' })]],
    ['it has expired', [request({ expiresAt: NOW })]],
    ['it is too old', [request({ issuedAt: NOW - HOUR, expiresAt: NOW + HOUR })]],
    ['it is of the future', [request({ issuedAt: NOW + 6 * MINUTE })]],
  ] as const)('does not go where %s', ([, records]) => {
    expect(answer([...PROVED, ...records], { facts: asked(), policy })).toEqual(['operator'])
  })

  test('is valid from its start to its end', () => {
    for (const [records, expected] of [
      [[request({ expiresAt: NOW + 1 })], 'allowed'],
      [[request({ issuedAt: NOW - HOUR + SECOND, expiresAt: NOW + HOUR })], 'allowed'],
    ] as const)
      expect(answer([...PROVED, ...records], { facts: asked(), policy })).toBe(expected)
  })

  test('was asked for after the last move, whatever the branch has come back to', () => {
    const moves = [
      ...landed({ from: OLD, to: NEW, at: NOW - 20 * MINUTE }),
      ...landed({ from: NEW, to: OLD, fastForward: false, at: NOW - 3 * MINUTE }),
      evidence(NEW, { startedAt: NOW - 2 * MINUTE, finishedAt: NOW - MINUTE }),
    ]
    const before = request({ issuedAt: NOW - 10 * MINUTE, expiresAt: NOW + HOUR })
    expect(answer([...PROVED, ...moves, before], { facts: asked(), policy })).toEqual(['operator'])
    const after = request({ issuedAt: NOW - MINUTE, expiresAt: NOW + HOUR })
    expect(answer([...PROVED, ...moves, after], { facts: asked(), policy })).toBe('allowed')
  })

  test('counts its key among those of the pusher', () => {
    expect(withRequestKey(['SHA256:b'], 'SHA256:a')).toEqual(['SHA256:a', 'SHA256:b'])
    expect(withRequestKey(['SHA256:a'], 'SHA256:a')).toEqual(['SHA256:a'])
  })

  test('does not go by a push certificate or by a name alone', () => {
    const facts = promotion({
      certificate: { offered: true, good: true, principal: 'alice', fingerprint: 'SHA256:alice', text: '' },
    })
    expect(answer([...PROVED, request()], { facts, policy })).toEqual(['operator'])
  })

  test('is refused for the same reasons as a push', () => {
    expect(answer([firstRelease(), request()], { facts: asked(), policy })).toContain('evidence')
    expect(
      foundBy('operator', [...PROVED, request({ signer: 'carol' })], { facts: asked('carol'), policy }),
    ).toBe('carol is not an operator of release')
  })

  test('spends its request, however it is wrapped', () => {
    const used = request({ nonce: 'one nonce' })
    const records = [
      ...PROVED,
      used,
      ...landed({ from: OLD, to: NEW, inputs: [used], at: NOW - 4 * MINUTE }),
      ...landed({ from: NEW, to: OLD, fastForward: false, at: NOW - 3 * MINUTE }),
      evidence(NEW, { startedAt: NOW - 2 * MINUTE, finishedAt: NOW - MINUTE }),
    ]
    expect(answer([...records, { ...used, wrapping: 'anew' }], { facts: asked(), policy })).toEqual([
      'operator',
    ])
    expect(answer([...records, request()], { facts: asked(), policy })).toBe('allowed')
  })
})

test('where hooks guard, a request counts for nothing', () => {
  expect(
    answer([...PROVED, request()], { facts: promotion({ pusher: { identified: false, reason: '' } }) }),
  ).toEqual(['operator'])
})

describe('a request as a statement', () => {
  const predicate = {
    ...{ ref: RELEASE_REF, from: OLD, to: NEW, nonce: 'a nonce of some' },
    ...{ issuedAt: iso(NOW), expiresAt: iso(NOW + HOUR) },
  }
  const parse = (more: object = {}, commit = NEW) =>
    parseStatement(
      Buffer.from(statementPayload('request', REPOSITORY, commit, { ...predicate, ...more })),
    ) as ReturnType<typeof parseStatement> & { kind: 'request' }
  const object = (more: object = {}, { terms = policy, principal = 'alice', commit = NEW } = {}) =>
    objectionToSubmission(parse(more, commit), { policy: terms, principal, at: NOW })

  test('says in order what a push would have said', () => {
    const words = { symptoms: 's', trigger: 't', plan: 'p', note: 'n', despiteBar: ['abcdef0'] }
    expect(requestOptions(parse(words).predicate)).toEqual([
      ...['note=n', 'plan=p', 'trigger=t', 'symptoms=s', 'despite-bar=abcdef0'],
    ])
    expect(requestOptions(parse({ note: null }).predicate)).toEqual([])
    expect(requestOptions(parse(requestWords(requestOptions(parse(words).predicate))).predicate)).toEqual(
      requestOptions(parse(words).predicate),
    )
    expect(requestWords(['ci.skip', 'note=', 'plan=p'])).toEqual({ plan: 'p' })
  })

  test('is recorded of operators, for the release branch, in time, and where a relay guards', () => {
    expect(object()).toBeNull()
    expect(object({}, { principal: 'carol' })).toBe('carol is not an operator of release')
    expect(object({ ref: 'refs/heads/main' })).toContain('is not the release branch')
    expect(object({ to: oidOf('x') })).toContain('its subject is not the commit')
    expect(object({ issuedAt: iso(NOW + HOUR) })).toContain('issued in the future')
    expect(object({ expiresAt: iso(NOW) })).toContain('it expired')
    expect(object({}, { terms: makePolicy() })).toContain('an operator pushes it')
  })

  test('has words of one line, and names commits', () => {
    expect(() => parse({ note: 'a\nb' })).toThrow('must be one line')
    expect(() => parse({ despiteBar: ['main'] })).toThrow('despiteBar')
  })
})

test('a policy cannot only evaluate where a relay guards', () => {
  expect(() => makePolicy({ guard: 'relay', enforcement: 'evaluate' })).toThrow(
    'must be enforce with guard: relay',
  )
})
