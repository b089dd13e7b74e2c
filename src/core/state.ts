/**
 * What every decision needs to know of the whole log, folded record by record, so that no decision reads the log.
 * It is derived and nothing else: `emptyState` advanced over all records in order is always the state at the head.
 */
import { isZeroOid, type Oid } from './oid.ts'
import type { Statement } from './statement.ts'
import * as z from './zod-mini.ts'

const sequenceNumber = z.int().check(z.positive())

const moveSchema = z.object({
  /** Sequence number of the authorization (for a drift note: of the note). */
  seq: sequenceNumber,
  kind: z.enum(['promotion', 'rollback', 'override', 'bootstrap', 'drift']),
  ref: z.string(),
  from: z.string(),
  to: z.string(),
  /** Whether `to` contains `from`; a move that does not, bars `from`. */
  fastForward: z.boolean(),
  /** When it was authorized or, once landed, when that was recorded. RFC 3339. */
  at: z.string(),
  by: z.string(),
})

/** A branch that an earlier policy named: it stays as guarded as it was until an operator retires it. */
export const formerBranchSchema = z.object({ role: z.enum(['staging', 'release']), ref: z.string() })

export type FormerBranch = z.output<typeof formerBranchSchema>

export const ledgerStateSchema = z.object({
  /** Every policy that was ever in force, oldest first; the last one is in force. */
  policies: z.array(z.object({ version: sequenceNumber, seq: sequenceNumber })),
  /** The last landed move of each guarded ref. */
  landed: z.record(z.string(), moveSchema),
  /** How many moves of each kind have landed, over all refs. */
  counts: z.record(z.string(), z.int().check(z.nonnegative())),
  /** Authorizations that have no outcome yet. */
  open: z.array(moveSchema),
  /** Commits that were rolled back from, each with its latest rollback. */
  bars: z.array(z.object({ commit: z.string(), seq: sequenceNumber, at: z.string() })),
  freeze: z.nullable(
    z.object({
      seq: sequenceNumber,
      until: z.string(),
      reason: z.string(),
      by: z.string(),
      issuedAt: z.string(),
    }),
  ),
  /** As the last policy that says so left them; absent where there is none. */
  former: z.optional(z.array(formerBranchSchema)),
})

export type LedgerState = z.output<typeof ledgerStateSchema>
export type Move = z.output<typeof moveSchema>

export const emptyState: LedgerState = {
  policies: [],
  landed: {},
  counts: {},
  open: [],
  bars: [],
  freeze: null,
}

/** One record as the fold sees it. */
export type StateInput = {
  readonly seq: number
  readonly at: string
  readonly by: string
  readonly statement: Statement
}

export function advanceState(state: LedgerState, record: StateInput): LedgerState {
  const { statement, seq, at, by } = record
  switch (statement.kind) {
    case 'policy': {
      const { version, former } = statement.predicate
      const policies = [...state.policies, { version, seq }]
      return withFormer({ ...state, policies }, former ?? formerBranches(state))
    }
    case 'retire': {
      const { role, ref } = statement.predicate
      return withFormer(
        state,
        formerBranches(state).filter((branch) => branch.role !== role || branch.ref !== ref),
      )
    }
    case 'authorization': {
      const move = statement.predicate['urn:headgate:move']
      const { kind, ref, from, to } = move
      const fastForward = move.facts.fastForward !== false
      return { ...state, open: [...state.open, { seq, kind, ref, from, to, fastForward, at, by }] }
    }
    case 'outcome':
      return closeMove(state, statement.predicate.authorization, statement.predicate.result, record)
    case 'freeze': {
      const { until, reason, issuedAt } = statement.predicate
      // A statement that was signed before the freeze in force says nothing about it, however late it arrives.
      if (state.freeze !== null && Date.parse(issuedAt) < Date.parse(state.freeze.issuedAt)) return state
      return { ...state, freeze: { seq, until, reason, by, issuedAt } }
    }
    case 'drift': {
      const { ref, expected, found } = statement.predicate
      const { [ref]: _, ...others } = state.landed
      if (isZeroOid(found)) return { ...state, landed: others }
      const move: Move = { seq, kind: 'drift', ref, from: expected, to: found, fastForward: true, at, by }
      return { ...state, landed: { ...others, [ref]: move } }
    }
    case 'evidence':
    case 'approval':
    case 'override':
    case 'invalidation':
    case 'request':
      return state
  }
}

export function formerBranches(state: LedgerState): readonly FormerBranch[] {
  return state.former ?? []
}

function withFormer(state: LedgerState, branches: readonly FormerBranch[]): LedgerState {
  const { former: _, ...rest } = state
  if (branches.length === 0) return rest
  return { ...rest, former: branches.map(({ role, ref }) => ({ role, ref })) }
}

/** What an outcome makes of the state; `record` is the one that tells it. */
export function closeMove(
  state: LedgerState,
  authorization: number,
  result: 'landed' | 'not-landed',
  record: Pick<StateInput, 'seq' | 'at'>,
): LedgerState {
  const move = state.open.find((open) => open.seq === authorization)
  // An authorization is used at most once: an outcome for one that is not open changes nothing.
  if (move === undefined) return state
  const open = state.open.filter((other) => other !== move)
  if (result === 'not-landed') return { ...state, open }
  const landed = { ...state.landed, [move.ref]: { ...move, at: record.at } }
  const counts = { ...state.counts, [move.kind]: (state.counts[move.kind] ?? 0) + 1 }
  // Where the branch was created or deleted nobody went back from one commit to another.
  if (move.fastForward || isZeroOid(move.from) || isZeroOid(move.to))
    return { ...state, open, landed, counts }
  const bars = [
    ...state.bars.filter((bar) => bar.commit !== move.from),
    { commit: move.from, seq: record.seq, at: record.at },
  ]
  return { ...state, open, landed, counts, bars }
}

/** Whether a move is where it was to go, by the branches on disk: then it landed, whoever was to say so. */
export function isOnDisk(move: Move, refs: ReadonlyMap<string, Oid>): boolean {
  return isZeroOid(move.to) ? !refs.has(move.ref) : refs.get(move.ref) === move.to
}

/**
 * A move that is on disk has landed, and bars what it left, whether or not anybody has recorded it yet: the state as the
 * outcomes make it that the next push records, right after the record `after`.
 */
export function withLanded(
  state: LedgerState,
  refs: ReadonlyMap<string, Oid>,
  after: number,
  at: string,
): LedgerState {
  const landed = state.open.filter((move) => isOnDisk(move, refs))
  return landed.reduce(
    (folded, move, index) => closeMove(folded, move.seq, 'landed', { seq: after + index + 1, at }),
    state,
  )
}

/** Whether promotions are frozen at `now` (ms since the epoch). An unfreeze is a freeze that ended when it was issued. */
export function frozenAt(state: LedgerState, now: number): NonNullable<LedgerState['freeze']> | null {
  return state.freeze !== null && now < Date.parse(state.freeze.until) ? state.freeze : null
}
