/** Closing an authorization that did not land, while the branch moves under whoever closes it. */

import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GuardedRepository, openGuarded, viewServer } from '../../server/guarded-repository.ts'
import { closePending, isFresh, landedMoves, pendingMove } from '../../server/settle.ts'
import type { ReleaseMove } from '../../src/core/facts.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import type { MoveVerdict } from '../../src/core/verdict.ts'
import type { ServerView } from '../../src/guard/guarded-view.ts'
import { authorizationRecord, type StatementContext } from '../../src/guard/server-statements.ts'
import { TestRepository } from '../make-repository.ts'
import { ledgerRecords } from './attack.ts'

const RELEASE = 'refs/heads/release'

let repository: TestRepository
let guarded: GuardedRepository
let target: string

beforeEach(async () => {
  repository = new TestRepository()
  const from = repository.release('first')
  target = repository.commit('second')
  repository.mustRun(repository.push('main'))
  guarded = await openGuarded(repository.bare, async (text) => parsePolicy(text))
  // An authorization that no process follows.
  const facts: ReleaseMove = {
    ref: RELEASE,
    from,
    claimedFrom: from,
    to: target,
    objectType: 'commit',
    staging: target,
    onStaging: true,
    broughtBack: [],
    strays: [],
    fastForward: true,
    pusher: { identified: true, principal: 'alice', source: 'env:REMOTE_USER' },
    certificate: { offered: false },
    pusherKeys: [],
    pushOptions: [],
  }
  const verdict: MoveVerdict = {
    verdict: 'allowed',
    kind: 'promotion',
    inputs: [],
    approvedBy: [],
    objections: [],
    waived: [],
  }
  const view = await viewServer(guarded)
  const record = authorizationRecord(contextOf(view), facts, verdict, true)
  expect((await guarded.ledger.append(view.snapshot.head, [record])).kind).toBe('appended')
})
afterEach(() => {
  guarded.close()
  repository.remove()
})

function contextOf({ inForce }: ServerView): StatementContext {
  if (inForce === null) throw new Error('a policy is in force')
  return { sealKey: guarded.sealKey, inForce, at: new Date().toISOString(), by: 'server' }
}

async function close(meanwhile: () => void) {
  const view = await viewServer(guarded)
  const move = pendingMove(view, RELEASE)
  if (move === undefined) throw new Error('it is open')
  meanwhile()
  return closePending(guarded, view, move, contextOf(view))
}

function moveTo(target: string): void {
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', RELEASE, target)
}

test('one whose time is still to come, since a clock was set back, is waited for, and not for ever', async () => {
  const pending = pendingMove(await viewServer(guarded), RELEASE)
  if (pending === undefined) throw new Error('there is one')
  const at = Date.parse(pending.at)
  expect(isFresh(pending, at - 2_000, 1)).toBe(true)
  expect(isFresh(pending, at - 7_200_000, 1)).toBe(true)
  expect(isFresh(pending, at - 7_200_000, 10)).toBe(false)
  expect(isFresh(pending, at - 7_200_000)).toBe(false)
})

test('a branch that has come to its target meanwhile is never recorded as not landed', async () => {
  const count = ledgerRecords(repository).length

  expect(await close(() => moveTo(target))).toBe('stale')

  expect(ledgerRecords(repository)).toHaveLength(count)
  const view = await viewServer(guarded)
  expect(pendingMove(view, RELEASE)).toBeUndefined()
  expect(landedMoves(view).map(({ to }) => to)).toEqual([target])
})

test('a branch that is where it was is recorded as not landed, where it was seen', async () => {
  const before = repository.ref(RELEASE)

  expect(await close(() => {})).toBe('closed')

  expect(ledgerRecords(repository).at(-1)?.predicate).toMatchObject({
    result: 'not-landed',
    observed: before,
  })
})
