/** What a clone can know of the server's verdict, and what it must leave open. */

import { expect, onTestFinished, test } from 'vitest'
import type { LedgerState } from '../../src/core/state.ts'
import { type ForesightOptions, foreseeRelease, foreseeStaging } from '../../src/guard/foresee.ts'
import type { RemoteView } from '../../src/guard/guarded-view.ts'
import { parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import type { Snapshot } from '../../src/ledger/ledger.ts'
import { lastCommits, proved, released, unproved } from '../beginnings.ts'
import { type Step, TestRepository } from '../make-repository.ts'
import { openRepository } from '../open-repository.ts'

const RELEASE = 'refs/heads/release'

/** The view of a guarded repository itself, as a clone has it after fetching everything. */
async function viewOf(
  repository: TestRepository,
  change: (state: LedgerState) => LedgerState = (state) => state,
) {
  const git = await openRepository(repository.bare)
  onTestFinished(() => git.close())
  const read = await new GitLedger(git).snapshot()
  const snapshot: Snapshot = {
    head: read.head,
    state: change(read.state),
    policyInForce: () => read.policyInForce(),
    policyVersion: (version) => read.policyVersion(version),
    about: (commit) => read.about(commit),
    read: (from) => read.read(from),
  }
  const files = await read.policyInForce()
  if (files === null) throw new Error('no policy')
  const refs = new Map(
    [...(await git.refs([RELEASE, 'refs/heads/main']))].map(([name, { oid }]) => [name, oid]),
  )
  const view: RemoteView = { snapshot, inForce: parsePolicyFiles(files), refs }
  const from = refs.get(RELEASE) ?? '0'.repeat(40)
  const now: ForesightOptions = { now: Date.now(), toleranceMs: 60_000 }
  const release = (to: string, options: Partial<ForesightOptions> = {}) =>
    foreseeRelease(git, view, { ref: RELEASE, from, to }, { ...now, ...options })
  return { git, view, from, release }
}

function make(prepare: readonly Step[]): TestRepository {
  const repository = new TestRepository({ prepare })
  onTestFinished(() => repository.remove())
  return repository
}

test('yes is for those who may push it; no is for everybody', async () => {
  const repository = make(unproved)
  const two = repository.git('rev-parse', 'HEAD')
  const none = await (await viewOf(repository)).release(two)
  expect(none).toMatchObject({ answer: 'no', pushers: [], signed: false })
  expect(none.report.objections.map(({ rule }) => rule)).toEqual(['evidence'])
  repository.prove(two)
  const { release } = await viewOf(repository)
  expect(await release(two)).toMatchObject({ answer: 'yes', pushers: ['alice', 'bob'], signed: false })
  expect(await release(two, { pusher: 'bob' })).toMatchObject({ answer: 'yes', pushers: ['bob'] })
  const mallory = await release(two, { pusher: 'mallory' })
  expect(mallory.report.objections.map(({ rule }) => rule)).toEqual(['operator'])
})

test('a clock that is behind what the server has recorded is set right by that', async () => {
  const repository = make(proved)
  const two = repository.git('rev-parse', 'HEAD')
  const { release } = await viewOf(repository)
  expect(await release(two, { now: Date.now() - 7_200_000 })).toMatchObject({ answer: 'yes' })
})

test('what the next minute changes is unclear', async () => {
  const repository = make(proved)
  const two = repository.git('rev-parse', 'HEAD')
  const now = Date.now()
  const frozenUntil = (until: number) => (state: LedgerState) => ({
    ...state,
    freeze: {
      seq: 1,
      until: new Date(until).toISOString(),
      reason: 'x',
      by: 'alice',
      issuedAt: new Date(now - 1000).toISOString(),
    },
  })
  const soon = await (await viewOf(repository, frozenUntil(now + 30_000))).release(two, { now })
  expect(soon).toMatchObject({ answer: 'unclear', reason: 'it depends on the minute' })
  const exact = await (await viewOf(repository, frozenUntil(now + 30_000))).release(two, {
    now,
    toleranceMs: 0,
  })
  expect(exact.answer).toBe('no')
  const late = await (await viewOf(repository, frozenUntil(now + 3_600_000))).release(two, { now })
  expect(late.answer).toBe('no')
})

test('a push that may be under way makes it unclear; one that died long ago, or has arrived, does not', async () => {
  const repository = make(proved)
  const [one = '', two = ''] = lastCommits(repository, 2)
  const now = Date.now()
  const open = (to: string, ageMs: number) => (state: LedgerState) => ({
    ...state,
    open: [
      {
        seq: 9,
        kind: 'promotion' as const,
        ref: RELEASE,
        from: one,
        to,
        fastForward: true,
        at: new Date(now - ageMs).toISOString(),
        by: 'bob',
      },
    ],
  })
  const fresh = await (await viewOf(repository, open(two, 1000))).release(two, { now })
  expect(fresh).toMatchObject({ answer: 'unclear', reason: 'a push of release by bob may be under way' })
  expect((await (await viewOf(repository, open(two, 3_600_000))).release(two, { now })).answer).toBe('yes')
  // On disk and not recorded yet: it has landed, and is no drift.
  const landed = (state: LedgerState) => ({ ...open(one, 1000)(state), landed: {} })
  expect((await (await viewOf(repository, landed)).release(two, { now })).answer).toBe('yes')
})

test('the staging branch is judged by its own rules', async () => {
  const repository = make(released)
  const { git, view } = await viewOf(repository)
  const main = view.refs.get('refs/heads/main') ?? ''
  const deletion = await foreseeStaging(git, view, { ref: 'refs/heads/main', from: main, to: '0'.repeat(40) })
  expect(deletion.answer).toBe('no')
  expect(deletion.report.objections.map(({ rule }) => rule)).toEqual(['staging-history'])
})
