import { describe, expect, test } from 'vitest'
import { pushOption } from '../../src/core/push-option.ts'
import {
  answer,
  approval,
  evidence,
  firstRelease,
  foundBy,
  HOUR,
  judge,
  landed,
  makePolicy,
  NEW,
  NOW,
  OLD,
  override,
  promotion,
  rollback,
  smoke,
  ZEROS,
} from './build.ts'

const policy = makePolicy({ promotion: 'operators: [alice, bob], notes: required' })
const PROVED = [firstRelease(), evidence(NEW)]
const noted = (...pushOptions: string[]) => promotion({ pushOptions })

describe('promotion.notes: required', () => {
  test.for([
    ['no option at all', [], ['note']],
    ['another option', ['plan=ticket 4711'], ['note']],
    ['an empty note', ['note='], ['note']],
    ['a note of blanks', ['note= \t '], ['note']],
    ['a note of characters that show nothing', ['note=\u00a0\u200b\u3164\ufe0f\u2800\u0007'], ['note']],
    [
      'something that only begins like one',
      ['notes=weekly', 'note', ' note=weekly', 'NOTE=weekly'],
      ['note'],
    ],
    ['a note', ['note=weekly'], 'allowed'],
    ['a note of one character', ['note=✓'], 'allowed'],
    ['an empty one and a note', ['note=', 'plan=x', 'note=weekly'], 'allowed'],
  ] as [string, string[], string | string[]][])('a promotion with %s', ([, options, expected]) => {
    expect(answer(PROVED, { policy, facts: noted(...options) })).toEqual(expected)
    expect(answer(PROVED, { facts: noted(...options) })).toBe('allowed')
  })

  test('holds for the first release as well', () => {
    const facts = promotion({ from: ZEROS })
    expect(answer([evidence(NEW)], { policy, facts })).toEqual(['note'])
    expect(answer([evidence(NEW)], { policy, facts: { ...facts, pushOptions: ['note=first'] } })).toBe(
      'allowed',
    )
  })

  test('tells a note that says nothing from none', () => {
    expect(foundBy('note', PROVED, { policy })).toBe(
      'the push has no note, and the policy says promotion.notes: required',
    )
    expect(foundBy('note', PROVED, { policy, facts: noted('note=  ') })).toBe(
      'the note of this push says nothing, and the policy says promotion.notes: required',
    )
  })

  test('asks nothing of a rollback, whose approval says why', () => {
    const released = [firstRelease(), smoke(OLD), landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR })]
    expect(answer([...released, approval()], { policy, facts: rollback() })).toBe('allowed')
  })

  test('asks nothing more of an override, whose signer says why', () => {
    const verdict = judge([firstRelease(), override(['evidence'])], { policy })
    expect(verdict).toMatchObject({ verdict: 'allowed', kind: 'override', objections: [] })
    expect(verdict.waived.map(({ rule }) => rule)).toEqual(['evidence', 'note'])
    const alone = judge([...PROVED, override(['note'])], { policy })
    expect(alone).toMatchObject({ verdict: 'allowed', kind: 'override' })
    // One that is for something else is no reason for this move.
    const other = override(['evidence'], { from: OLD, to: OLD, subject: NEW })
    expect(answer([...PROVED, other], { policy })).toEqual(['note'])
    // Whoever gives a note spends no override.
    const kept = judge([...PROVED, override(['evidence'])], { policy, facts: noted('note=weekly') })
    expect(kept).toMatchObject({ verdict: 'allowed', kind: 'promotion', waived: [] })
  })

  test('every command that is recommended has the note', () => {
    for (const facts of [promotion({ objectType: 'tag' }), promotion({ objectType: 'blob' })]) {
      const { objections } = judge(PROVED, { policy, facts })
      expect(objections[0]?.fix.at(-1)).toContain("git push -o note='TEXT' origin")
    }
    const signed = makePolicy({ promotion: 'operators: [alice], signedPush: required, notes: required' })
    expect(judge(PROVED, { policy: signed, facts: noted('note=x') }).objections[0]?.fix).toContain(
      "  git push --signed -o note='TEXT' origin COMMIT:refs/heads/release",
    )
  })
})

test('of several options of a name the first one that says something is taken', () => {
  expect(pushOption(['plan=a', 'note= ', 'note=b', 'note=c'], 'note')).toBe('b')
  expect(pushOption(['noted=a'], 'note')).toBeNull()
})
