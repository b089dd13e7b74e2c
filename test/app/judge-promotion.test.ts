/** Whether a promotion is made, as a function of what was gathered. */
import { describe, expect, test } from 'vitest'
import { judgePromotion, type Promotion } from '../../src/app/release/judge-promotion.ts'
import type { Foresight } from '../../src/guard/foresee.ts'
import { NEW, OLD, RELEASE_REF } from '../core/build.ts'

const FROZEN = { rule: 'frozen', found: ['release is frozen'], fix: ['wait'] } as const
const REPORT = { ref: RELEASE_REF, from: OLD, to: NEW, what: 'a promotion', objections: [FROZEN] }
const BACK = { commit: OLD, how: 'contained' } as const

function foresight(changes: Partial<Foresight> = {}): Foresight {
  return {
    report: { ...REPORT, objections: [] },
    answer: 'yes',
    reason: '',
    pushers: ['alice'],
    signed: false,
    note: false,
    waived: [],
    broughtBack: [],
    remarks: [],
    ...changes,
  }
}

type Changes = Partial<Omit<Promotion, 'prospect'>> & {
  readonly foresight?: Partial<Foresight>
  readonly hasAuthor?: boolean
  readonly wayBack?: Extract<Promotion['prospect'], { kind: 'foreseen' }>['wayBack']
}

/** What nothing speaks against, but for the changes. */
function promotion({
  foresight: seen = {},
  hasAuthor = true,
  wayBack = null,
  ...changes
}: Changes): Promotion {
  return {
    commit: NEW,
    release: OLD,
    policy: { release: 'release', enforcement: 'enforce' },
    pushOptions: [],
    prospect: { kind: 'foreseen', foresight: foresight(seen), hasAuthor, wayBack },
    ...changes,
  }
}

/** The code and the first line of what refuses it. */
function refusal(changes: Changes): readonly [string, string] | null {
  const judgement = judgePromotion(promotion(changes))
  if (judgement.kind === 'allowed') return null
  return [judgement.error.code, judgement.error.message.split('\n')[0] ?? '']
}

const EVALUATE = { release: 'release', enforcement: 'evaluate' } as const
const REFUSED = { answer: 'no', report: REPORT } as const

describe('a promotion', () => {
  test('is made where nothing speaks against it', () => {
    expect(refusal({})).toBeNull()
    expect(refusal({ wayBack: { kind: 'open' } })).toBeNull()
  })

  test('of what is released already is a mistake', () => {
    const judgement = judgePromotion({ ...promotion({}), prospect: { kind: 'released-already' } })
    expect(judgement).toMatchObject({ kind: 'refused', error: { code: 'usage' }, ignored: null })
  })

  test('is put off while another push may be under way', () => {
    expect(refusal({ foresight: { answer: 'unclear', reason: 'a push may be under way' } })).toEqual([
      'unavailable',
      'a push may be under way',
    ])
  })

  test('is refused by the rules, with each of them; a policy that only evaluates has them told and ignored', () => {
    expect(refusal({ foresight: REFUSED })).toEqual(['refused', `${NEW.slice(0, 7)} cannot be promoted now`])
    const judgement = judgePromotion(promotion({ foresight: REFUSED, policy: EVALUATE }))
    expect(judgement).toMatchObject({ kind: 'allowed', ignored: REPORT })
  })

  test('brings back what was rolled back from only where that is named', () => {
    const seen = { broughtBack: [BACK], remarks: ['it was rolled back from'] }
    expect(refusal({ foresight: seen })).toEqual(['refused', 'it was rolled back from'])
    expect(refusal({ foresight: seen, pushOptions: [`despite-bar=${OLD}`] })).toBeNull()
    expect(refusal({ foresight: { broughtBack: [{ ...BACK, how: 'same-code' }] } })).toBeNull()
  })

  test('needs an author for the release log', () => {
    const judgement = judgePromotion(promotion({ hasAuthor: false, foresight: REFUSED, policy: EVALUATE }))
    // What objected is told all the same.
    expect(judgement).toMatchObject({ kind: 'refused', error: { code: 'configuration' }, ignored: REPORT })
  })

  test('that is to be rolled back by itself needs a way back', () => {
    const report = { ...REPORT, from: NEW, to: OLD }
    expect(refusal({ wayBack: { kind: 'none' } })?.[0]).toBe('usage')
    expect(refusal({ wayBack: { kind: 'closed', release: OLD, report } })).toEqual([
      'refused',
      `--auto-rollback could not go back to ${OLD.slice(0, 7)}`,
    ])
    const unapproved = { kind: 'unapproved', from: 'b', to: 'a', missing: 2, who: ['bob', 'carol'] } as const
    expect(refusal({ wayBack: unapproved })).toEqual([
      'refused',
      '--auto-rollback needs 2 approvals more, by bob, carol, given in advance:',
    ])
  })

  test('has one reason at a time: the one that has to be mended first', () => {
    const all = { hasAuthor: false, wayBack: { kind: 'none' } } as const
    const back = { broughtBack: [BACK], remarks: ['it was rolled back from'] }
    expect(refusal({ ...all, foresight: { ...back, ...REFUSED } })?.[1]).toContain('cannot be promoted now')
    expect(refusal({ ...all, foresight: back })?.[1]).toBe('it was rolled back from')
    expect(refusal(all)?.[0]).toBe('configuration')
    expect(refusal({ ...all, hasAuthor: true })?.[0]).toBe('usage')
  })
})
