import { describe, expect, test } from 'vitest'
import type { Certificate, Pusher } from '../../src/core/facts.ts'
import { answer, by, evidence, firstRelease, foundBy, makePolicy, NEW, promotion } from './build.ts'

const PROVED = [firstRelease(), evidence(NEW)]

describe('who pushes', () => {
  test.for(['alice', 'bob'])('the operator %s may promote', (name) => {
    expect(answer(PROVED, { facts: promotion(by(name)) })).toBe('allowed')
  })

  test.for([
    ['an approver who is no operator', 'carol'],
    ['the CI that signed the evidence', 'ci'],
    ['somebody unknown', 'mallory'],
    ['an operator written in another case', 'Alice'],
    ['an operator with a blank', 'alice '],
    ['nobody', ''],
    ['a name that objects have', 'constructor'],
  ])('%s may not promote', ([, name]) => {
    expect(answer(PROVED, { facts: promotion(by(name ?? '')) })).toEqual(['operator'])
  })

  test('a pusher whom the server cannot name may not promote, and the reason is told', () => {
    const pusher: Pusher = { identified: false, reason: 'REMOTE_USER is not set for this connection' }
    expect(foundBy('operator', PROVED, { facts: promotion({ pusher }) })).toBe(
      'the server cannot tell who pushes: REMOTE_USER is not set for this connection',
    )
  })
})

describe('a push certificate', () => {
  const none: Certificate = { offered: false }
  const good: Certificate = {
    offered: true,
    good: true,
    principal: 'alice',
    fingerprint: 'SHA256:alice',
    text: '',
  }
  const others: Certificate = {
    offered: true,
    good: true,
    principal: 'bob',
    fingerprint: 'SHA256:bob',
    text: '',
  }
  const bad: Certificate = { offered: true, good: false, reason: 'the nonce is stale' }

  test.for([
    ['required', 'is needed', none, ['operator']],
    ['required', 'of the pusher is enough', good, 'allowed'],
    ['required', 'of another operator is refused', others, ['operator']],
    ['required', 'that does not hold is refused', bad, ['operator']],
    ['if-offered', 'may be left out', none, 'allowed'],
    ['if-offered', 'of the pusher is fine', good, 'allowed'],
    ['if-offered', 'of another operator is refused', others, ['operator']],
    ['if-offered', 'that does not hold is refused', bad, ['operator']],
    ['ignore', 'may be left out', none, 'allowed'],
    ['ignore', 'that does not hold is not looked at', bad, 'allowed'],
    ['ignore', 'of another operator is not looked at', others, 'allowed'],
  ] as const)('with signedPush: %s, one %s', ([mode, , certificate, expected]) => {
    const policy = makePolicy({ promotion: `operators: [alice, bob], signedPush: ${mode}` })
    expect(answer(PROVED, { policy, facts: promotion({ certificate }) })).toEqual(expected)
  })

  test('of an operator does not make an operator of whoever pushes', () => {
    const policy = makePolicy({ promotion: 'operators: [alice, bob], signedPush: required' })
    expect(answer(PROVED, { policy, facts: promotion({ ...by('mallory'), certificate: good }) })).toEqual([
      'operator',
    ])
  })

  test('that does not hold is refused with the reason', () => {
    expect(foundBy('operator', PROVED, { facts: promotion({ certificate: bad }) })).toBe(
      'the push certificate does not hold: the nonce is stale',
    )
  })
})
