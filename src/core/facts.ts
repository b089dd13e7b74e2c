/**
 * What one push would do, gathered before it is judged. Facts are plain values: whoever gathers them (server, client,
 * auditor) has read them from git with replace refs, grafts and shallow files ignored.
 */
import type { Oid } from './oid.ts'

/** The source of a pusher who has not pushed or asked yet: what is foreseen is judged as if they had. */
export const FORESEEN_SOURCE = 'foreseen'

export type Pusher =
  | { readonly identified: true; readonly principal: string; readonly source: string }
  | {
      readonly identified: false
      readonly reason: string
      /** What would name them, where that is known better than in general. */
      readonly fix?: readonly string[]
    }

/** A push certificate (`git push --signed`), judged line by line for the update in question. */
export type Certificate =
  | { readonly offered: false }
  | {
      readonly offered: true
      readonly good: true
      readonly principal: string
      /** Of the key that signed it: the one beneath, where that is a certificate itself. */
      readonly fingerprint: string
      readonly text: string
    }
  | {
      readonly offered: true
      readonly good: false
      readonly reason: string
      /** What signed it where that was no SSH key: git signs in other formats, too. */
      readonly format?: OtherFormat
    }

export type OtherFormat = 'OpenPGP' | 'X.509'

/** A note and a plan need two push options; the rest is for other hooks. Both bounds keep a record small. */
export const MAX_PUSH_OPTIONS = 16
export const MAX_PUSH_OPTION_LENGTH = 4096

/** How many commits that staging lacks are read: a push of a foreign history must not be listed whole. */
export const MAX_STRAYS = 50

/** A commit that the staging branch does not contain. */
export type Stray = { readonly oid: Oid; readonly parents: readonly Oid[]; readonly subject: string }

export type ObjectType = 'commit' | 'tag' | 'tree' | 'blob' | 'missing'

/** A commit that production was rolled back from, and comes back with a move. */
export type BroughtBack = {
  readonly commit: Oid
  /** It is what the move goes to but for the release log at most, or what the move ships contains it. */
  readonly how: 'same-code' | 'contained'
  /** What was wrong with it, where that is known; for people alone. */
  readonly why?: string
}

/** One requested change of the release branch. */
export type ReleaseMove = {
  readonly ref: string
  /** Where the ref is on disk; zeros where it does not exist. */
  readonly from: Oid
  /** What the client believes `from` to be. git itself refuses a push whose claim is wrong. */
  readonly claimedFrom: Oid
  /** Zeros for a deletion. */
  readonly to: Oid
  readonly objectType: ObjectType
  /** The staging branch on the server before the push; null where it does not exist. */
  readonly staging: Oid | null
  readonly onStaging: boolean
  /** Commits of `to` that staging lacks, newest first, at most MAX_STRAYS of them. */
  readonly strays: readonly Stray[]
  readonly fastForward: boolean
  /** Of the barred commits, in the order of their rollbacks; `to` itself is not among them. */
  readonly broughtBack: readonly BroughtBack[]
  readonly pusher: Pusher
  readonly certificate: Certificate
  /** Fingerprints of the keys that are known to be the pusher's; null where approvals are compared by name alone. */
  readonly pusherKeys: readonly string[] | null
  readonly pushOptions: readonly string[]
}

/** One requested change of the staging branch. */
export type StagingMove = {
  readonly ref: string
  /** Where the branch is on disk; zeros where it does not exist. */
  readonly from: Oid
  /** Where the pusher believes it to be: git refuses later whatever was believed wrongly. */
  readonly claimedFrom: Oid
  readonly to: Oid
  readonly objectType: ObjectType
  readonly fastForward: boolean
  readonly releaseLog: { readonly path: string; readonly steps: readonly LogStep[] }
}

/** One file version of the release log; null where the commit has no such file. */
export type LogVersion = { readonly mode: string; readonly blob: Oid } | null

/** How one commit changed the release log against its first parent (or the whole push against the old tip). */
export type LogStep = {
  readonly commit: Oid
  readonly before: LogVersion
  readonly after: LogVersion
  /** The first bytes of `after` are those of `before`, and what follows starts on a line of its own. */
  readonly append: boolean
  /** Those that `before` has, where it would be an append but for its line ends. */
  readonly lineEnds?: 'lf' | 'crlf'
  /** Why nobody can tell what the commit's log is, or compare it. */
  readonly unclear?: string
}
