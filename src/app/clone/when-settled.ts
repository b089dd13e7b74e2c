/** Looking at a remote after a push whose outcome the server did not tell. */
import { HeadgateError } from '../../core/errors.ts'

/** A server whose connection broke may be at work still. Pauses before each look, in milliseconds: five seconds in all. */
const PAUSES_MS = [0, 500, 1500, 3000]

export type Seen<T> =
  | { readonly kind: 'found'; readonly value: T }
  /** The remote was looked at, and it is not there. */
  | { readonly kind: 'missing' }
  /** The remote cannot be looked at. */
  | { readonly kind: 'unseen'; readonly error: HeadgateError }

/**
 * Looks until there is something, some seconds long; once where the push `isOver`, which the server's answer tells. A remote
 * that cannot be reached at first may be a moment later.
 */
export async function whenSettled<T>(
  look: () => Promise<T | null>,
  { isOver }: { readonly isOver: boolean },
): Promise<Seen<T>> {
  let seen: Seen<T> = { kind: 'missing' }
  for (const pauseMs of isOver ? PAUSES_MS.slice(0, 1) : PAUSES_MS) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    try {
      const value = await look()
      if (value !== null) return { kind: 'found', value }
      seen = { kind: 'missing' }
    } catch (error) {
      if (!(error instanceof HeadgateError) || error.code === 'usage') throw error
      seen = { kind: 'unseen', error }
    }
  }
  return seen
}
