import { describe, expect, test } from 'vitest'
import { decideStaging } from '../../src/core/decide.ts'
import type { LogStep, LogVersion, StagingMove } from '../../src/core/facts.ts'
import { NEW, OLD, oidOf, ZEROS } from './build.ts'

function move(changes: Partial<StagingMove> = {}): StagingMove {
  return {
    ref: 'refs/heads/main',
    from: OLD,
    claimedFrom: OLD,
    to: NEW,
    objectType: 'commit',
    fastForward: true,
    releaseLog: { path: 'docs/RELEASE_LOG.md', steps: [] },
    ...changes,
  }
}

const rules = (facts: StagingMove) => decideStaging(facts).map(({ rule }) => rule)
const found = (facts: StagingMove) => decideStaging(facts).flatMap((objection) => objection.found)

describe('a push of main', () => {
  test.for([
    ['that adds commits is allowed', move(), []],
    ['that creates it is allowed', move({ from: ZEROS }), []],
    ['that creates it is no rewriting', move({ from: ZEROS, fastForward: false }), []],
    ['that rewrites it is refused', move({ fastForward: false }), ['staging-history']],
    [
      'that began before it moved is told so',
      move({ claimedFrom: oidOf('before'), fastForward: false }),
      ['staging-history'],
    ],
    ['that contains what it moved to is left to git', move({ claimedFrom: oidOf('before') }), []],
    [
      'that deletes it is refused',
      move({ to: ZEROS, objectType: 'missing', fastForward: false }),
      ['staging-history'],
    ],
    [
      'that puts a tag there is refused',
      move({ objectType: 'tag', fastForward: false }),
      ['staging-history'],
    ],
    [
      'that puts a tree there is refused',
      move({ objectType: 'tree', fastForward: false }),
      ['staging-history'],
    ],
    [
      'that creates it at a tag is refused',
      move({ from: ZEROS, objectType: 'tag', fastForward: false }),
      ['staging-history'],
    ],
    [
      'that puts nothing there is refused',
      move({ objectType: 'missing', fastForward: false }),
      ['staging-history'],
    ],
  ] as [string, StagingMove, string[]][])('%s', ([, facts, expected]) => {
    expect(rules(facts)).toEqual(expected)
  })
})

describe('a change of the release log', () => {
  const file = (name: string, mode = '100644'): LogVersion => ({ mode, blob: oidOf(name) })
  const step = (before: LogVersion, after: LogVersion, append: boolean): LogStep => ({
    commit: NEW,
    before,
    after,
    append,
  })
  const steps = (...list: LogStep[]) => move({ releaseLog: { path: 'docs/RELEASE_LOG.md', steps: list } })
  const short = NEW.slice(0, 7)

  test.for([
    ['that appends is allowed', step(file('a'), file('b'), true)],
    ['that creates it is allowed', step(null, file('a'), true)],
    ['that creates it executable is allowed', step(null, file('a', '100755'), true)],
    ['that leaves it away is allowed where it never was', step(null, null, true)],
  ] as [string, LogStep][])('%s', ([, change]) => {
    expect(rules(steps(change))).toEqual([])
  })

  test.for([
    ['that edits or shortens', step(file('a'), file('b'), false), 'edits or shortens'],
    ['that deletes or renames it', step(file('a'), null, true), 'deletes or renames'],
    ['that changes its mode', step(file('a'), file('a', '100755'), true), 'changes the mode of'],
    [
      'that makes a symbolic link of it',
      step(file('a'), file('b', '120000'), true),
      'makes something else than a file of',
    ],
    [
      'that makes a submodule of it',
      step(file('a'), file('b', '160000'), true),
      'makes something else than a file of',
    ],
    [
      'that makes a folder of it',
      step(file('a'), file('b', '40000'), true),
      'makes something else than a file of',
    ],
    [
      'that creates it as a symbolic link',
      step(null, file('b', '120000'), true),
      'makes something else than a file of',
    ],
  ] as [string, LogStep, string][])('%s is refused', ([, change, what]) => {
    expect(rules(steps(change))).toEqual(['log-append-only'])
    expect(found(steps(change))).toEqual([`${short} ${what} docs/RELEASE_LOG.md`])
  })

  test('that nobody can read for sure is refused, with the reason', () => {
    const unclear = { ...step(file('a'), null, false), unclear: 'a tree object has two entries of one name' }
    expect(found(steps(unclear))).toEqual([
      `${short} has a docs/RELEASE_LOG.md that cannot be judged: a tree object has two entries of one name`,
    ])
  })

  test('is refused for any commit on the way, although the last one repairs it', () => {
    const bad = step(file('a'), file('b'), false)
    const good = step(file('b'), file('c'), true)
    expect(rules(steps(good, bad, good))).toEqual(['log-append-only'])
  })

  test('is told once for a commit, and for at most five', () => {
    const bad = step(file('a'), file('b'), false)
    expect(found(steps(bad, bad))).toHaveLength(1)
    const many = Array.from({ length: 20 }, (_, index) => ({ ...bad, commit: oidOf(`${index}`) }))
    expect(found(steps(...many))).toHaveLength(5)
  })

  test('is told beside a rewrite of main', () => {
    const facts = { ...steps(step(file('a'), null, false)), fastForward: false }
    expect(rules(facts)).toEqual(['staging-history', 'log-append-only'])
  })
})
