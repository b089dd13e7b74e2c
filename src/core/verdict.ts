import type { Move } from './state.ts'

/** Every rule's name, as policies, overrides, records and messages write it. */
export const RULE_NAMES = [
  'release-delete',
  'commit-object',
  'on-staging',
  'fast-forward',
  'evidence',
  'served-commit',
  'operator',
  'note',
  'barred',
  'frozen',
  'known-good',
  'approval',
  'drift',
  'staging-history',
  'log-append-only',
  'former-branch',
  'namesake',
  'reserved',
  'inbox',
] as const

export type RuleName = (typeof RULE_NAMES)[number]

/** Why one rule says no. A rule can only object: silence is never consent. */
export type Objection = {
  readonly rule: RuleName
  /** What was found: ages, names, short ids. One or more lines. */
  readonly found: readonly string[]
  /** What would pass, and the command to type. One or more lines; may be empty. */
  readonly fix: readonly string[]
}

/** The rules that an override may waive. Who pushes, what a ref may hold and drift have no such way around. */
export const WAIVABLE: ReadonlySet<RuleName> = new Set<RuleName>([
  'on-staging',
  'fast-forward',
  'evidence',
  'served-commit',
  'barred',
  'frozen',
  'known-good',
  'approval',
  'note',
])

export type MoveKind = Exclude<Move['kind'], 'drift'>

export type MoveVerdict = {
  readonly verdict: 'allowed' | 'refused'
  readonly kind: MoveKind
  /** Every reason against the move that no override waives. Empty exactly when it is allowed. */
  readonly objections: readonly Objection[]
  /** Reasons that an override waived. */
  readonly waived: readonly Objection[]
  /** SHA-256 of each envelope that the move rests on, in the order of their records. */
  readonly inputs: readonly string[]
  /** Principals whose approval or override the move spends. */
  readonly approvedBy: readonly string[]
}

/** The one level that an authorization states, as SLSA names those of an organization's own. */
const STAGING_PROVED = 'ORG_SOURCE_STAGING_PROVED'

/** Waived, they take the proof away. */
const PROOF_RULES: ReadonlySet<RuleName> = new Set<RuleName>([
  'evidence',
  'served-commit',
  'on-staging',
  'known-good',
])

/** The levels that an authorization of this move states as verified. */
export function levelsOf({ verdict, kind, waived }: MoveVerdict): string[] {
  const proved =
    verdict === 'allowed' && kind !== 'bootstrap' && !waived.some(({ rule }) => PROOF_RULES.has(rule))
  return proved ? [STAGING_PROVED] : []
}
