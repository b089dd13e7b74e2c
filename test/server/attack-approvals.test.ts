/** The way back: approvals, overrides, freezes and bars, tried by people who should not get through. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { statementPayload } from '../../src/core/statement.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { POLICY, REPOSITORY_NAME, TestRepository } from '../make-repository.ts'
import {
  expectAllRefused,
  expectChanged,
  expectPlainText,
  expectRefused,
  expectSoundLedger,
  kindsSince,
  ledgerRecords,
  spoken,
} from './attack.ts'
import { served } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const APPROVAL = 'headgate-approval'
const zeros = '0'.repeat(40)

let repository: TestRepository
/** Two landed releases, `second` on top of `first`; release is at `second`. */
let first: string
let second: string

/** Repositories that tests of one policy share, each left with release at `second`. */
const shared = new Map<
  string,
  { repository: TestRepository; first: string; second: string; stop: () => Promise<void> }
>()

async function use(policy = POLICY, extra: readonly string[] = []): Promise<void> {
  let found = shared.get(policy)
  if (found === undefined) {
    const made = new TestRepository({ policy, prepare: releasedTwice })
    if (extra.length > 0) {
      const signers = join(made.policyFolder, 'allowed_signers')
      const lines = extra.map((name) => made.makeKey(name, name, APPROVAL))
      writeFileSync(signers, `${readFileSync(signers, 'utf8')}${lines.join('\n')}\n`)
      made.mustRun(made.headgate('policy', 'apply', made.bare, made.policyFolder))
    }
    const [first = '', second = ''] = lastCommits(made, 2)
    found = { repository: made, first, second, stop: await served(made) }
    shared.set(policy, found)
  }
  ;({ repository, first, second } = found)
}

beforeEach(() => use())
afterEach(() => {
  expectSoundLedger(repository)
})
afterAll(async () => {
  for (const one of shared.values()) {
    await one.stop()
    one.repository.remove()
  }
})

const approval = (from: string, to: string, key = 'bob', change: (predicate: any) => void = () => {}) =>
  repository.sign(repository.approvalPayload(from, to, change), key, APPROVAL)

const override = (
  from: string,
  to: string,
  waives: string[],
  options: { key?: string; change?: (predicate: any) => void } = {},
) => {
  const { predicate } = JSON.parse(repository.approvalPayload(from, to, options.change))
  const payload = statementPayload('override', REPOSITORY_NAME, to, { ...predicate, waives })
  return repository.sign(payload, options.key ?? 'alice', APPROVAL)
}

/** All of these in one push. */
const submit = (...envelopes: string[]) =>
  repository.mustRun(
    repository.push(
      envelopes.map((text) => repository.inboxRefspec(text)),
      { as: 'ci' },
    ),
  )
const back = (options: { as?: string; to?: string } = {}) =>
  repository.push(`+${options.to ?? first}:${RELEASE}`, options)

const NOT_APPROVED = ['approval', 'fast-forward']

/** Rolls back and comes forward again with fresh evidence, so that the next test finds release at `second`. */
async function rollBackAndReturn() {
  await expectChanged(repository, { [RELEASE]: first }, () => back())
  await comeBack()
}

async function comeBack() {
  // A run that began after the rollback: the bar asks for it, to the millisecond.
  await new Promise((resolve) => setTimeout(resolve, 5))
  const evidence = repository.sign(repository.evidencePayload(second), 'ci', 'headgate-evidence')
  await expectChanged(repository, { [RELEASE]: second }, () =>
    repository.push([repository.inboxRefspec(evidence), `${second}:${RELEASE}`]),
  )
}

describe('a rollback is refused', () => {
  test('without an approval', () => expectRefused(repository, NOT_APPROVED, () => back()))

  test('to a commit that never was a release, approved or not', async () => {
    const root = repository.git('rev-list', '--max-parents=0', 'main')
    submit(approval(second, root))
    await expectRefused(repository, ['fast-forward', 'known-good'], () => back({ to: root }))
  })

  test('with an approval for another way', async () => {
    const root = repository.git('rev-list', '--max-parents=0', 'main')
    submit(approval(first, second), approval(root, first), approval(second, root))
    await expectRefused(repository, NOT_APPROVED, () => back())
  })

  test('with an approval that was true of release yesterday', async () => {
    submit(approval(zeros, first))
    await expectRefused(repository, NOT_APPROVED, () => back())
  })

  test.each(['ci', 'mallory'])('with an approval by %s, whose key is not for that', async (key) => {
    await expectRefused(repository, ['inbox'], () => repository.submit(approval(second, first, key)))
    await expectRefused(repository, NOT_APPROVED, () => back())
  })

  test("with CI's approval in the namespace that CI may use", () =>
    expectRefused(repository, ['inbox'], () =>
      repository.submit(
        repository.sign(repository.approvalPayload(second, first), 'ci', 'headgate-evidence'),
      ),
    ))

  test('by a developer, however well approved', async () => {
    const envelope = approval(second, first)
    submit(envelope)
    await expectRefused(repository, ['operator'], () => back({ as: 'dave' }))
    await rollBackAndReturn()
  })

  test('without force: git itself asks for it', () =>
    expectRefused(repository, [], () => repository.push(`${first}:${RELEASE}`)))

  test('to the good commit by way of a merge, a tag or a revert', async () => {
    submit(approval(second, first))
    const revert = repository.git('commit-tree', `${first}^{tree}`, '-m', 'revert', '-p', second)
    await expectRefused(repository, ['evidence', 'on-staging'], () => repository.push(`${revert}:${RELEASE}`))
    repository.git('tag', '-f', '-a', '-m', 'x', 'good', first)
    await expectRefused(repository, ['commit-object'], () => repository.push(`+refs/tags/good:${RELEASE}`))
    await rollBackAndReturn()
  })
})

describe('an approval', () => {
  const hour = 3_600_000
  const iso = (ms: number) => new Date(Date.now() + ms).toISOString()
  const refusable: [string, (predicate: any) => void][] = [
    ['expired', (p) => (p.expiresAt = iso(-1000))],
    ['issued in an hour', (p) => (p.issuedAt = iso(hour))],
    ['for another branch', (p) => (p.ref = 'refs/heads/main')],
    ['for an alias of the branch', (p) => (p.ref = 'refs/heads/Release')],
    ['for a branch with escapes', (p) => (p.ref = 'refs/heads/\u001b[31m\u202e')],
    ['for a short name', (p) => (p.ref = 'release')],
    ['to nothing', (p) => (p.to = zeros)],
    ['from an abbreviated commit', (p) => (p.from = p.from.slice(0, 12))],
    ['to another commit than its subject', (p) => (p.to = p.from)],
    ['without a reason', (p) => (p.reason = ' \n\t')],
    ['without a nonce', (p) => delete p.nonce],
    ['with a short nonce', (p) => (p.nonce = '1')],
    ['without an end', (p) => delete p.expiresAt],
  ]
  test('that is of no use, or for something else, is refused at the inbox', () => {
    const refused = (name: string, change: (statement: any) => void) => {
      const statement = JSON.parse(repository.approvalPayload(second, first))
      change(statement)
      return { name, envelope: repository.sign(JSON.stringify(statement), 'bob', APPROVAL) }
    }
    return expectAllRefused(repository, [
      ...refusable.map(([name, change]) => refused(name, ({ predicate }) => change(predicate))),
      refused('for another repository', ({ subject }) => (subject[0].name = 'git.example.com/other')),
    ])
  })

  test('that was issued too long ago does not count, however far away its end', async () => {
    const old = (p: any) => (p.issuedAt = new Date(Date.now() - 2 * 3_600_000).toISOString())
    submit(approval(second, first, 'bob', old))
    const { all } = await expectRefused(repository, NOT_APPROVED, () => back())
    expect(spoken(all)).toContain('older than rollback.approvalMaxAge')
  })

  test('is used once: neither it nor a copy in another wrapping goes a second time', async () => {
    const payload = repository.approvalPayload(second, first)
    const envelope = repository.sign(payload, 'bob', APPROVAL)
    submit(envelope)
    await rollBackAndReturn()
    await expectRefused(repository, NOT_APPROVED, () => back())
    const count = ledgerRecords(repository).length
    const parsed = JSON.parse(envelope)
    submit(
      `${envelope}\n`,
      JSON.stringify({ ...parsed, signatures: [{ ...parsed.signatures[0], keyid: 'another' }] }),
      // Signed anew over the very same words.
      `${repository.sign(payload, 'bob', APPROVAL)} `,
    )
    expect(kindsSince(repository, count)).toEqual([])
    const { all } = await expectRefused(repository, NOT_APPROVED, () => back())
    expect(spoken(all)).toContain('has been used')
    await expectRefused(repository, NOT_APPROVED, () =>
      repository.push([repository.inboxRefspec(` ${envelope}`), `+${first}:${RELEASE}`]),
    )
  })

  test('may travel with the rollback, and is spent by it', async () => {
    const envelope = approval(second, first)
    const count = ledgerRecords(repository).length
    await expectChanged(repository, { [RELEASE]: first }, () =>
      repository.push([`+${first}:${RELEASE}`, repository.inboxRefspec(envelope)]),
    )
    expect(kindsSince(repository, count)).toEqual(['approval', 'authorization', 'landed'])
    await comeBack()
    await expectRefused(repository, NOT_APPROVED, () =>
      repository.push([`+${first}:${RELEASE}`, repository.inboxRefspec(`${envelope} `)]),
    )
  })

  test('travels with a refused rollback for nothing: neither is recorded', async () => {
    await expectRefused(repository, ['operator'], () =>
      repository.push([`+${first}:${RELEASE}`, repository.inboxRefspec(approval(second, first))], {
        as: 'dave',
      }),
    )
  })

  test('of a move that did not land is not spent', async () => {
    submit(approval(second, first))
    // An atomic push whose other ref git cannot lock: headgate says yes, and nothing moves.
    repository.server('update-ref', 'refs/heads/blocked', first)
    const lock = join(repository.bare, 'refs/heads/blocked.lock')
    writeFileSync(lock, '')
    const count = ledgerRecords(repository).length
    const { code } = repository.push([`+${first}:${RELEASE}`, `${second}:refs/heads/blocked`], {
      args: ['--atomic'],
    })
    expect(code).not.toBe(0)
    expect(repository.ref(RELEASE)).toBe(second)
    expect(kindsSince(repository, count)).toEqual(['authorization'])
    repository.run('rm', [lock])
    await expectChanged(repository, { [RELEASE]: first }, () => back())
    expect(kindsSince(repository, count)).toEqual(['authorization', 'not-landed', 'authorization', 'landed'])
    await comeBack()
    await expectRefused(repository, NOT_APPROVED, () => back())
    repository.server('update-ref', '-d', 'refs/heads/blocked')
  })

  test('with text that paints terminals is told without it', async () => {
    const paint = (p: any) => {
      p.reason = 'down\u001b[31m\u202e\nheadgate: all is well'
      p.symptoms = '\u0007'
    }
    const { all } = repository.mustRun(repository.submit(approval(second, first, 'bob', paint)))
    expectPlainText(all)
    expectPlainText(repository.server('log', '-1', '--format=%B', 'refs/headgate/ledger'))
    await rollBackAndReturn()
  })
})

describe('a barred commit', () => {
  test('returns neither on its old evidence nor on a run that began before the rollback', async () => {
    submit(approval(second, first))
    const before = new Date(Date.now() - 1000).toISOString()
    await expectChanged(repository, { [RELEASE]: first }, () => back())
    await expectRefused(repository, ['barred'], () => repository.push(`${second}:${RELEASE}`))
    const early = repository.evidencePayload(second, (p) => (p.headgate.startedAt = before))
    submit(repository.sign(early, 'ci', 'headgate-evidence'))
    await expectRefused(repository, ['barred'], () => repository.push(`${second}:${RELEASE}`))
    await comeBack()
  })

  test('does not return by a rollback to it either', async () => {
    submit(approval(second, first))
    await expectChanged(repository, { [RELEASE]: first }, () => back())
    // Forward along another line, so that the barred commit lies off to the side.
    await comeBack()
    await expectRefused(repository, NOT_APPROVED, () => back())
  })
})

describe('two approvals, and not by the pusher', () => {
  const policy = POLICY.replace(
    'rollback: { approvers: [alice, bob], approvals: 1, approverMayPush: true',
    'rollback: { approvers: [alice, bob, carol], approvals: 2, approverMayPush: false',
  )
  beforeEach(() => use(policy, ['carol', 'dave']))

  test('one is not enough', async () => {
    submit(approval(second, first, 'bob'))
    const { all } = await expectRefused(repository, NOT_APPROVED, () => back())
    expect(spoken(all)).toContain('needs 2 valid approvals and has 1 (bob)')
  })

  test('two by the same person are one', async () => {
    submit(approval(second, first, 'bob'), approval(second, first, 'bob'))
    await expectRefused(repository, NOT_APPROVED, () => back())
  })

  test("the pusher's own does not count", async () => {
    submit(approval(second, first, 'alice'))
    const { all } = await expectRefused(repository, NOT_APPROVED, () => back({ as: 'alice' }))
    expect(spoken(all)).toContain('alice')
  })

  test('one by somebody who may not approve is refused at the inbox', () =>
    expectRefused(repository, ['inbox'], () => repository.submit(approval(second, first, 'dave'))))

  test('one envelope with two signatures is one approval', async () => {
    const payload = repository.approvalPayload(second, first)
    const envelopes = ['bob', 'carol'].map((key) => JSON.parse(repository.sign(payload, key, APPROVAL)))
    const signatures = envelopes.flatMap((envelope) => envelope.signatures)
    repository.submit(JSON.stringify({ ...envelopes[0], signatures }))
    await expectRefused(repository, NOT_APPROVED, () => back())
  })

  test('two people are enough', async () => {
    submit(approval(second, first, 'carol'))
    await expectChanged(repository, { [RELEASE]: first }, () => back({ as: 'alice' }))
    await comeBack()
    await expectRefused(repository, NOT_APPROVED, () => back({ as: 'alice' }))
  })

  // Signing the same file one after the other is the obvious way to approve with four eyes.
  test('two people who sign the very same statement are two', async () => {
    const payload = repository.approvalPayload(second, first)
    const bobs = repository.sign(payload, 'bob', APPROVAL)
    submit(bobs, `${bobs}\n`)
    await expectRefused(repository, NOT_APPROVED, () => back({ as: 'alice' }))
    submit(repository.sign(payload, 'carol', APPROVAL))
    await expectChanged(repository, { [RELEASE]: first }, () => back({ as: 'alice' }))
    await comeBack()
    await expectRefused(repository, NOT_APPROVED, () => back({ as: 'alice' }))
  })
})

describe('an override', () => {
  const direct = () =>
    repository.git('commit-tree', 'main^{tree}', '-m', `direct ${Math.random()}`, '-p', second)

  const UNWAIVABLE = [
    'operator',
    'drift',
    'release-delete',
    'commit-object',
    'reserved',
    'inbox',
    'log-append-only',
    'staging-history',
  ]
  const NO_RULES = ['everything', '*', '', 'Evidence', 'evidence ', '__proto__', '\u001b[31mevidence']

  test('waives neither what nobody may waive nor what is no rule, and is not for CI or strangers', () =>
    expectAllRefused(repository, [
      ...UNWAIVABLE.map((name) => ({
        name,
        envelope: override(second, first, [name]),
        reason: `the rule ${name} cannot be waived`,
      })),
      ...NO_RULES.map((name) => ({ name, envelope: override(second, first, ['evidence', name]) })),
      ...['ci', 'mallory'].map((key) => ({
        name: `by ${key}`,
        envelope: override(second, first, ['evidence'], { key }),
      })),
    ]))

  test('waives only what it names', async () => {
    const target = repository.commit('unproved')
    repository.mustRun(repository.push('main'))
    submit(override(second, target, ['served-commit', 'barred', 'frozen', 'approval']))
    await expectRefused(repository, ['evidence'], () => repository.push(`${target}:${RELEASE}`))
  })

  test('does not make a developer an operator', async () => {
    const target = repository.git('rev-parse', 'main')
    submit(override(second, target, ['evidence']))
    await expectRefused(repository, ['operator'], () =>
      repository.push(`${target}:${RELEASE}`, { as: 'dave' }),
    )
  })

  test('holds for one exact move', async () => {
    const other = direct()
    const target = direct()
    repository.mustRun(repository.push(`${target}:refs/heads/side`))
    submit(override(second, target, ['evidence', 'on-staging']))
    await expectRefused(repository, ['evidence', 'on-staging'], () => repository.push(`${other}:${RELEASE}`))
    submit(override(first, target, ['evidence', 'on-staging']))
  })

  test('is short-lived', async () => {
    const target = direct()
    repository.mustRun(repository.push(`+${target}:refs/heads/side`))
    await expectRefused(repository, ['inbox'], () =>
      repository.submit(
        override(second, target, ['evidence'], { change: (p) => (p.expiresAt = p.issuedAt) }),
      ),
    )
    const old = (p: any) => (p.issuedAt = new Date(Date.now() - 2 * 3_600_000).toISOString())
    repository.submit(override(second, target, ['evidence', 'on-staging'], { change: old }))
    await expectRefused(repository, ['evidence', 'on-staging'], () => repository.push(`${target}:${RELEASE}`))
  })

  test('is loud, lands once, and not a second time', async () => {
    submit(
      override(second, first, ['fast-forward', 'approval'], {
        change: (p) => (p.reason = 'on fire\u001b[5m'),
      }),
    )
    const count = ledgerRecords(repository).length
    const { all } = await expectChanged(repository, { [RELEASE]: first }, () => back())
    expect(all).toContain('OVERRIDE')
    expectPlainText(all)
    const [authorization] = ledgerRecords(repository).slice(count)
    expect(authorization?.predicate['urn:headgate:move'].kind).toBe('override')
    expect(
      authorization?.predicate['urn:headgate:move'].objections.map((one: any) => one.rule).sort(),
    ).toEqual(['approval', 'fast-forward'])
    expect(authorization?.predicate.verificationResult).toBe('PASSED')
    await comeBack()
    await expectRefused(repository, NOT_APPROVED, () => back())
  })

  test('does not call a commit proved that it let through', async () => {
    await use(`${POLICY}# a repository of its own\n`)
    const target = repository.commit('unproved, on fire')
    repository.mustRun(repository.push('main'))
    submit(override(second, target, ['evidence']))
    const count = ledgerRecords(repository).length
    await expectChanged(repository, { [RELEASE]: target }, () => repository.push(`${target}:${RELEASE}`))
    expect(ledgerRecords(repository)[count]?.predicate.verifiedLevels).toEqual([])
    const next = repository.commit('and on from there')
    repository.mustRun(repository.push('main'))
    await expectRefused(repository, ['evidence'], () => repository.push(`${next}:${RELEASE}`))
  })
})

describe('a freeze', () => {
  const freeze = (untilMs: number, issuedMs = 0, key = 'alice', reason = 'the night of the launch') => {
    const iso = (ms: number) => new Date(Date.now() + ms).toISOString()
    const predicate = { until: iso(untilMs), reason, issuedAt: iso(issuedMs) }
    return repository.sign(statementPayload('freeze', REPOSITORY_NAME, second, predicate), key, APPROVAL)
  }
  beforeEach(() => use(`${POLICY}# frozen now and then\n`))

  test('is not for CI, strangers or people who are no operators', async () => {
    for (const key of ['ci', 'mallory']) {
      await expectRefused(repository, ['inbox'], () => repository.submit(freeze(60_000, 0, key)))
    }
  })

  test('stops promotions, also one in the same push, and leaves the way back open', async () => {
    const target = repository.commit('proved, frozen out')
    repository.pushProved(target)
    const unfreeze = freeze(-1000, -1000)
    const frozen = freeze(3_600_000, 0, 'alice', 'launch\u001b[31m\u202e')
    await expectRefused(repository, ['frozen'], () =>
      repository.push([repository.inboxRefspec(frozen), `${target}:${RELEASE}`]),
    )
    submit(frozen)
    const { all } = await expectRefused(repository, ['frozen'], () => repository.push(`${target}:${RELEASE}`))
    expectPlainText(all)
    // An end of the freeze that was signed before it, and is delivered late, ends nothing.
    repository.submit(unfreeze)
    await expectRefused(repository, ['frozen'], () => repository.push(`${target}:${RELEASE}`))
    submit(approval(second, first))
    await expectChanged(repository, { [RELEASE]: first }, () => back())
    await expectRefused(repository, ['frozen', 'barred'], () => repository.push(`${second}:${RELEASE}`))
    submit(freeze(10, 10))
    submit(frozen.replace('{', '{ '))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await comeBack()
  })

  test('may be waived by an override, and stays for everything else', async () => {
    submit(freeze(3_600_000, 50))
    const target = repository.git('rev-parse', 'main')
    repository.prove(target)
    submit(override(second, target, ['frozen']))
    await expectRefused(repository, ['operator'], () =>
      repository.push(`${target}:${RELEASE}`, { as: 'dave' }),
    )
    await expectChanged(repository, { [RELEASE]: target }, () => repository.push(`${target}:${RELEASE}`))
    const next = repository.commit('after the exception')
    repository.pushProved(next)
    await expectRefused(repository, ['frozen'], () => repository.push(`${next}:${RELEASE}`))
  })
})
