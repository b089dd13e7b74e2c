import { describe, expect, test } from 'vitest'
import { answer, evidence, firstRelease, foundBy, MINUTE, makePolicy, NEW, NOW, OLD } from './build.ts'

const nothing = { before: null, after: null }
const same = { before: NEW, after: NEW }
const REPORTS = {
  'the commit before and after': same,
  'nothing at all': null,
  'nothing before and after': nothing,
  'the commit before and nothing after': { before: NEW, after: null },
  'the commit after and nothing before': { before: null, after: NEW },
  'another commit before': { before: OLD, after: NEW },
  'another commit after': { before: NEW, after: OLD },
  'an abbreviation of the commit': { before: NEW.slice(0, 12), after: NEW.slice(0, 12) },
  'the commit in upper case': { before: NEW.toUpperCase(), after: NEW.toUpperCase() },
} as const

const ALLOWED: Record<string, readonly (keyof typeof REPORTS)[]> = {
  required: ['the commit before and after'],
  'if-reported': [
    'the commit before and after',
    'nothing at all',
    'nothing before and after',
    'the commit before and nothing after',
    'the commit after and nothing before',
  ],
  ignore: Object.keys(REPORTS) as (keyof typeof REPORTS)[],
}

describe.for(Object.keys(ALLOWED))('servedCommit: %s', (mode) => {
  const policy = makePolicy({ evidence: `maxAge: 24h, servedCommit: ${mode}` })

  for (const [report, served] of Object.entries(REPORTS)) {
    const allowed = ALLOWED[mode]?.includes(report as keyof typeof REPORTS)
    test(`${allowed ? 'allows' : 'refuses'} a promotion if staging reported ${report}`, () => {
      const entries = [firstRelease(), evidence(NEW, { served })]
      expect(answer(entries, { policy })).toEqual(allowed ? 'allowed' : ['served-commit'])
    })
  }
})

describe('of several runs', () => {
  const older = NOW - 20 * MINUTE

  test('an older one that served the commit counts, when the newest cannot tell what it tested', () => {
    const entries = [firstRelease(), evidence(NEW, { finishedAt: older }), evidence(NEW, { served: null })]
    expect(answer(entries)).toBe('allowed')
  })

  test('one that served the commit before a failure does not count for the one after it', () => {
    const entries = [
      firstRelease(),
      evidence(NEW, { finishedAt: older }),
      evidence(NEW, { finishedAt: older + MINUTE, failed: ['chat'] }),
      evidence(NEW, { served: null }),
    ]
    expect(answer(entries)).toEqual(['served-commit'])
  })

  test('a failure after them is a matter of the evidence', () => {
    const entries = [
      firstRelease(),
      evidence(NEW, { finishedAt: older, served: null }),
      evidence(NEW, { failed: ['chat'], served: null }),
    ]
    expect(answer(entries)).toEqual(['evidence'])
  })
})

test('the reason names what staging served, and the record', () => {
  const entries = [firstRelease(), evidence(NEW, { served: { before: NEW, after: OLD } })]
  expect(foundBy('served-commit', entries)).toBe(
    `staging reported serving ${OLD} after the gates (record 3, by ci), so the run may have tested another build\nthe policy says evidence.servedCommit: required`,
  )
})
