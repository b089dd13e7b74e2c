/** What keeps git from moving a ref, though the rules allow it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { shortRef } from '../../src/core/explain.ts'
import { printable, shellWord } from '../../src/core/printable.ts'
import { conflictingRef } from '../../src/git/name-conflict.ts'
import type { GuardedRepository } from '../guarded-repository.ts'
import type { Attempt } from '../until-done.ts'

/** While another push of the same ref is on its way, this one looks again about this often. */
export const PENDING_POLL_MS = 50

export function isLocked({ repository }: GuardedRepository, ref: string): boolean {
  return existsSync(join(repository.commonDirectory, `${ref}.lock`))
}

/** git could not make the branch, and would say so only after the authorization is on record. */
export async function requireCreatable({ repository }: GuardedRepository, ref: string): Promise<void> {
  const other = await conflictingRef(repository, ref)
  if (other === null) return
  throw new HeadgateError('configuration', `git cannot create ${ref} while there is ${printable(other)}`, {
    hint: `delete that one first: git push origin ${shellWord(`:${other}`)}`,
  })
}

export function lockedElsewhere(ref: string): Attempt<never> {
  return {
    again: `${shortRef(ref)} is locked: another push of it is under way, or git died and left ${ref}.lock behind`,
    pauseMs: PENDING_POLL_MS,
  }
}
