/** What relays one host: its address and key, the cache, the seal key; and what it tells. */
import type { Oid } from '../core/oid.ts'
import type { MoveKind } from '../core/verdict.ts'
import type { GitRepository } from '../git/repository.ts'
import type { SealKey } from '../guard/seal-key.ts'
import type { Host } from './host.ts'

/** What a relay tells of its work. */
export type RelayEvent =
  | { readonly kind: 'recorded'; readonly count: number; readonly head: number }
  | {
      readonly kind: 'moved'
      readonly move: MoveKind
      readonly from: Oid
      readonly to: Oid
      readonly by: string
      readonly record: number
    }
  | {
      readonly kind: 'refused'
      readonly name: string
      readonly rules: readonly string[]
      readonly lines: readonly string[]
    }
  /** Another rule of the host's refused the push. */
  | { readonly kind: 'host-refused'; readonly words: readonly string[] }
  /** Refs of the inbox that are no submissions were taken away, unanswered. */
  | { readonly kind: 'removed'; readonly count: number }
  | { readonly kind: 'not-landed'; readonly record: number }

export type Relay = {
  /** What the ledger is called on the host. */
  readonly ledgerRef: string
  readonly host: Host
  readonly cache: GitRepository
  readonly sealKey: SealKey
  readonly clock: () => number
  readonly tell: (event: RelayEvent) => void
}
