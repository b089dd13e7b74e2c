import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'

/** What to do where a partial clone lacks objects: nothing is fetched while something is decided. */
export const MAKE_WHOLE = 'use a whole clone, or make this one whole: git fetch --refetch --no-filter'

/** `what` is missing: HeadgateError 'unavailable', with the way out where the repository is a partial clone. */
export function missingObject(commonDirectory: string, what: string): HeadgateError {
  if (!isPartial(commonDirectory)) return new HeadgateError('unavailable', `${what} is missing`)
  return new HeadgateError('unavailable', `${what} is missing in this partial clone`, { hint: MAKE_WHOLE })
}

/** git marks the packs that a remote promised to complete. Since 2.45 it says of an object only that it is missing. */
export function isPartial(commonDirectory: string): boolean {
  try {
    return readdirSync(join(commonDirectory, 'objects', 'pack')).some((name) => name.endsWith('.promisor'))
  } catch {
    return false
  }
}
