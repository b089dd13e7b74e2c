import { describe, expect, test } from 'vitest'
import type { ReleaseMove, Stray } from '../../src/core/facts.ts'
import {
  answer,
  approval,
  by,
  type Entry,
  evidence,
  firstRelease,
  foundBy,
  freeze,
  invalidation,
  judge,
  landed,
  makePolicy,
  NEW,
  OLD,
  oidOf,
  promotion,
  recordsOf,
  rollback,
  smoke,
  TIP,
  ZEROS,
} from './build.ts'

const PROVED = [firstRelease(), evidence(NEW)]

describe('a promotion', () => {
  test('is allowed when main has the commit, staging proved it, and an operator pushes it', () => {
    expect(answer(PROVED)).toBe('allowed')
  })

  test('rests on the envelope of the evidence and spends nobody’s permission', () => {
    const { kind, inputs, approvedBy, objections, waived } = judge(PROVED)
    const record = recordsOf(PROVED).find(({ statement }) => statement.kind === 'evidence')
    expect({ kind, inputs, approvedBy, objections, waived }).toEqual({
      kind: 'promotion',
      inputs: [record?.envelopeDigest],
      approvedBy: [],
      objections: [],
      waived: [],
    })
  })

  test('is refused by every rule at once, and all reasons are told', () => {
    const facts = promotion({
      onStaging: false,
      strays: [{ oid: NEW, parents: [OLD], subject: 'quick fix' }],
      claimedFrom: TIP,
      from: oidOf('somewhere else'),
      ...by('mallory'),
    })
    const bad: Entry[] = [evidence(NEW, { failed: ['chat'] }), freeze()]
    expect(answer([firstRelease(), ...bad], { facts })).toEqual([
      'on-staging',
      'fast-forward',
      'evidence',
      'frozen',
      'drift',
      'operator',
    ])
  })

  test('is refused for all that is wrong with the evidence, not only for the first', () => {
    const policy = makePolicy({ evidence: 'maxAge: 5m, servedCommit: required' })
    const entries = [firstRelease(), evidence(NEW, { skipped: ['chat'], configuration: 'f'.repeat(64) })]
    expect(foundBy('evidence', entries, { policy }).split('\n')).toHaveLength(3)
  })
})

describe('a creation of release', () => {
  test('is put right by a command that names it in full: git guesses no branch that is not there', () => {
    const facts = promotion({ from: ZEROS, claimedFrom: ZEROS, objectType: 'tag' })
    const [objection] = judge([], { facts }).objections
    expect(objection?.fix.at(-1)).toBe("  git push origin 'TAG^{commit}:refs/heads/release'")
  })

  const facts = promotion({ from: ZEROS })

  test('is a promotion like any other', () => {
    expect(judge([evidence(NEW)], { facts })).toMatchObject({ verdict: 'allowed', kind: 'promotion' })
    expect(answer([], { facts })).toEqual(['evidence'])
  })

  test('is refused while the ledger says that there is a release', () => {
    expect(answer(PROVED, { facts })).toEqual(['drift'])
  })
})

describe('a deletion of release', () => {
  test('is refused, whatever approvals there are', () => {
    const facts = rollback({ to: ZEROS, objectType: 'missing', onStaging: false })
    expect(answer([landed({ from: ZEROS, to: NEW }), approval()], { facts })).toEqual(['release-delete'])
  })

  test('is refused also where there is nothing to delete', () => {
    const facts = promotion({
      from: ZEROS,
      to: ZEROS,
      objectType: 'missing',
      onStaging: false,
      fastForward: false,
    })
    expect(answer([], { facts })).toEqual(['release-delete'])
  })
})

describe('what is no commit', () => {
  test.for([
    ['an annotated tag', 'tag', `${NEW.slice(0, 7)} is a tag object, and release holds commits only`],
    ['a tree', 'tree', `${NEW.slice(0, 7)} is a tree object, and release holds commits only`],
    ['a blob', 'blob', `${NEW.slice(0, 7)} is a blob object, and release holds commits only`],
    [
      'an id that names nothing',
      'missing',
      `${NEW.slice(0, 7)} is not an object of this repository, and release holds commits only`,
    ],
  ] as const)('%s is refused, even with evidence about its id', ([, objectType, found]) => {
    const facts = promotion({ objectType, onStaging: false, fastForward: false })
    expect(answer(PROVED, { facts })).toEqual(['commit-object'])
    expect(foundBy('commit-object', PROVED, { facts })).toBe(found)
  })

  test('a tag in place of a commit is a promotion gone wrong, not a rollback', () => {
    const facts = promotion({ objectType: 'tag', onStaging: false, fastForward: false })
    expect(judge(PROVED, { facts }).kind).toBe('promotion')
  })
})

describe('a commit that main does not have', () => {
  const stray = (name: string, parents: string[]): Stray => ({
    oid: oidOf(name),
    parents,
    subject: `work on ${name}`,
  })
  const off = (strays: readonly Stray[], changes: Partial<ReleaseMove> = {}) =>
    promotion({ onStaging: false, strays, ...changes })

  test('is refused although staging proved it', () => {
    const facts = off([{ oid: NEW, parents: [OLD], subject: 'quick fix' }])
    expect(answer(PROVED, { facts })).toEqual(['on-staging'])
  })

  test('is refused with the list of what main lacks', () => {
    const facts = off([{ oid: NEW, parents: [oidOf('a')], subject: 'quick fix' }, stray('a', [OLD])])
    expect(foundBy('on-staging', PROVED, { facts }).split('\n')).toEqual([
      `${NEW.slice(0, 7)} is not on main; as it stood before this push, main lacks:`,
      `  ${NEW.slice(0, 7)} quick fix`,
      `  ${oidOf('a').slice(0, 7)} work on a`,
    ])
  })

  test('is refused with at most five of many', () => {
    const many = Array.from({ length: 50 }, (_, index) => stray(`${index}`, [OLD]))
    const lines = foundBy('on-staging', PROVED, { facts: off(many) }).split('\n')
    expect(lines).toHaveLength(7)
    // Of a history that is foreign as a whole no more are read.
    expect(lines.at(-1)).toBe('  and at least 45 more')
    const some = foundBy('on-staging', PROVED, { facts: off(many.slice(1)) }).split('\n')
    expect(some.at(-1)).toBe('  and 44 more')
  })

  test('is refused before main was ever pushed', () => {
    const facts = off([], { staging: null })
    expect(foundBy('on-staging', PROVED, { facts })).toBe(
      'there is no main on the server yet, so nothing can have passed staging',
    )
  })

  test('a merge made onto release is refused with its parents', () => {
    const facts = off([{ oid: NEW, parents: [OLD, TIP], subject: "Merge branch 'main' into release" }])
    expect(foundBy('on-staging', PROVED, { facts }).split('\n')).toEqual([
      `${NEW.slice(0, 7)} is a merge commit that was made onto release; its parents are ${OLD.slice(0, 7)} (release) and ${TIP.slice(0, 7)} (main)`,
      'main does not contain it, so staging never ran this tree',
    ])
  })

  test('a merge of a feature onto release is refused with its parents and what else main lacks', () => {
    const feature = stray('feature', [OLD])
    const facts = off([{ oid: NEW, parents: [OLD, feature.oid], subject: 'Merge feature' }, feature])
    const found = foundBy('on-staging', PROVED, { facts })
    expect(found).toContain(`its parents are ${OLD.slice(0, 7)} (release) and ${feature.oid.slice(0, 7)}\n`)
    expect(found).toContain(`main also lacks:\n  ${feature.oid.slice(0, 7)} work on feature`)
  })

  test('a merge below the tip is named, too, and what was made on top of it', () => {
    const merge = { oid: oidOf('merge'), parents: [OLD, TIP], subject: 'Merge main' }
    const found = foundBy('on-staging', PROVED, { facts: off([stray('bump', [merge.oid]), merge]) })
    expect(found).toContain(`${merge.oid.slice(0, 7)} is a merge commit that was made onto release`)
    expect(found).toContain(`main also lacks:\n  ${oidOf('bump').slice(0, 7)} work on bump`)
    const into = { ...merge, parents: [TIP, OLD] }
    expect(foundBy('on-staging', PROVED, { facts: off([stray('bump', [merge.oid]), into]) })).not.toContain(
      'made onto',
    )
  })

  test('a merge of thousands of parents, one of them many times, is told in a few lines', () => {
    const parents = Array.from({ length: 5000 }, (_, index) => (index % 2 === 0 ? OLD : oidOf(`${index}`)))
    const found = foundBy('on-staging', PROVED, { facts: off([{ oid: NEW, parents, subject: 'many' }]) })
    expect(found).toMatch(/its parents are \w+ \(release\)( and \w+){7} and 2493 more$/m)
  })

  test('a merge made elsewhere is not said to be made onto release', () => {
    const facts = off([
      { oid: NEW, parents: [oidOf('a'), TIP], subject: 'Merge main into a' },
      stray('a', [OLD]),
    ])
    expect(foundBy('on-staging', PROVED, { facts })).toContain('main lacks:')
  })

  test('a merge that main contains is fine', () => {
    expect(answer(PROVED, { facts: promotion({ onStaging: true, strays: [] }) })).toBe('allowed')
  })
})

describe('a push that believes release to be elsewhere', () => {
  test('is refused with where it is and where the push believes it', () => {
    const facts = promotion({ claimedFrom: TIP })
    expect(answer(PROVED, { facts })).toEqual(['fast-forward'])
    expect(foundBy('fast-forward', PROVED, { facts })).toBe(
      `release moved meanwhile: it stands at ${OLD.slice(0, 7)}, and this push believes that it is at ${TIP.slice(0, 7)}`,
    )
  })

  test('is refused when it believes that there is none', () => {
    const facts = promotion({ claimedFrom: ZEROS })
    expect(foundBy('fast-forward', PROVED, { facts })).toContain('this push believes that it does not exist')
  })

  test('is refused when there is none any more', () => {
    const facts = promotion({ from: ZEROS, claimedFrom: OLD })
    expect(foundBy('fast-forward', [evidence(NEW)], { facts })).toContain(
      'release moved meanwhile: it does not exist',
    )
  })

  test('is refused also as an approved rollback, and told what a promotion needs', () => {
    const entries = [landed({ from: ZEROS, to: OLD }), smoke(OLD), landed({ from: OLD, to: NEW }), approval()]
    expect(answer(entries, { facts: rollback() })).toBe('allowed')
    expect(answer(entries, { facts: rollback({ claimedFrom: TIP }) })).toEqual(['fast-forward', 'evidence'])
  })
})

test('an invalidation of other commits has nothing to say', () => {
  expect(answer([...PROVED, invalidation(OLD), invalidation(TIP)])).toBe('allowed')
})
