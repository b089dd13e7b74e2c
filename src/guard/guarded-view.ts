/** A guarded repository at one moment, as the server sees its own and a clone a remote's. */
import type { Oid } from '../core/oid.ts'
import { type LedgerState, withLanded } from '../core/state.ts'
import type { Snapshot } from '../ledger/ledger.ts'
import type { PolicyInForce, TermsInForce } from './policy-in-force.ts'

/** The ledger at one head, the policy in force there, and where the guarded branches are. */
export type GuardedView<InForce extends TermsInForce | null = TermsInForce> = {
  readonly snapshot: Snapshot
  readonly inForce: InForce
  readonly refs: ReadonlyMap<string, Oid>
}

/**
 * What a server or a relay decides by. Without a policy, until an admin applies the first one, nothing is guarded but
 * headgate's own refs.
 */
export type ServerView = GuardedView<TermsInForce | null>

/** A clone reads the whole policy, the gates that it runs included. */
export type RemoteView = GuardedView<PolicyInForce>

/**
 * The state that the next push is judged by: what has landed counts, recorded or not. `now` is in
 * milliseconds.
 */
export function stateOf({ snapshot, refs }: GuardedView<TermsInForce | null>, now: number): LedgerState {
  return withLanded(snapshot.state, refs, snapshot.head.seq, new Date(now).toISOString())
}
