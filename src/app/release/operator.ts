/** The person who moves the release branch, as a use case needs them. */
import { type Oid, shortOid } from '../../core/oid.ts'

/** Where things stand while production is waited for or tested: the branch has moved, and the rest can be done later. */
export type Standing = {
  /** Short name of the release branch, and where it is. */
  readonly branch: string
  readonly commit: Oid
  /** The command that goes on from here. */
  readonly goOn: string
}

/** Runs what takes long. The signal, by which the operator interrupts it, ends it in order. */
export type Interruptible = <Result>(
  standing: Standing,
  work: (signal: AbortSignal) => Promise<Result>,
) => Promise<Result>

export type Operator<Question> = {
  /** Asks for what must not happen unasked. Throws HeadgateError where the answer is not yes, or nobody can be asked. */
  readonly consent: (question: Question) => Promise<void>
  readonly interruptible: Interruptible
}

/** What an end at this moment means. */
export function standingWords({ branch, commit, goOn }: Standing): string {
  return `${branch} is at ${shortOid(commit)}; go on with: ${goOn}`
}
