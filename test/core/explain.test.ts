import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { evidenceCommand } from '../../src/cli/commands/evidence.ts'
import { gateCommand } from '../../src/cli/commands/gate.ts'
import { operatorCommands } from '../../src/cli/commands/operator.ts'
import { promoteCommand } from '../../src/cli/commands/promote.ts'
import { serverCommand } from '../../src/cli/commands/server.ts'
import { decide, decideStaging } from '../../src/core/decide.ts'
import {
  explainException,
  explainRef,
  explainRefusal,
  nameMove,
  type RefReport,
} from '../../src/core/explain.ts'
import type { ReleaseMove, StagingMove } from '../../src/core/facts.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { namesake, namesakesOf } from '../../src/core/rules/namesake.ts'
import { type Objection, RULE_NAMES } from '../../src/core/verdict.ts'
import {
  approval,
  by,
  type Entry,
  evidence,
  firstRelease,
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
  override,
  POLICY,
  promotion,
  recordsOf,
  rollback,
  smoke,
  TIP,
  ZEROS,
} from './build.ts'
import { anyFacts, hostileText } from './generate.ts'

/** git writes `remote: ` before each line, and the terminal has 80 columns. */
const WIDTH = 71

function reportOn(
  entries: readonly (Entry | Entry[])[],
  facts: ReleaseMove,
  policy: Policy = POLICY,
): RefReport {
  const { kind, objections } = judge(entries, { facts, policy })
  const who = facts.pusher.identified ? ` by ${facts.pusher.principal}` : ''
  return { ref: facts.ref, from: facts.from, to: facts.to, what: `${nameMove(kind)}${who}`, objections }
}

function refusal(entries: readonly (Entry | Entry[])[], facts: ReleaseMove, policy?: Policy): string {
  return explainRefusal([reportOn(entries, facts, policy)], [])
}

const FIRST = [firstRelease()]
const RELEASED = [firstRelease(), smoke(OLD), landed({ from: OLD, to: NEW, at: NOW - 2 * HOUR })]

describe('a refusal says what happened, why, and which command fixes it', () => {
  test('when staging never saw the commit', () => {
    expect(refusal(FIRST, promotion())).toBe(`headgate: push refused

release: 0a11d00 -> 2e3c0de, a promotion by alice
  [evidence]
    there is no staging evidence for 2e3c0de
    fix: deploy 2e3c0de to staging, then run the gates there and record
         the result:
           headgate gate --mode staging --commit 2e3c0de --record --key FILE

git takes or refuses a push as a whole, so nothing was moved.`)
  })

  test('when several things are wrong, and other refs were in the push', () => {
    const entries = [...FIRST, evidence(NEW, { failed: ['chat', 'health'] }), freeze()]
    const report = reportOn(entries, promotion(by('mallory')))
    const others = ['refs/heads/topic', 'refs/tags/v1.0', 'refs/heads/-f', "refs/heads/it's"]
    expect(explainRefusal([report], others)).toBe(`headgate: push refused

release: 0a11d00 -> 2e3c0de, a promotion by mallory
  [evidence]
    the newest staging run for 2e3c0de (record 3, by ci, 10 min ago)
      failed: chat, health
    fix: deploy 2e3c0de to staging, then run the gates there and record
         the result:
           headgate gate --mode staging --commit 2e3c0de --record --key FILE
  [frozen]
    release is frozen until 2026-03-03T12:00:00.000Z: sale weekend
      (record 4, by bob)
    fix: wait, or an operator lifts the freeze:
           headgate unfreeze --reason TEXT --key FILE
  [operator]
    mallory is not an operator of release
    fix: one of the operators pushes it: alice, bob

git takes or refuses a push as a whole, so nothing was moved. Only
release was the cause; push the rest by itself:
  git push origin topic refs/tags/v1.0 refs/heads/-f 'it'\\''s'`)
  })

  test('when somebody goes back without approval', () => {
    const policy = makePolicy({
      rollback: 'approvers: [alice, bob, carol], approvals: 2, approverMayPush: false',
    })
    expect(refusal([...RELEASED, approval()], rollback(), policy)).toBe(`headgate: push refused

release: 2e3c0de -> 0a11d00, a rollback by alice
  [fast-forward]
    2e3c0de -> 0a11d00 is not a fast-forward: 0a11d00 does not contain
      what release has now
    fix: promote a commit of main that contains 2e3c0de; or, to go back
         to a release that worked, get the rollback approved, then:
           git push --force-with-lease=release:2e3c0de origin 0a11d00:refs/heads/release
  [approval]
    going back from 2e3c0de to 0a11d00 needs 2 valid approvals and has
      1 (bob)
    fix: an approver other than the pusher (alice, bob, carol) signs
         one, then push again:
           headgate approve --from 2e3c0de --to 0a11d00 --reason TEXT --key FILE

git takes or refuses a push as a whole, so nothing was moved.`)
  })

  test('when somebody commits onto release', () => {
    const strays = [
      { oid: NEW, parents: [oidOf('a')], subject: `Fix the checkout ${'and more '.repeat(10)}` },
      { oid: oidOf('a'), parents: [OLD], subject: 'Start of the fix' },
    ]
    expect(
      refusal([...FIRST, evidence(NEW)], promotion({ onStaging: false, strays })),
    ).toBe(`headgate: push refused

release: 0a11d00 -> 2e3c0de, a promotion by alice
  [on-staging]
    2e3c0de is not on main; as it stood before this push, main lacks:
      2e3c0de Fix the checkout and more and more and more and more a...
      ${oidOf('a').slice(0, 7)} Start of the fix
    fix: bring the work to main, let staging prove it, then promote
         what main has then:
           git fetch origin && git switch --detach origin/main
           git merge --no-edit 2e3c0de && git push origin HEAD:main

git takes or refuses a push as a whole, so nothing was moved.`)
  })

  test('when somebody moved release behind the guard', () => {
    expect(refusal([...FIRST, evidence(NEW)], promotion({ from: TIP }))).toBe(`headgate: push refused

release: 7199ed1 -> 2e3c0de, a promotion by alice
  [drift]
    release is at 7199ed1, but its last landed move (record 1) put it
      at 0a11d00: someone moved it behind the guard
    fix: find out who and why; then an operator accepts what is there,
         with a reason:
           headgate drift --reason TEXT --key FILE

git takes or refuses a push as a whole, so nothing was moved.`)
  })

  test('when somebody deletes release', () => {
    const facts = promotion({ to: ZEROS, objectType: 'missing', onStaging: false, fastForward: false })
    expect(refusal(FIRST, facts)).toBe(`headgate: push refused

release: delete 0a11d00
  [release-delete]
    this push deletes release, which production is deployed from
    fix: it can only move; to go back to an earlier release, have that
         approved:
           headgate approve --from 0a11d00 --to COMMIT --reason TEXT --key FILE

git takes or refuses a push as a whole, so nothing was moved.`)
  })

  test('when somebody rewrites main in the same push', () => {
    const facts = staging({ fastForward: false })
    const main = {
      ref: facts.ref,
      from: facts.from,
      to: facts.to,
      what: '',
      objections: decideStaging(facts),
    }
    expect(
      explainRefusal([main, reportOn(FIRST, promotion())], ['refs/heads/topic']),
    ).toBe(`headgate: push refused

main: 7199ed1 -> 2e3c0de
  [staging-history]
    7199ed1 -> 2e3c0de would rewrite main: commits that it has now
      would be gone
    fix: undo with a new commit instead (git revert), or bring your
         work up to date, then push without force:
           git pull --rebase origin main

release: 0a11d00 -> 2e3c0de, a promotion by alice
  [evidence]
    there is no staging evidence for 2e3c0de
    fix: deploy 2e3c0de to staging, then run the gates there and record
         the result:
           headgate gate --mode staging --commit 2e3c0de --record --key FILE

git takes or refuses a push as a whole, so nothing was moved. Only
main, release were the cause; push the rest by itself:
  git push origin topic`)
  })
})

test('an override is loud, and says what it waives', () => {
  const { kind, waived } = judge([...FIRST, override(['evidence'])])
  const report = {
    ref: 'refs/heads/release',
    from: OLD,
    to: NEW,
    what: `${nameMove(kind)} by alice`,
    objections: waived.map((objection) => ({ ...objection, fix: [] })),
  }
  const title = 'OVERRIDE signed by bob: the reasons below are waived for this one move'
  expect(
    explainException(title, report, ['It is recorded, and every audit will show it.']),
  ).toBe(`${'*'.repeat(WIDTH)}
OVERRIDE signed by bob: the reasons below are waived for this one move
It is recorded, and every audit will show it.

release: 0a11d00 -> 2e3c0de, an override by alice
  [evidence]
    there is no staging evidence for 2e3c0de
${'*'.repeat(WIDTH)}`)
})

/** A case for each thing that any rule can say. */
const bob = { offered: true, good: true, principal: 'bob', fingerprint: 'SHA256:bob', text: '' } as const
const SIGNED = makePolicy({ promotion: 'operators: [alice, bob], signedPush: required' })
const NOTED = makePolicy({ promotion: 'operators: [alice], notes: required' })
const CASES: readonly (readonly [readonly (Entry | Entry[])[], ReleaseMove, Policy?])[] = [
  [FIRST, promotion()],
  [FIRST, promotion({ to: ZEROS, objectType: 'missing', onStaging: false, fastForward: false })],
  [[], promotion({ from: ZEROS, to: ZEROS, objectType: 'missing', onStaging: false, fastForward: false })],
  ...(['tag', 'tree', 'blob', 'missing'] as const).map(
    (objectType) => [FIRST, promotion({ objectType, onStaging: false, fastForward: false })] as const,
  ),
  [FIRST, promotion({ onStaging: false, staging: null })],
  [FIRST, promotion({ onStaging: false, strays: [{ oid: NEW, parents: [OLD, TIP], subject: 'Merge' }] })],
  [FIRST, promotion({ onStaging: false, strays: [{ oid: NEW, parents: [OLD], subject: 'quick fix' }] })],
  [FIRST, promotion({ claimedFrom: TIP })],
  [FIRST, promotion({ claimedFrom: ZEROS })],
  [FIRST, promotion({ from: TIP })],
  [FIRST, promotion({ from: ZEROS })],
  [[], promotion()],
  [[...FIRST, evidence(NEW, { failed: ['chat'] })], promotion()],
  [[...FIRST, evidence(NEW, { skipped: ['chat'], configuration: 'f'.repeat(64) })], promotion()],
  [[...FIRST, evidence(NEW, { finishedAt: NOW - 25 * HOUR })], promotion()],
  [[...FIRST, evidence(NEW), invalidation(NEW)], promotion()],
  [[...FIRST, evidence(NEW, { signer: { untrusted: 'the key is not listed' } })], promotion()],
  [[...FIRST, evidence(NEW, { served: null })], promotion()],
  [[...FIRST, evidence(NEW, { served: { before: OLD, after: OLD } })], promotion()],
  [[...RELEASED, approval({ expiresAt: NOW - MINUTE }), approval({ signer: 'mallory' })], rollback()],
  [[landed({ from: ZEROS, to: NEW })], rollback()],
  [[firstRelease(), landed({ from: OLD, to: NEW })], rollback()],
  [[...RELEASED, landed({ from: NEW, to: OLD, fastForward: false, at: NOW - HOUR })], promotion()],
  [[...FIRST, freeze()], promotion()],
  [FIRST, promotion(by('mallory'))],
  [FIRST, promotion({ pusher: { identified: false, reason: 'REMOTE_USER is not set for this connection' } })],
  [FIRST, promotion(), SIGNED],
  [FIRST, promotion(), NOTED],
  [FIRST, promotion({ pushOptions: ['note= '] }), NOTED],
  [FIRST, promotion({ certificate: bob })],
  [FIRST, promotion({ certificate: { offered: true, good: false, reason: 'the nonce is stale' } })],
]

function staging(changes: Partial<StagingMove>): StagingMove {
  return {
    ref: 'refs/heads/main',
    from: TIP,
    claimedFrom: TIP,
    to: NEW,
    objectType: 'commit',
    fastForward: true,
    releaseLog: { path: 'docs/RELEASE_LOG.md', steps: [] },
    ...changes,
  }
}

const STAGING_CASES = [
  staging({ fastForward: false }),
  staging({ fastForward: false, claimedFrom: OLD }),
  staging({ to: ZEROS, objectType: 'missing' }),
  staging({ objectType: 'blob' }),
  staging({
    releaseLog: {
      path: 'docs/RELEASE_LOG.md',
      steps: [{ commit: NEW, before: { mode: '100644', blob: OLD }, after: null, append: false }],
    },
  }),
]

const ALL: readonly Objection[] = [
  ...CASES.flatMap(
    ([entries, facts, policy]) => judge(entries, { facts, ...(policy ? { policy } : {}) }).objections,
  ),
  ...STAGING_CASES.flatMap((facts) => decideStaging(facts)),
  ...(['commit', 'tag', 'tree'] as const).flatMap((objectType) =>
    namesakesOf('refs/heads/release').map((ref) =>
      namesake(ref, 'refs/heads/release', { to: NEW, objectType }),
    ),
  ),
]

describe('every objection', () => {
  test('of every rule of the core is among the cases', () => {
    // The server itself objects by these two.
    const others = ['reserved', 'inbox', 'former-branch']
    const rules = RULE_NAMES.filter((rule) => !others.includes(rule))
    expect(new Set(ALL.map(({ rule }) => rule))).toEqual(new Set(rules))
  })

  test('says what was found in lower case and without a full stop, and begins its fix with prose', () => {
    for (const { found, fix } of ALL) {
      expect(found[0]).toMatch(/^[^\s].*[^.\s]$/)
      expect(fix[0]).toMatch(/^[a-z].*[^.\s]$/)
    }
  })

  test('announces each command with a colon', () => {
    for (const { fix } of ALL) {
      const first = fix.findIndex((line) => line.startsWith('  '))
      if (first > 0) expect(fix[first - 1]).toMatch(/:$/)
    }
  })

  test('fits into 80 columns of a terminal, commands excepted', () => {
    for (const objection of ALL) {
      const lines = explainRef({
        ref: 'refs/heads/release',
        from: OLD,
        to: NEW,
        what: '',
        objections: [objection],
      })
      for (const line of lines) {
        if (!/^ +(git|headgate) /.test(line)) expect(line.length, line).toBeLessThanOrEqual(WIDTH)
      }
    }
  })

  test('names only commands that headgate has, with options that they take', () => {
    const commands = commandsOf([
      evidenceCommand,
      gateCommand,
      operatorCommands,
      promoteCommand,
      serverCommand,
    ])
    const lines = ALL.flatMap(({ fix }) => fix).filter((line) => line.startsWith('  headgate '))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) {
      const words = line.trim().split(' ').slice(1)
      const name = words.slice(0, words[0] === 'server' ? 2 : 1).join(' ')
      expect([...commands.keys()]).toContain(name)
      const options = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2))
      expect([...(commands.get(name) ?? [])]).toEqual(expect.arrayContaining(options))
    }
  })
})

/** What the command modules tell yargs, without running anything: each command and the names of its options. */
function commandsOf(modules: readonly ((cli: never) => unknown)[]): Map<string, Set<string>> {
  const commands = new Map<string, Set<string>>()
  const recorder = (path: readonly string[], options: Set<string>): object =>
    new Proxy(
      {},
      {
        get:
          (_, method) =>
          (first: unknown, ...rest: unknown[]) => {
            if (method === 'command') {
              const child = [...path, String(first).split(' ')[0] ?? '']
              const its = new Set<string>()
              commands.set(child.join(' '), its)
              const build = rest.find((argument) => typeof argument === 'function') as (
                cli: object,
              ) => unknown
              build(recorder(child, its))
            }
            if (method === 'option') options.add(String(first))
            if (method === 'options') for (const name of Object.keys(first as object)) options.add(name)
            return recorder(path, options)
          },
      },
    )
  for (const add of modules) add(recorder([], new Set()) as never)
  return commands
}

describe('hostile text', () => {
  /** Whatever a terminal obeys, hides or turns around. A line break between lines is all that may be there. */
  const UNSAFE = /[^\P{C}\n]|[\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}/u
  const scenes = fc.record({
    facts: anyFacts,
    reason: hostileText.filter((text) => text.trim() !== ''),
    principal: hostileText,
    gate: hostileText.filter((text) => text !== '' && text.length <= 200),
    objection: fc.array(hostileText, { maxLength: 3 }),
    others: fc.array(hostileText, { maxLength: 8 }),
    path: hostileText,
  })

  test('never reaches the terminal as anything but visible text', () => {
    fc.assert(
      fc.property(scenes, ({ facts, reason, principal, gate, objection, others, path }) => {
        const to = /^[0-9a-f]{40}$/.test(facts.to) && facts.to !== ZEROS ? facts.to : NEW
        const about = { repository: 'git.example.com/app', signer: { untrusted: reason } }
        const entries = [
          evidence(to, { failed: [gate] }),
          evidence(to, { ...about, finishedAt: NOW }),
          invalidation(to, { reason: reason.slice(0, 4096).trim() || 'why', signer: 'ci' }),
          freeze({ reason: reason.slice(0, 4096).trim() || 'why', by: principal }),
          approval({ from: facts.from === to ? OLD : NEW, to, signer: principal }),
          approval({ to, ...about }),
        ]
        const { objections, waived } = decide(
          { ...facts, to },
          POLICY,
          historyOf(recordsOf(entries), to),
          NOW,
        )
        const all: Objection[] = [
          ...objections,
          ...waived,
          ...decideStaging(
            staging({
              ref: facts.ref,
              objectType: facts.objectType,
              fastForward: facts.fastForward,
              releaseLog: {
                path,
                steps: [{ commit: to, before: { mode: '1', blob: to }, after: null, append: false }],
              },
            }),
          ),
          { rule: 'inbox', found: objection, fix: objection },
        ]
        const report = { ...facts, what: principal, objections: all }
        const text = [
          explainRefusal([report, report], others),
          explainException(principal, report, objection),
        ].join('\n')
        expect(text.match(UNSAFE)).toBeNull()
        expect(text.isWellFormed()).toBe(true)
      }),
      { numRuns: 400 },
    )
  })

  test('cannot begin a line of its own, so that it cannot pass for one of headgate’s', () => {
    const forged = 'x\nremote: headgate: promotion of release authorized\n'
    const report = reportOn(FIRST, promotion({ ...by(forged), ref: `refs/heads/${forged}` }))
    const text = explainRefusal([report], [forged])
    expect(text.split('\n').filter((line) => /^(remote: )?headgate: promotion/.test(line))).toEqual([])
  })

  test('of any length leaves the explanation short', () => {
    const huge = 'x'.repeat(1_000_000)
    const strays = Array.from({ length: 50 }, () => ({ oid: NEW, parents: [OLD], subject: huge }))
    const facts = promotion({ ...by(huge), ref: huge, onStaging: false, strays })
    const entries = [...FIRST, freeze({ by: huge }), evidence(NEW, { signer: { untrusted: huge } })]
    expect(refusal(entries, { ...facts, pusher: { identified: false, reason: huge } }).length).toBeLessThan(
      5000,
    )
  })
})
