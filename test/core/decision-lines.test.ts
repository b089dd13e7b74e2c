import { expect, test } from 'vitest'
import { decisionLines, pusherLine, viewLine } from '../../src/core/decision-lines.ts'
import type { MoveVerdict, Objection } from '../../src/core/verdict.ts'

const [FROM, TO] = ['a'.repeat(40), 'b'.repeat(40)]
const EVIDENCE: Objection = {
  rule: 'evidence',
  found: ['there is no evidence', '  for it'],
  fix: ['prove it'],
}
const OPERATOR: Objection = { rule: 'operator', found: ['mallory is no operator'], fix: [] }
const VERDICT: MoveVerdict = {
  verdict: 'allowed',
  kind: 'promotion',
  objections: [],
  waived: [],
  inputs: [],
  approvedBy: [],
}

function report(objections: readonly Objection[] = []) {
  return { ref: 'refs/heads/release', from: FROM, to: TO, what: 'a promotion by alice', objections }
}

test('every rule that objects is told, or that all agree', () => {
  const move = 'release: aaaaaaa -> bbbbbbb, a promotion by alice'
  expect(decisionLines(report())).toEqual([`${move}: yes, all rules agree`])
  expect(decisionLines(report([EVIDENCE, OPERATOR]))).toEqual([
    `${move}: no`,
    'rule evidence objects: there is no evidence for it',
    'rule operator objects: mallory is no operator',
  ])
})

test('what is waived and what a move rests on are told', () => {
  const waived = { ...VERDICT, kind: 'override', waived: [EVIDENCE], inputs: ['c'.repeat(64)] } as const
  expect(decisionLines(report(), waived)).toEqual([
    'release: aaaaaaa -> bbbbbbb, a promotion by alice: yes, by an override',
    'rule evidence is waived: there is no evidence for it',
    `it rests on the statement ${'c'.repeat(64)}`,
  ])
  expect(decisionLines(report([OPERATOR]), { ...VERDICT, waived: [EVIDENCE] })[0]).toMatch(/: no$/)
})

test('what a decision was made on is told', () => {
  const head = { seq: 7, hash: 'd'.repeat(64) }
  const refs = new Map([['refs/heads/main', TO]])
  expect(viewLine(head, { version: 2, policy: { enforcement: 'enforce' } }, refs)).toBe(
    'ledger record 7 (dddddddddddd), policy 2, enforce, main at bbbbbbb',
  )
  expect(viewLine(head, null, new Map())).toBe('ledger record 7 (dddddddddddd), no policy')
  expect(pusherLine({ identified: true, principal: 'alice', source: 'env:USER' })).toBe(
    'the pusher is alice, by env:USER',
  )
  expect(pusherLine({ identified: false, reason: 'USER is empty' })).toBe(
    'nobody knows who pushes: USER is empty',
  )
})
