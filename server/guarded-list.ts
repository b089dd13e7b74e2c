/**
 * `REPO.git/headgate/guarded`: which refs the shell hooks must not let pass by themselves. One a line, `ROLE SP NAME`;
 * the role is `staging`, `release` or `ledger`.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Policy } from '../src/core/policy.ts'
import { releaseRef, stagingRef } from './guarded-branches.ts'
import { SERVER_DIRECTORY } from './settings.ts'

/** Replaces the list by the guarded refs of all these policies. Readers see the old list or the new one. */
export function writeGuardedList(gitDirectory: string, policies: readonly Policy[]): void {
  const lines = policies.flatMap((policy) => [
    `staging ${stagingRef(policy)}`,
    `release ${releaseRef(policy)}`,
  ])
  const text = [...new Set(lines), 'ledger refs/headgate/ledger', ''].join('\n')
  const path = join(gitDirectory, SERVER_DIRECTORY, 'guarded')
  if (readIfThere(path) === text) return
  writeFileSync(`${path}.new`, text, { mode: 0o644 })
  renameSync(`${path}.new`, path)
}

/** The names in the list; none where there is no list. */
export function readGuardedNames(gitDirectory: string): ReadonlySet<string> {
  const text = readIfThere(join(gitDirectory, SERVER_DIRECTORY, 'guarded')) ?? ''
  return new Set(text.split('\n').map((line) => line.slice(line.indexOf(' ') + 1)))
}

/** Whether the list names a staging or release branch: whether a policy was ever in force here. */
export function listsBranches(gitDirectory: string): boolean {
  const text = readIfThere(join(gitDirectory, SERVER_DIRECTORY, 'guarded')) ?? ''
  return /^(?:staging|release) /m.test(text)
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
