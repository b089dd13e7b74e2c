import { describe, expect, test } from 'vitest'
import {
  answer,
  approval,
  authorization,
  driftNote,
  evidence,
  firstRelease,
  foundBy,
  landed,
  NEW,
  OLD,
  outcome,
  promotion,
  rollback,
  smoke,
  TIP,
  ZEROS,
} from './build.ts'

const PROVED = [firstRelease(), evidence(NEW)]

describe('while release is not where its last landed move put it', () => {
  const moved = promotion({ from: TIP })

  test('a promotion is refused', () => {
    expect(answer(PROVED, { facts: moved })).toEqual(['drift'])
    expect(foundBy('drift', PROVED, { facts: moved })).toBe(
      `release is at ${TIP.slice(0, 7)}, but its last landed move (record 1) put it at ${OLD.slice(0, 7)}: someone moved it behind the guard`,
    )
  })

  test('a rollback is refused', () => {
    const entries = [firstRelease(), smoke(OLD), approval()]
    expect(answer(entries, { facts: rollback() })).toEqual(['drift'])
  })

  test('a creation is refused, if someone deleted it', () => {
    const facts = promotion({ from: ZEROS })
    expect(foundBy('drift', PROVED, { facts })).toContain('release does not exist, but')
  })

  test('a promotion of what someone made without the guard is refused', () => {
    expect(foundBy('drift', [evidence(NEW)], { facts: promotion() })).toBe(
      `release is at ${OLD.slice(0, 7)}, but no move of it ever landed: someone moved it behind the guard`,
    )
  })

  test('a landed move of another branch does not excuse it', () => {
    const entries = [...PROVED, landed({ from: ZEROS, to: TIP, ref: 'refs/heads/other' })]
    expect(answer(entries, { facts: moved })).toEqual(['drift'])
  })

  test('a move that is authorized only does not excuse it', () => {
    const entries = [...PROVED, authorization({ from: OLD, to: TIP })]
    expect(answer(entries, { facts: moved })).toEqual(['drift'])
    expect(answer([...entries, outcome(TIP, 'not-landed')], { facts: moved })).toEqual(['drift'])
    expect(answer([...entries, outcome(TIP, 'landed')], { facts: moved })).toBe('allowed')
  })
})

describe('a drift that an operator accepted', () => {
  test('is where the next move starts from', () => {
    expect(answer([...PROVED, driftNote(OLD, TIP)], { facts: promotion({ from: TIP }) })).toBe('allowed')
    expect(answer([...PROVED, driftNote(OLD, TIP)])).toEqual(['drift'])
  })

  test('of a deletion lets release be created', () => {
    expect(answer([...PROVED, driftNote(OLD, ZEROS)], { facts: promotion({ from: ZEROS }) })).toBe('allowed')
  })

  test('does not make a known-good release of what it found', () => {
    const entries = [
      firstRelease(),
      driftNote(OLD, TIP),
      smoke(TIP),
      landed({ from: TIP, to: NEW }),
      approval({ to: TIP }),
    ]
    expect(answer(entries, { facts: rollback({ to: TIP }) })).toEqual(['fast-forward', 'known-good'])
  })
})
