import fc from 'fast-check'
import { expect, test } from 'vitest'
import { summarizeRecord } from '../../src/core/record-summary.ts'
import { emptyState } from '../../src/core/state.ts'
import {
  approval,
  authorization,
  driftNote,
  type Entry,
  entry,
  evidence,
  foldState,
  freeze,
  invalidation,
  NEW,
  OLD,
  outcome,
  override,
  recordsOf,
  unfreeze,
  ZEROS,
} from './build.ts'
import { hostileText } from './generate.ts'

const summary = (item: Entry, by = 'alice') =>
  recordsOf([item]).map(({ statement }) => summarizeRecord(by, statement, emptyState))[0]
const evaluated = entry('authorization', NEW, {
  verifier: { id: 'urn:headgate:server:v1' },
  timeVerified: '2026-03-02T12:00:00Z',
  resourceUri: 'git+https://git.example.com/app',
  policy: { digest: { sha256: '0'.repeat(64) } },
  inputAttestations: [],
  verificationResult: 'FAILED',
  verifiedLevels: [],
  'urn:headgate:move': {
    kind: 'promotion',
    ref: 'refs/heads/release',
    from: OLD,
    to: NEW,
    pusher: 'alice',
    enforcement: 'evaluate',
    facts: {},
    objections: [{ rule: 'evidence', found: 'none', waived: false }],
    pushOptions: [],
  },
})

test.for([
  ['evidence', evidence(NEW), 'evidence 2e3c0de passed on staging'],
  ['a failed run', evidence(NEW, { failed: ['chat'] }), 'evidence 2e3c0de failed on staging'],
  [
    'a smoke',
    evidence(NEW, { environment: 'production', warned: ['home'] }),
    'evidence 2e3c0de warned on production',
  ],
  ['an approval', approval(), 'approval to roll release back from 2e3c0de to 0a11d00'],
  [
    'an override',
    override(['evidence', 'frozen']),
    'OVERRIDE for 2e3c0de waives evidence, frozen: checkout fails',
  ],
  ['an invalidation', invalidation(NEW), 'evidence 2e3c0de invalidated: staging ran on the wrong database'],
  ['a freeze', freeze(), 'freeze until 2026-03-03T12:00:00.000Z: sale weekend'],
  ['an unfreeze', unfreeze(), 'unfreeze: the sale is over'],
  [
    'a drift note',
    driftNote(OLD, NEW),
    'drift of release from 0a11d00 to 2e3c0de accepted: the disk was restored',
  ],
  [
    'a promotion',
    authorization({ from: OLD, to: NEW }),
    'promotion 2e3c0de authorized on release from 0a11d00, by alice',
  ],
  [
    'the first release',
    authorization({ from: ZEROS, to: NEW }),
    'promotion 2e3c0de authorized on release, by alice',
  ],
  [
    'a rollback',
    authorization({ from: NEW, to: OLD, fastForward: false }),
    'rollback 0a11d00 authorized on release from 2e3c0de, by alice',
  ],
  [
    'a promotion that only evaluate mode lets through',
    evaluated,
    'promotion 2e3c0de authorized on release from 0a11d00, by alice (evaluate mode: would be refused)',
  ],
  ['a landing of nothing', outcome(NEW, 'landed', { authorization: 41 }), '2e3c0de landed, authorization 41'],
  ['no landing', outcome(NEW, 'not-landed', { authorization: 41 }), '2e3c0de did not land, authorization 41'],
  [
    'a policy',
    entry('policy', NEW, {
      version: 3,
      policy: { text: '', digest: { sha256: '0'.repeat(64) } },
      allowedSigners: { text: '', digest: { sha256: '0'.repeat(64) } },
      sealKey: '',
    }),
    'policy version 3 applied, by alice',
  ],
] as [string, Entry, string][])('the log names %s', ([, item, expected]) => {
  expect(summary(item)).toBe(expected)
})

test('the log says what landed, and whose it was', () => {
  const records = recordsOf([
    authorization({ from: OLD, to: NEW }),
    outcome(NEW, 'landed', { authorization: 1 }),
    authorization({ from: NEW, to: OLD, fastForward: false }),
    outcome(OLD, 'landed', { authorization: 3 }),
  ])
  const lines = records.flatMap(({ statement }, index) => {
    const state = foldState(records.slice(0, index + 1))
    return statement.kind === 'outcome' ? [summarizeRecord('server', statement, state)] : []
  })
  expect(lines).toEqual(['promotion 2e3c0de landed, by alice', 'rollback 0a11d00 landed, by alice'])
})

test('whatever people write, the log has one line of visible characters about it', () => {
  fc.assert(
    fc.property(hostileText, hostileText, (by, reason) => {
      const why = reason.slice(0, 4000).trim() || 'why'
      for (const item of [
        invalidation(NEW, { reason: why }),
        freeze({ reason: why }),
        authorization({ from: OLD, to: NEW }),
      ]) {
        const line = summary(item, by) ?? ''
        expect(line.length).toBeLessThanOrEqual(200)
        expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }
    }),
  )
})
