import { describe, expect, test } from 'vitest'
import { decide } from '../../src/core/decide.ts'
import type { ReleaseMove } from '../../src/core/facts.ts'
import {
  answer,
  approval,
  authorization,
  by,
  DAY,
  type Entry,
  evidence,
  firstRelease,
  foundBy,
  freeze,
  HOUR,
  historyOf,
  invalidation,
  judge,
  landed,
  MINUTE,
  makePolicy,
  NEW,
  NOW,
  OLD,
  oidOf,
  outcome,
  POLICY,
  recordsOf,
  rollback,
  smoke,
  TIP,
  ZEROS,
} from './build.ts'

/** OLD was the release and passed its smoke, NEW is the release now. */
const RELEASED = [firstRelease(), smoke(OLD), landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR })]
const facts = rollback()
const REFUSED = ['fast-forward', 'approval']

describe('a rollback', () => {
  test('is allowed to a known-good release with an approval, without fresh evidence', () => {
    expect(answer([...RELEASED, approval()], { facts })).toBe('allowed')
  })

  test('spends the approval that it rests on', () => {
    const entries = [...RELEASED, approval()]
    expect(judge(entries, { facts })).toMatchObject({
      kind: 'rollback',
      inputs: [recordsOf(entries).at(-1)?.envelopeDigest],
      approvedBy: ['bob'],
    })
  })

  test('stays possible during a freeze', () => {
    expect(answer([...RELEASED, freeze(), approval()], { facts })).toBe('allowed')
  })

  test('is refused with all reasons when nothing permits it', () => {
    const entries = [landed({ from: ZEROS, to: NEW })]
    const off = rollback({ onStaging: false, ...by('mallory') })
    expect(answer(entries, { facts: off })).toEqual([
      'on-staging',
      'fast-forward',
      'known-good',
      'approval',
      'operator',
    ])
  })

  test('is refused when main lacks the commit, however good it was', () => {
    expect(answer([...RELEASED, approval()], { facts: rollback({ onStaging: false }) })).toEqual([
      'on-staging',
    ])
  })

  test('by an approver who is no operator is refused', () => {
    expect(answer([...RELEASED, approval()], { facts: rollback(by('carol')) })).toEqual(['operator'])
  })

  test('needs an approval even with fresh evidence', () => {
    expect(answer([...RELEASED, evidence(OLD)], { facts })).toEqual(REFUSED)
  })
})

describe('an approval does not count', () => {
  test.for([
    ['when there is none', []],
    ['for the way from another commit', [approval({ from: TIP })]],
    ['for the way to another commit', [approval({ to: TIP })]],
    ['for the way to another commit, filed under this one', [approval({ to: TIP, subject: OLD })]],
    ['for the way forward', [approval({ from: OLD, to: NEW, subject: OLD })]],
    ['for another branch', [approval({ ref: 'refs/heads/release-2' })]],
    ['for another repository', [approval({ repository: 'git.example.com/fork' })]],
    ['once it has expired', [approval({ issuedAt: NOW - 30 * MINUTE, expiresAt: NOW })]],
    ['when it is older than approvalMaxAge', [approval({ issuedAt: NOW - HOUR - 1, expiresAt: NOW + DAY })]],
    ['when it was issued in the future', [approval({ issuedAt: NOW + 5 * MINUTE + 1 })]],
    ['by somebody who may not approve', [approval({ signer: 'mallory' })]],
    ['by an untrusted key', [approval({ signer: { untrusted: 'the key is not listed' } })]],
  ] as [string, Entry[]][])('%s', ([, entries]) => {
    expect(answer([...RELEASED, ...entries], { facts })).toEqual(REFUSED)
  })
})

test('an approval filed under another commit does not count, wherever it turns up', () => {
  const records = recordsOf([...RELEASED, approval({ subject: TIP })])
  const verdict = decide(facts, POLICY, { ...historyOf(records, OLD), about: records }, NOW)
  expect(verdict.objections.map(({ rule }) => rule)).toEqual(REFUSED)
})

describe('an approval counts', () => {
  test.for([
    ['until the last millisecond', [approval({ issuedAt: NOW - 30 * MINUTE, expiresAt: NOW + 1 })]],
    ['until its last millisecond', [approval({ issuedAt: NOW - HOUR + 1, expiresAt: NOW + 1 })]],
    ['when the clock of the approver is five minutes ahead', [approval({ issuedAt: NOW + 5 * MINUTE })]],
    ['by an approver who is no operator', [approval({ signer: 'carol' })]],
    ['by the pusher, where the policy lets them', [approval({ signer: 'alice' })]],
    ['beside others that do not', [approval({ signer: 'mallory' }), approval(), approval({ from: TIP })]],
  ] as [string, Entry[]][])('%s', ([, entries]) => {
    expect(answer([...RELEASED, ...entries], { facts })).toBe('allowed')
  })
})

describe('an approval is used once', () => {
  const used = approval({ nonce: 'used once' })
  const back = { from: NEW, to: OLD, fastForward: false, inputs: [used] }
  /** There and back again: OLD -> NEW -> OLD -> NEW, so that the same approval would fit again. */
  const again = landed({ from: OLD, to: NEW, at: NOW - 2 * MINUTE })

  test('a rollback that landed spends it', () => {
    const entries = [...RELEASED, used, landed({ ...back, at: NOW - 3 * MINUTE }), again]
    expect(answer(entries, { facts })).toEqual(REFUSED)
    expect(foundBy('approval', entries, { facts })).toContain('has been used')
  })

  test('it is spent in any other envelope, and under any other name of the key', () => {
    for (const signer of ['bob', 'carol']) {
      const wrapped = { ...used, ...approval({ signer, fingerprint: 'SHA256:bob' }), payload: used.payload }
      const entries = [
        ...RELEASED,
        used,
        landed({ ...back, at: NOW - 3 * MINUTE }),
        again,
        { ...wrapped, wrapping: 'anew: ' },
      ]
      expect(answer(entries, { facts })).toEqual(REFUSED)
      expect(foundBy('approval', entries, { facts })).toContain('has been used')
    }
  })

  test('an authorization that nobody closed yet spends it', () => {
    const entries = [...RELEASED, used, authorization({ ...back, at: NOW - MINUTE })]
    expect(answer(entries, { facts })).toEqual(REFUSED)
  })

  test('a rollback that did not land gives it back', () => {
    const entries = [
      ...RELEASED,
      used,
      authorization({ ...back, at: NOW - MINUTE }),
      outcome(OLD, 'not-landed'),
    ]
    expect(answer(entries, { facts })).toBe('allowed')
  })

  test('a second outcome does not give it back', () => {
    const move = landed({ ...back, at: NOW - 3 * MINUTE })
    const second = outcome(OLD, 'not-landed', { authorization: 7 })
    const entries = [...RELEASED, used, move, again, second]
    expect(recordsOf(entries)[6]?.statement.kind).toBe('authorization')
    expect(answer(entries, { facts })).toEqual(REFUSED)
  })

  test('an outcome from before the authorization does not give it back', () => {
    const early = outcome(OLD, 'not-landed', { authorization: 8 })
    const entries = [...RELEASED, used, early, authorization({ ...back, at: NOW - MINUTE })]
    expect(recordsOf(entries)[7]?.statement.kind).toBe('authorization')
    expect(answer(entries, { facts })).toEqual(REFUSED)
  })

  test('another approval for the same way is still good', () => {
    const entries = [...RELEASED, used, landed({ ...back, at: NOW - 3 * MINUTE }), again, approval()]
    // NEW was rolled back from; it came back, and to go from it again is no matter of its bar.
    expect(answer(entries, { facts })).toBe('allowed')
  })
})

describe('two approvals', () => {
  const policy = makePolicy({
    rollback: 'approvers: [alice, bob, carol], approvals: 2, approverMayPush: false, approvalMaxAge: 1h',
  })
  test.for([
    ['by two approvers are two', [approval({ signer: 'bob' }), approval({ signer: 'carol' })], 'allowed'],
    ['by one approver are one', [approval({ signer: 'bob' }), approval({ signer: 'bob' })], REFUSED],
    [
      'by one key under two names are one',
      [
        approval({ signer: 'bob', fingerprint: 'SHA256:b' }),
        approval({ signer: 'carol', fingerprint: 'SHA256:b' }),
      ],
      REFUSED,
    ],
    [
      'of which one is the pusher’s are one',
      [approval({ signer: 'alice' }), approval({ signer: 'bob' })],
      REFUSED,
    ],
    [
      'of which one has expired are one',
      [approval({ signer: 'bob' }), approval({ signer: 'carol', expiresAt: NOW - MINUTE })],
      REFUSED,
    ],
  ] as [string, Entry[], string | string[]][])('%s', ([, entries, expected]) => {
    expect(answer([...RELEASED, ...entries], { facts, policy })).toEqual(expected)
  })

  test.for([
    [
      'the pusher’s under another name is the pusher’s',
      { pusherKeys: ['SHA256:other', 'SHA256:c'] },
      REFUSED,
    ],
    ['which nobody knows to be the pusher’s is another’s', { pusherKeys: ['SHA256:other'] }, 'allowed'],
    ['compared by name alone is another’s', { pusherKeys: null }, 'allowed'],
    [
      'whose holder signed the push is the pusher’s',
      {
        certificate: { offered: true, good: true, principal: 'carol', fingerprint: 'SHA256:x', text: '' },
      },
      [...REFUSED, 'operator'],
    ],
  ] as [string, Partial<ReleaseMove>, string | string[]][])('one by a key %s', ([, changes, expected]) => {
    const entries = [
      ...RELEASED,
      approval({ signer: 'bob' }),
      approval({ signer: 'carol', fingerprint: 'SHA256:c' }),
    ]
    expect(answer(entries, { facts: { ...facts, ...changes }, policy })).toEqual(expected)
  })

  test('are told as they stand, and why others do not count', () => {
    const entries = [
      ...RELEASED,
      approval({ signer: 'alice' }),
      approval({ signer: 'bob' }),
      approval({ signer: 'bob' }),
      approval({ signer: { untrusted: 'the key is not listed' } }),
    ]
    expect(foundBy('approval', entries, { facts, policy }).split('\n')).toEqual([
      `going back from ${NEW.slice(0, 7)} to ${OLD.slice(0, 7)} needs 2 valid approvals and has 1 (bob)`,
      'not counted: the approval by alice (record 6) is by the pusher, and the policy asks for somebody else',
      'not counted: the approval by bob (record 8) is a second one by the same approver',
      'not counted: the approval in record 9, since the key is not listed',
    ])
  })

  test('an expired first one does not hide a valid second one of the same approver', () => {
    const entries = [
      ...RELEASED,
      approval({ signer: 'bob', expiresAt: NOW - MINUTE }),
      approval({ signer: 'bob' }),
      approval({ signer: 'carol' }),
    ]
    expect(answer(entries, { facts, policy })).toBe('allowed')
  })
})

describe('the commit to go back to', () => {
  const onlyLanded = makePolicy({ rollback: 'approvers: [bob], target: landed' })
  const never = [landed({ from: ZEROS, to: NEW }), smoke(OLD), approval()]
  const KNOWN = ['fast-forward', 'known-good']

  test.for([
    ['must have landed', never, KNOWN],
    [
      'must have landed, not only been authorized',
      [authorization({ from: ZEROS, to: OLD }), ...never],
      KNOWN,
    ],
    [
      'must have landed, when its move did not',
      [authorization({ from: ZEROS, to: OLD }), outcome(OLD, 'not-landed'), ...never],
      KNOWN,
    ],
    [
      'must have landed, as the server itself says',
      [
        authorization({ from: ZEROS, to: OLD }),
        outcome(OLD, 'landed', { signer: { untrusted: 'the seal is not the server’s' } }),
        ...never,
      ],
      ['fast-forward', 'known-good'],
    ],
    [
      'must have landed on this branch',
      [landed({ from: ZEROS, to: OLD, ref: 'refs/heads/other' }), ...never],
      KNOWN,
    ],
    ['must have passed its smoke', [firstRelease(), landed({ from: OLD, to: NEW }), approval()], KNOWN],
    [
      'must have passed its smoke in production, not on staging',
      [firstRelease(), evidence(OLD), landed({ from: OLD, to: NEW }), approval()],
      KNOWN,
    ],
    [
      'is not known good by a failed smoke',
      [firstRelease(), smoke(OLD, { failed: ['home'] }), landed({ from: OLD, to: NEW }), approval()],
      KNOWN,
    ],
    [
      'is not known good by a smoke that an untrusted key signed',
      [
        firstRelease(),
        smoke(OLD, { signer: { untrusted: 'no' } }),
        landed({ from: OLD, to: NEW }),
        approval(),
      ],
      KNOWN,
    ],
    [
      'is not known good by a smoke that was invalidated',
      [firstRelease(), smoke(OLD), invalidation(OLD), landed({ from: OLD, to: NEW }), approval()],
      KNOWN,
    ],
    [
      'is not known good by a smoke while production served another commit',
      [
        firstRelease(),
        smoke(OLD, { served: { before: oidOf('earlier'), after: oidOf('earlier') } }),
        landed({ from: OLD, to: NEW }),
        approval(),
      ],
      KNOWN,
    ],
    [
      'is known good by a smoke that could not tell what production served',
      [firstRelease(), smoke(OLD, { served: null }), landed({ from: OLD, to: NEW }), approval()],
      'allowed',
    ],
    [
      'is known good by any smoke that it ever passed',
      [
        firstRelease(),
        smoke(OLD, { finishedAt: NOW - 300 * DAY, configuration: 'f'.repeat(64) }),
        smoke(OLD, { failed: ['home'] }),
        landed({ from: OLD, to: NEW }),
        approval(),
      ],
      'allowed',
    ],
  ] as [string, (Entry | Entry[])[], string | string[]][])('%s', ([, entries, expected]) => {
    expect(answer(entries, { facts })).toEqual(expected)
  })

  test('need not have passed a smoke where the policy says landed', () => {
    const entries = [firstRelease(), landed({ from: OLD, to: NEW }), approval()]
    expect(answer(entries, { facts, policy: onlyLanded })).toBe('allowed')
    expect(answer(never, { facts, policy: onlyLanded })).toEqual(KNOWN)
  })

  test('need not have passed a smoke where there is no production environment', () => {
    const entries = [firstRelease(), landed({ from: OLD, to: NEW }), approval()]
    expect(answer(entries, { facts, policy: makePolicy({ production: false }) })).toBe('allowed')
  })

  test('is told apart: never a release, or a release without a smoke', () => {
    expect(foundBy('known-good', never, { facts })).toBe(`${OLD.slice(0, 7)} never landed on release`)
    expect(foundBy('known-good', [firstRelease(), landed({ from: OLD, to: NEW })], { facts })).toBe(
      `${OLD.slice(0, 7)} was a release, but no production smoke that it passed is recorded, and the policy says rollback.target: smoke-passed`,
    )
  })
})
