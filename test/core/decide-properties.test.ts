/** What must hold of `decide` for every ledger and every move. Shrunk counterexamples live on as plain tests. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide } from '../../src/core/decide.ts'
import type { ReleaseMove } from '../../src/core/facts.ts'
import type { HistoryRecord } from '../../src/core/history.ts'
import { isZeroOid } from '../../src/core/oid.ts'
import { requiredGates } from '../../src/core/policy/policy.ts'
import { frozenAt } from '../../src/core/state.ts'
import { type MoveVerdict, RULE_NAMES, type RuleName, WAIVABLE } from '../../src/core/verdict.ts'
import {
  approval,
  authorization,
  driftNote,
  type Entry,
  evidence,
  firstRelease,
  foldState,
  freeze,
  HOUR,
  historyOf,
  invalidation,
  landed,
  MINUTE,
  NEW,
  NOW,
  OLD,
  POLICY,
  promotion,
  RELEASE_REF,
  recordsOf,
  rollback,
  smoke,
  TIP,
} from './build.ts'
import {
  anyFacts,
  claims,
  moments,
  nameRecord,
  policies,
  records,
  type Scene,
  scenes,
  strangers,
} from './generate.ts'

/** The others are rules of other refs. */
const RELEASE_RULE_NAMES = RULE_NAMES.slice(0, RULE_NAMES.indexOf('drift') + 1)

function verdictOn({ records: all, facts, policy }: Scene, without?: HistoryRecord): MoveVerdict {
  const kept = all.filter((record) => record !== without)
  return decide(facts, policy, historyOf(kept, facts.to), NOW)
}

/** A run that says that it failed, or that a required gate did. */
function failed({ statement }: HistoryRecord, { policy }: Scene): boolean {
  if (statement.kind !== 'evidence') return false
  const { result, failedTests, headgate } = statement.predicate
  const required = requiredGates(policy.environments.staging)
  const outcomes = headgate.gates.filter((gate) => gate.outcome === 'failed').map((gate) => gate.name)
  return result === 'FAILED' || [...failedTests, ...outcomes].some((name) => required.includes(name))
}

/** Records that say "no longer" or "not": to take one away is to take a refusal away, and they can do nothing else. */
function onlySpeaksAgainst(record: HistoryRecord, scene: Scene): boolean {
  if (record.statement.kind === 'invalidation' || failed(record, scene)) return true
  return frozenAt(foldState(scene.records), NOW)?.seq === record.seq
}

/**
 * The rest of the list. Records of moves are evidence of what happened, which may permit (a rollback to what landed) and
 * may refuse: the last move says where release must be, a rollback bars what it went back from, and an authorization
 * spends what permitted it. Each may be missed by its own rule only.
 */
function refusesAsMove(record: HistoryRecord, scene: Scene, refusing: readonly RuleName[]): boolean {
  const { statement } = record
  const state = foldState(scene.records)
  const seq = statement.kind === 'outcome' ? statement.predicate.authorization : record.seq
  const isLastMove = state.landed[RELEASE_REF]?.seq === seq || statement.kind === 'drift'
  if (isLastMove && refusing.includes('drift')) return true
  const bar = state.bars.find((candidate) => candidate.commit === scene.facts.to)
  const isBar = scene.records.some(
    (other) =>
      other.seq === bar?.seq &&
      other.statement.kind === 'outcome' &&
      other.statement.predicate.authorization === seq,
  )
  if (isBar && refusing.includes('barred')) return true
  if (statement.kind !== 'authorization' || statement.commit !== scene.facts.to) return false
  return statement.predicate.inputAttestations.some(({ digest }) =>
    scene.records.some(
      (other) =>
        other.envelopeDigest === digest.sha256 &&
        (other.statement.kind === 'approval' || other.statement.kind === 'override'),
    ),
  )
}

test('the scenes reach every rule by itself, every waiver, and both verdicts on every kind of move', () => {
  const reached = new Set<string>()
  for (const scene of fc.sample(scenes, { numRuns: 1000, seed: 20260101 })) {
    const { verdict, kind, objections, waived } = verdictOn(scene)
    reached.add(`${verdict} ${kind}`)
    const [only, ...others] = objections
    if (only !== undefined && others.length === 0) reached.add(`refused by ${only.rule} alone`)
    for (const { rule } of waived) reached.add(`waived ${rule}`)
  }
  const kinds = [
    'allowed promotion',
    'allowed rollback',
    'allowed override',
    'refused promotion',
    'refused rollback',
  ]
  const alone = RELEASE_RULE_NAMES.map((rule) => `refused by ${rule} alone`)
  const waived = [...WAIVABLE].map((rule) => `waived ${rule}`)
  expect([...reached].sort()).toEqual([...kinds, ...alone, ...waived].sort())
})

describe('taking one record away', () => {
  test('never turns a refusal into a permission, unless the record only spoke against it or is of a move that does', () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const { verdict, objections } = verdictOn(scene)
        if (verdict === 'allowed') return
        const refusing = objections.map(({ rule }) => rule)
        for (const record of scene.records) {
          if (onlySpeaksAgainst(record, scene) || refusesAsMove(record, scene, refusing)) continue
          expect(verdictOn(scene, record).verdict, `without ${nameRecord(record)}`).toBe('refused')
        }
      }),
      { numRuns: 800 },
    )
  })

  test('never turns a permission into a refusal, if the record only spoke against it', () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        if (verdictOn(scene).verdict === 'refused') return
        for (const record of scene.records) {
          if (!onlySpeaksAgainst(record, scene)) continue
          expect(verdictOn(scene, record).verdict, `without ${nameRecord(record)}`).toBe('allowed')
        }
      }),
      { numRuns: 800 },
    )
  })
})

describe('the exceptions are real: what is refused would be allowed without', () => {
  const used = approval({ nonce: 'used once' })
  const back = { from: NEW, to: OLD, fastForward: false }
  const released = [firstRelease(), smoke(OLD), landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR })]
  test.for([
    ['an invalidation', [firstRelease(), evidence(NEW), invalidation(NEW)], 4, promotion()],
    [
      'a failed run',
      [firstRelease(), evidence(NEW, { finishedAt: NOW - HOUR }), evidence(NEW, { failed: ['chat'] })],
      4,
      promotion(),
    ],
    ['a freeze', [firstRelease(), evidence(NEW), freeze()], 4, promotion()],
    [
      'the last move, when someone took release back behind the guard',
      [firstRelease(), evidence(NEW), landed({ from: OLD, to: NEW })],
      5,
      promotion(),
    ],
    [
      'a note that accepted where release was',
      [firstRelease(), evidence(NEW), driftNote(OLD, TIP)],
      4,
      promotion(),
    ],
    [
      'a rollback that bars',
      [
        firstRelease(),
        evidence(TIP, { finishedAt: NOW - 20 * HOUR }),
        landed({ from: TIP, to: OLD, fastForward: false, at: NOW - 2 * HOUR }),
        landed({ from: OLD, to: NEW, at: NOW - HOUR }),
      ],
      5,
      promotion({ from: NEW, to: TIP }),
    ],
    [
      'an authorization that spent an approval',
      [released, used, authorization({ ...back, inputs: [used], at: NOW - MINUTE })],
      7,
      rollback(),
    ],
  ] as [string, (Entry | Entry[])[], number, ReleaseMove][])('%s', ([, entries, seq, facts]) => {
    const all = recordsOf(entries.flat(2))
    const scene: Scene = { records: all, facts, policy: POLICY }
    expect(verdictOn(scene).verdict).toBe('refused')
    expect(
      verdictOn(
        scene,
        all.find((record) => record.seq === seq),
      ).verdict,
    ).toBe('allowed')
  })
})

describe('decide', () => {
  test('takes the records in the order of the ledger, whatever order they are read in', () => {
    fc.assert(
      fc.property(
        scenes.chain((scene) =>
          fc.tuple(
            fc.constant(scene),
            fc.shuffledSubarray([...scene.records], { minLength: scene.records.length }),
          ),
        ),
        ([scene, shuffled]) => {
          const { facts, policy } = scene
          const history = historyOf(scene.records, facts.to)
          const about = shuffled.filter((record) => record.statement.commit === facts.to)
          expect(decide(facts, policy, { ...history, about }, NOW)).toEqual(
            decide(facts, policy, history, NOW),
          )
        },
      ),
      { numRuns: 500 },
    )
  })

  test('hears nothing in what is about other commits, or by nobody who counts', () => {
    const withExtra = scenes.chain((scene) =>
      fc.record({
        scene: fc.constant(scene),
        others: fc.array(claims, { maxLength: 3 }),
        strange: fc.array(strangers(scene.facts.to), { maxLength: isZeroOid(scene.facts.to) ? 0 : 2 }),
      }),
    )
    const inShort = ({ objections, waived, ...verdict }: MoveVerdict) => ({
      ...verdict,
      objections: objections.map(({ rule }) => rule),
      waived: waived.map(({ rule }) => rule),
    })
    fc.assert(
      fc.property(withExtra, ({ scene, others, strange }) => {
        const last = scene.records.length
        const extra = recordsOf([...others, ...strange])
          .filter(({ statement }, index) => index >= others.length || statement.commit !== scene.facts.to)
          .map((record) => ({ ...record, seq: last + record.seq }))
        const fuller = { ...scene, records: [...scene.records, ...extra] }
        expect(inShort(verdictOn(fuller))).toEqual(inShort(verdictOn(scene)))
      }),
      { numRuns: 300 },
    )
  })

  test('allows exactly what no objection is left against', () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const { verdict, objections, waived, kind, approvedBy, inputs } = verdictOn(scene)
        expect(verdict).toBe(objections.length === 0 ? 'allowed' : 'refused')
        for (const { found, fix } of [...objections, ...waived]) {
          expect(found.length).toBeGreaterThan(0)
          expect(fix.length).toBeGreaterThan(0)
        }
        // Nothing is allowed for nothing: evidence, approval or override.
        if (verdict === 'allowed') expect(inputs.length).toBeGreaterThan(0)
        if (verdict === 'allowed' && kind !== 'promotion') expect(approvedBy.length).toBeGreaterThan(0)
        if (verdict === 'allowed' && waived.length > 0) expect(kind).toBe('override')
      }),
      { numRuns: 500 },
    )
  })

  test('never throws, says the same twice and changes nothing, whatever the facts are', () => {
    fc.assert(
      fc.property(
        anyFacts,
        policies,
        records,
        moments,
        fc.boolean(),
        (facts, policy, all, now, everything) => {
          const history = everything ? { state: foldState(all), about: all } : historyOf(all, facts.to)
          const before = structuredClone({ facts, history })
          const first = decide(facts, policy, history, now)
          expect(decide(facts, policy, history, now)).toEqual(first)
          expect({ facts, history }).toEqual(before)
          expect(first.verdict).toBe(first.objections.length === 0 ? 'allowed' : 'refused')
        },
      ),
      { numRuns: 500 },
    )
  })
})
