import type { Oid } from '../../core/oid.ts'
import type { Policy } from '../../core/policy/policy.ts'
import type { LedgerState } from '../../core/state.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../clone/guarded-place.ts'
import { viewGuarded } from '../clone/guarded-remote.ts'

/** What every statement of an operator or approver is made with. */
export type StatementOptions = {
  readonly reason: string
  /** A file; HEADGATE_KEY unless named. */
  readonly key: string | undefined
  readonly remote: string
}

/** Where statements go, what the ledger there says, and where its release branch is now. */
export async function viewRelease(
  client: ClientRepository,
  remote: string,
): Promise<{
  place: GuardedPlace
  view: RemoteView
  policy: Policy
  state: LedgerState
  release: Oid | null
}> {
  const place = await guardedPlace(client, remote)
  const view = await viewGuarded(client, place.reads)
  const { inForce, snapshot, refs } = view
  const { policy } = inForce
  return { place, view, policy, state: snapshot.state, release: refs.get(refsOf(policy).release) ?? null }
}
