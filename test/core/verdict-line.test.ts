import { describe, expect, test } from 'vitest'
import type { RuleName } from '../../src/core/verdict.ts'
import { parseVerdict, refusedLine } from '../../src/core/verdict-line.ts'

const objection = (rule: RuleName) => ({ rule, found: [], fix: [] })

test('a refusal names each rule that objects once, in the order in which it objects', () => {
  const line = refusedLine([objection('on-staging'), objection('evidence'), objection('on-staging')])
  expect(line).toBe('headgate: verdict 1 refused on-staging,evidence')
  expect(parseVerdict(['headgate: push refused', line])).toEqual({
    verdict: 'refused',
    rules: ['on-staging', 'evidence'],
  })
})

test('the last line counts: a pusher may have named a branch like one', () => {
  const lines = ['headgate: verdict 1 undecided', 'headgate: verdict 1 refused note', '']
  expect(parseVerdict(lines)).toEqual({ verdict: 'refused', rules: ['note'] })
  expect(parseVerdict([...lines, 'headgate: verdict 1 undecided'])).toEqual({ verdict: 'undecided' })
})

describe('what is no such line says nothing:', () => {
  test.for([
    'headgate: verdict 2 refused note',
    'headgate: verdict 1 refused',
    'headgate: verdict 1 refused note, evidence',
    'headgate: verdict 1 refused note,',
    'headgate: verdict 1 undecided note',
    ' headgate: verdict 1 undecided',
    'headgate: verdict 1 accepted',
    'verdict 1 undecided',
    '',
  ])('%j', (line) => {
    expect(parseVerdict([line])).toBeNull()
  })
})
