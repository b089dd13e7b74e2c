import { describe, expect, test } from 'vitest'
import { decide } from '../../src/core/decide.ts'
import {
  answer,
  DAY,
  type Entry,
  entry,
  evidence,
  firstRelease,
  foundBy,
  HOUR,
  historyOf,
  invalidation,
  iso,
  MINUTE,
  makePolicy,
  NEW,
  NOW,
  OLD,
  POLICY,
  promotion,
  recordsOf,
  SECOND,
  smoke,
  TIP,
} from './build.ts'

const released = (...entries: Entry[]) => [firstRelease(), ...entries]
const short = NEW.slice(0, 7)

/** Evidence as somebody else's tool may write it. */
function handMade(
  options: { configurationName?: string; passedTests?: string[]; gates?: string[] } = {},
): Entry {
  const { configurationName = '.headgate/policy.yaml#environments.staging' } = options
  const { passedTests = ['health', 'chat'], gates = ['health', 'chat'] } = options
  return entry(
    'evidence',
    NEW,
    {
      result: 'PASSED',
      configuration: [
        { name: configurationName, digest: { sha256: POLICY.environments.staging.configurationDigest } },
      ],
      passedTests,
      headgate: {
        environment: 'staging',
        startedAt: iso(NOW - MINUTE),
        finishedAt: iso(NOW - SECOND),
        servedCommit: { before: NEW, after: NEW },
        gates: gates.map((name) => ({ name, outcome: 'passed' as const })),
      },
    },
    { signer: 'ci' },
  )
}

/** The run names its failed gates in `failedTests` alone: nothing is said of them under `gates`. */
function namedOnly(run: Entry): Entry {
  const payload = (seq: number) => {
    const statement = JSON.parse(run.payload(seq))
    const { headgate, failedTests } = statement.predicate
    headgate.gates = headgate.gates.filter(({ name }: { name: string }) => !failedTests.includes(name))
    return JSON.stringify(statement)
  }
  return { ...run, payload }
}

describe('a promotion is refused', () => {
  test.for([
    [
      'when a newer run names a required gate in failedTests only',
      [
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE }),
        namedOnly(evidence(NEW, { finishedAt: NOW - 10 * MINUTE, failed: ['chat'], result: 'WARNED' })),
      ],
    ],
    ['when there is no evidence', []],
    ['when the evidence is about another commit', [evidence(TIP)]],
    ['when only production ran gates', [smoke(NEW, { finishedAt: NOW - MINUTE })]],
    ['when a required gate failed', [evidence(NEW, { failed: ['chat'] })]],
    ['when the run failed although every gate passed', [evidence(NEW, { result: 'FAILED' })]],
    ['when a required gate is missing', [evidence(NEW, { passed: ['health', 'drills'] })]],
    ['when a required gate was skipped', [evidence(NEW, { skipped: ['chat'] })]],
    ['when a required gate is misspelt', [evidence(NEW, { passed: ['health', 'Chat', 'chat '] })]],
    ['when a required gate only warned', [evidence(NEW, { warned: ['chat'] })]],
    ['when no gate is named', [evidence(NEW, { passed: [] })]],
    ['when a gate passed by one list only', [handMade({ gates: ['health'] })]],
    ['when a gate passed by the other list only', [handMade({ passedTests: ['health'] })]],
    ['when the signer is not trusted', [evidence(NEW, { signer: { untrusted: 'the key is not listed' } })]],
    ['when the evidence is for another repository', [evidence(NEW, { repository: 'git.example.com/fork' })]],
    ['when the gates were configured otherwise', [evidence(NEW, { configuration: 'f'.repeat(64) })]],
    ['when the run says that it finished in the future', [evidence(NEW, { finishedAt: NOW + 6 * MINUTE })]],
    [
      'when the newest staging run failed',
      [
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE }),
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE, failed: ['health'] }),
      ],
    ],
    [
      'when the newest run failed and an older pass arrives after it',
      [
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE, failed: ['health'] }),
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE, at: NOW - MINUTE }),
      ],
    ],
    [
      'when the newest run failed at an optional gate, and says that it failed',
      [
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE }),
        evidence(NEW, { warned: ['drills'], result: 'FAILED' }),
      ],
    ],
    [
      'when a newer run of other gates failed',
      [
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE }),
        evidence(NEW, { failed: ['health'], configuration: 'f'.repeat(64) }),
      ],
    ],
    [
      'when a newer run warned where a gate is required by now',
      [evidence(NEW, { finishedAt: NOW - 20 * MINUTE }), evidence(NEW, { warned: ['chat'] })],
    ],
  ] as [string, Entry[]][])('%s', ([, entries]) => {
    expect(answer(released(...entries))).toEqual(['evidence'])
  })
})

describe('a promotion is allowed', () => {
  test.for([
    ['when another tool made the evidence', [handMade()]],
    ['when an optional gate failed', [evidence(NEW, { warned: ['drills'] })]],
    ['when an optional gate is missing', [evidence(NEW, { passed: ['health', 'chat'] })]],
    ['when an optional gate was skipped', [evidence(NEW, { skipped: ['drills'] })]],
    [
      'when gates ran that the policy does not know',
      [evidence(NEW, { passed: ['health', 'chat', 'extra'] })],
    ],
    [
      'when the newest run passed after one that failed',
      [
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE, failed: ['health'] }),
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE }),
      ],
    ],
    [
      'when the failed run that arrives last is older than the pass',
      [
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE }),
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE, failed: ['health'], at: NOW - MINUTE }),
      ],
    ],
    [
      'when a newer run is incomplete, for only a failure speaks against a pass',
      [evidence(NEW, { finishedAt: NOW - 20 * MINUTE }), evidence(NEW, { skipped: ['chat'] })],
    ],
    [
      'when a newer run was made under another configuration',
      [evidence(NEW, { finishedAt: NOW - 20 * MINUTE }), evidence(NEW, { configuration: 'f'.repeat(64) })],
    ],
    [
      'when a failed run is not signed by a trusted key',
      [evidence(NEW), evidence(NEW, { failed: ['chat'], finishedAt: NOW, signer: { untrusted: 'no' } })],
    ],
    [
      'when the smoke of production failed, which is no matter of staging',
      [evidence(NEW), smoke(NEW, { failed: ['home'], finishedAt: NOW })],
    ],
    [
      'when the clock of the CI runs ahead by five minutes',
      [evidence(NEW, { finishedAt: NOW + 5 * MINUTE })],
    ],
  ] as [string, Entry[]][])('%s', ([, entries]) => {
    expect(answer(released(...entries))).toBe('allowed')
  })
})

describe('evidence.maxAge', () => {
  const policy = makePolicy({ evidence: 'maxAge: 1h, servedCommit: required' })

  test('lasts up to its end and not including it, to the millisecond', () => {
    expect(answer(released(evidence(NEW, { finishedAt: NOW - HOUR + 1 })), { policy })).toBe('allowed')
    expect(answer(released(evidence(NEW, { finishedAt: NOW - HOUR })), { policy })).toEqual(['evidence'])
  })

  test('counts from the end of the run, not from its arrival', () => {
    const late = evidence(NEW, { finishedAt: NOW - 2 * HOUR, at: NOW - MINUTE })
    expect(answer(released(late), { policy })).toEqual(['evidence'])
  })

  test('is told with the age', () => {
    const entries = released(evidence(NEW, { finishedAt: NOW - 2 * DAY - 3 * HOUR }))
    expect(foundBy('evidence', entries, { policy })).toBe(
      'the evidence (record 3, by ci) is 2 days 3 h old, and the policy allows 1 h: 2 days 2 h too much',
    )
  })
})

describe('another policy', () => {
  test('that changes a gate voids the evidence', () => {
    const policy = makePolicy({ gates: ['health', 'chat', 'login'] })
    expect(answer(released(evidence(NEW)), { policy })).toEqual(['evidence'])
  })

  test('that makes a gate required voids the evidence, though the gate passed', () => {
    const policy = makePolicy({ gates: ['health', 'chat', 'drills'], optional: [] })
    expect(answer(released(evidence(NEW)), { policy })).toEqual(['evidence'])
  })

  test('that changes an operator voids nothing', () => {
    const policy = makePolicy({ promotion: 'operators: [alice], signedPush: ignore' })
    expect(answer(released(evidence(NEW)), { policy })).toBe('allowed')
  })

  test('that renames the repository voids the evidence', () => {
    const policy = makePolicy({ repository: 'git.example.com/renamed' })
    expect(answer(released(evidence(NEW)), { policy })).toEqual(['evidence'])
  })

  test('is not satisfied by a configuration of another name with the right digest', () => {
    const foreign = handMade({ configurationName: '.headgate/policy.yaml#environments.production' })
    expect(foundBy('evidence', released(foreign))).toContain('another gate configuration')
  })
})

describe('runs are in the order of their ends, which are at the latest when they were recorded', () => {
  const failed = { failed: ['chat'], passed: ['health'] }

  test('a pass by a clock that runs ahead does not hide a failure that came later', () => {
    const pass = evidence(NEW, { finishedAt: NOW - MINUTE, at: NOW - 5 * MINUTE })
    const failure = evidence(NEW, { ...failed, finishedAt: NOW - 3 * MINUTE, at: NOW - 3 * MINUTE })
    expect(answer(released(pass, failure))).toEqual(['evidence'])
  })

  test('a failure by a clock that runs ahead does not hide a pass that came later', () => {
    const failure = evidence(NEW, { ...failed, finishedAt: NOW - MINUTE, at: NOW - 5 * MINUTE })
    const pass = evidence(NEW, { finishedAt: NOW - 3 * MINUTE, at: NOW - 3 * MINUTE })
    expect(answer(released(failure, pass))).toBe('allowed')
  })

  test('of two of the same second the one that was recorded later is later', () => {
    const same = { finishedAt: NOW - 3 * MINUTE, at: NOW - 2 * MINUTE }
    expect(answer(released(evidence(NEW, same), evidence(NEW, { ...failed, ...same })))).toEqual(['evidence'])
    expect(answer(released(evidence(NEW, { ...failed, ...same }), evidence(NEW, same)))).toBe('allowed')
  })
})

describe('an invalidation', () => {
  test.for([
    ['voids what was recorded before it', [evidence(NEW), invalidation(NEW)], ['evidence']],
    [
      'voids a run that ended before it and arrives after it',
      [
        invalidation(NEW, { issuedAt: NOW - 5 * MINUTE }),
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE, at: NOW - MINUTE }),
      ],
      ['evidence'],
    ],
    [
      'voids a pass that was recorded before it arrived, though it ended after it was signed',
      [
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE }),
        invalidation(NEW, { issuedAt: NOW - HOUR, at: NOW - MINUTE }),
      ],
      ['evidence'],
    ],
    [
      'voids a run that ended at the moment when it was signed',
      [invalidation(NEW, { issuedAt: NOW - 10 * MINUTE }), evidence(NEW, { finishedAt: NOW - 10 * MINUTE })],
      ['evidence'],
    ],
    [
      'does not void a run that began and ended after it',
      [invalidation(NEW, { issuedAt: NOW - HOUR }), evidence(NEW)],
      'allowed',
    ],
    [
      'by an untrusted key voids nothing',
      [evidence(NEW), invalidation(NEW, { signer: { untrusted: 'the key is not listed' } })],
      'allowed',
    ],
    [
      'that arrives late does not take back a failure that its signer cannot have known',
      [
        evidence(NEW, { finishedAt: NOW - 10 * MINUTE, failed: ['chat'] }),
        invalidation(NEW, { issuedAt: NOW - HOUR, at: NOW - 5 * MINUTE }),
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE, at: NOW - MINUTE }),
      ],
      ['evidence'],
    ],
    [
      'takes back a failure with all the rest, so that a new pass counts',
      [
        evidence(NEW, { finishedAt: NOW - 20 * MINUTE, failed: ['chat'] }),
        invalidation(NEW, { issuedAt: NOW - 15 * MINUTE, at: NOW - 15 * MINUTE }),
        evidence(NEW),
      ],
      'allowed',
    ],
    [
      'voids a run with a failed optional gate like any pass',
      [
        evidence(NEW, { warned: ['drills'], finishedAt: NOW - 10 * MINUTE }),
        invalidation(NEW, { issuedAt: NOW - HOUR, at: NOW - 5 * MINUTE }),
      ],
      ['evidence'],
    ],
  ] as [string, Entry[], string | string[]][])('%s', ([, entries, expected]) => {
    expect(answer(released(...entries))).toEqual(expected)
  })
})

describe('the reason that is told', () => {
  test.for([
    ['no evidence', [], `there is no staging evidence for ${short}`],
    [
      'a failed gate',
      [evidence(NEW, { failed: ['chat'] })],
      `the newest staging run for ${short} (record 3, by ci, 10 min ago) failed: chat`,
    ],
    [
      'a run that found another build',
      [
        evidence(NEW, {
          result: 'FAILED',
          passed: [],
          skipped: ['health', 'chat'],
          served: { before: OLD, after: null },
        }),
      ],
      `the newest staging run for ${short} (record 3, by ci, 10 min ago) failed: staging reported serving ${OLD} before the gates`,
    ],
    [
      'a failed and a skipped gate',
      [evidence(NEW, { result: 'WARNED', passed: [], warned: ['health'], skipped: ['chat'] })],
      `the newest staging run for ${short} (record 3, by ci, 10 min ago) failed: health\nthe evidence (record 3, by ci, 10 min ago) does not show that every required gate passed; missing: chat (skipped)`,
    ],
    [
      'a missing gate',
      [evidence(NEW, { passed: ['chat'] })],
      'the evidence (record 3, by ci, 10 min ago) does not show that every required gate passed; missing: health',
    ],
    [
      'another configuration',
      [evidence(NEW, { configuration: 'f'.repeat(64) })],
      `the evidence for ${short} (record 3, by ci, 10 min ago) was made under another gate configuration than the policy in force`,
    ],
    [
      'an invalidation',
      [evidence(NEW), invalidation(NEW)],
      `the staging evidence for ${short} was invalidated 5 min ago (record 4, by ci): staging ran on the wrong database`,
    ],
    [
      'an invalidation of the pass that followed a failure',
      [
        evidence(NEW, { failed: ['chat'], finishedAt: NOW - 20 * MINUTE }),
        evidence(NEW),
        invalidation(NEW, { issuedAt: NOW - 30 * MINUTE, at: NOW - 5 * MINUTE }),
      ],
      `the staging evidence for ${short} was invalidated 5 min ago (record 5, by ci): staging ran on the wrong database\nthe newest staging run for ${short} (record 3, by ci, 20 min ago) failed: chat`,
    ],
    [
      'an untrusted signer',
      [evidence(NEW, { signer: { untrusted: 'the key is not listed' } })],
      `there is no staging evidence for ${short}\nnot counted: record 3, since the key is not listed`,
    ],
    [
      'another repository',
      [evidence(NEW, { repository: 'git.example.com/fork' })],
      `there is no staging evidence for ${short}\nnot counted: record 3, since it is for another repository`,
    ],
  ] as [string, Entry[], string][])('names %s', ([, entries, expected]) => {
    expect(foundBy('evidence', released(...entries))).toBe(expected)
  })

  test('lists at most five records that do not count', () => {
    const many = Array.from({ length: 9 }, () => evidence(NEW, { signer: { untrusted: 'no' } }))
    expect(foundBy('evidence', released(...many)).split('\n')).toHaveLength(6)
  })
})

test('a record about another commit proves nothing, wherever it turns up', () => {
  const records = recordsOf(released(evidence(TIP)).flat())
  const verdict = decide(promotion(), POLICY, { ...historyOf(records, NEW), about: records }, NOW)
  expect(verdict.objections.map(({ rule }) => rule)).toEqual(['evidence'])
})
