/** The steps after the branch has moved that production has a say in: waiting for it, its smoke test, the record of that. */

import { HeadgateError } from '../../core/errors.ts'
import type { LoggedRun } from '../../core/logged-run.ts'
import type { Oid } from '../../core/oid.ts'
import type { Environment } from '../../core/policy/policy.ts'
import { recordedSmoke } from '../../guard/release-entry.ts'
import { allowedVariables } from '../clone/allowed.ts'
import { type Interruptible, standingWords } from './operator.ts'
import { type ProductionEvent, runSmoke, symptomsOf, waitUntilServed } from './production.ts'
import type { ReleaseSession, Tested } from './release-session.ts'

export type TestEvent =
  | { readonly kind: 'no-production' }
  /** An earlier run has passed, and is recorded. */
  | { readonly kind: 'smoke-recorded'; readonly run: LoggedRun }
  /** The policy does not say where production reports its commit. */
  | { readonly kind: 'production-silent'; readonly commit: Oid }
  /** The branch is not at the commit any more, so that nothing is tested. */
  | {
      readonly kind: 'branch-moved-on'
      readonly branch: string
      readonly commit: Oid
      readonly release: Oid | null
    }
  | ProductionEvent

type Tell = (event: TestEvent) => void

const UNTESTED: Tested = { kind: 'untested' }

/** Waits for production, tests it, records that. `goOn` is the command that continues after an interruption. */
export async function testProduction(
  session: ReleaseSession,
  move: { readonly commit: Oid; readonly goOn: string },
  interruptible: Interruptible,
  tell: Tell,
): Promise<Tested> {
  session.tested = await test(session, move, interruptible, tell)
  return session.tested
}

async function test(
  session: ReleaseSession,
  { commit, goOn }: { readonly commit: Oid; readonly goOn: string },
  interruptible: Interruptible,
  tell: Tell,
): Promise<Tested> {
  const move = await session.lastMove()
  const { production } = session
  if (production === undefined) {
    tell({ kind: 'no-production' })
    return UNTESTED
  }
  if (move === null || move.to !== commit) return movedOn(session, commit, tell)
  const run = await recordedSmoke(session.view, move)
  if (run !== null && run.result !== 'FAILED') {
    tell({ kind: 'smoke-recorded', run })
    return { kind: 'passed' }
  }
  if (production.servedCommit === null) {
    tell({ kind: 'production-silent', commit })
    return UNTESTED
  }
  const standing = { branch: session.policy.release, commit, goOn }
  return interruptible(standing, async (signal) => {
    try {
      return await waitAndTest(session, { production, commit, signal }, tell)
    } catch (error) {
      if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
      await session.look()
      if (session.release !== commit) return movedOn(session, commit, tell)
      throw new HeadgateError('unavailable', error.message, { hint: standingWords(standing), cause: error })
    }
  })
}

async function waitAndTest(
  session: ReleaseSession,
  call: { readonly production: Environment; readonly commit: Oid; readonly signal: AbortSignal },
  tell: Tell,
): Promise<Tested> {
  const { client, place, options } = session
  const { production, commit, signal } = call
  const variables = { values: client.caller.environment, allowed: await allowedVariables(client) }
  const isCurrent = () => isReleased(session, commit)
  const wait = { variables, waitMs: options.waitMs, signal, isCurrent }
  if (!(await waitUntilServed(production, commit, wait, tell))) return movedOn(session, commit, tell)
  const { policy } = session
  const key = session.smokeKey()
  const run = await runSmoke(client, { policy, production, commit, place, key, variables, signal }, tell)
  return run.result === 'FAILED' ? { kind: 'failed', symptoms: symptomsOf(run) } : { kind: 'passed' }
}

/** Whether the commit is the release still. A remote that cannot be asked now says nothing new. */
async function isReleased(session: ReleaseSession, commit: Oid): Promise<boolean> {
  try {
    await session.look()
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
  }
  return session.release === commit
}

function movedOn({ policy, release }: ReleaseSession, commit: Oid, tell: Tell): Tested {
  tell({ kind: 'branch-moved-on', branch: policy.release, commit, release })
  return UNTESTED
}
