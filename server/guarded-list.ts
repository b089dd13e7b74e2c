/**
 * `REPO.git/headgate/guarded`: which refs the shell hooks must not let pass by themselves. One a line, `ROLE SP NAME`;
 * the role is `staging`, `release`, `ledger` or `namesake`, which is a ref that git would take for one of the branches. A line
 * `log PATH` for each policy names the release log, `log ?` one whose name needs care: the shell lets a push of the staging
 * branch pass by itself that leaves the log alone. While the first policy is being recorded there is one more line,
 * `beginning ledger`: only then may branches be listed with no ledger beside them.
 */

import { readdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import type { Terms } from '../src/core/policy/policy.ts'
import { LEDGER_REF, releaseRef, stagingRef } from '../src/core/refs.ts'
import { namesakesOf } from '../src/core/rules/namesake.ts'
import type { FormerBranch } from '../src/core/state.ts'
import { gitWithoutHooks } from '../src/git/configured-hooks.ts'
import { replaceFile } from '../src/git/own-files.ts'
import { MAX_TREE_FILE_BYTES, readRegularFile } from '../src/git/tree-file.ts'
import { SERVER_DIRECTORY } from './settings.ts'

/**
 * Earlier versions made an empty reflog file for each guarded branch, with the mode of their umask, and beside a reftable,
 * where it is in the way of `git refs migrate`. What a log says is kept.
 */
export function removeEmptyReflogs(gitDirectory: string): void {
  const logs = join(gitDirectory, 'logs')
  for (const ref of readGuardedNames(gitDirectory)) {
    const path = join(logs, ref)
    if (statSync(path, { throwIfNoEntry: false })?.size !== 0) continue
    rmSync(path)
    for (let folder = dirname(path); folder.startsWith(logs) && isEmpty(folder); folder = dirname(folder))
      rmdirSync(folder)
  }
}

function isEmpty(folder: string): boolean {
  return readdirSync(folder).length === 0
}

type Role = 'staging' | 'release' | 'ledger'

const NAMESAKE = 'namesake '
const LOG = 'log '

const BEGINNING = 'beginning ledger'

const PLAIN_PATH = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/

/**
 * Replaces the list by the guarded refs of all these policies, and those that earlier ones named (`former`). Readers see the old list or the new one. `beginning` says
 * that no ledger has any of them yet.
 */
export function writeGuardedList(
  gitDirectory: string,
  policies: readonly Terms[],
  { beginning = false, former = [] }: { beginning?: boolean; former?: readonly FormerBranch[] } = {},
): void {
  const lines = [...guardedLines(policies, former), ...(beginning ? [BEGINNING] : []), '']
  replaceFile(join(gitDirectory, SERVER_DIRECTORY, 'guarded'), lines.join('\n'))
}

/** The lines of the list for these policies and branches of earlier ones. */
export function guardedLines(policies: readonly Terms[], former: readonly FormerBranch[]): string[] {
  const branches = policies.flatMap((policy) => [
    { role: 'staging', ref: stagingRef(policy) },
    { role: 'release', ref: releaseRef(policy) },
  ])
  const all = [...branches, ...former]
  const lines = [
    ...all.map(({ role, ref }) => `${role} ${ref}`),
    ...all.flatMap(({ ref }) => namesakesOf(ref).map((name) => `${NAMESAKE}${name}`)),
    ...policies.map(({ releaseLog }) => `${LOG}${PLAIN_PATH.test(releaseLog) ? releaseLog : '?'}`),
  ]
  return [...new Set(lines), `ledger ${LEDGER_REF}`]
}

/** The guarded refs in the list, of every role or of one; none where there is no list. Namesakes guard nothing themselves. */
export function readGuardedNames(gitDirectory: string, role?: Role): ReadonlySet<string> {
  const lines = readGuardedLines(gitDirectory).filter((line) =>
    role === undefined ? !line.startsWith(NAMESAKE) && !line.startsWith(LOG) : line.startsWith(`${role} `),
  )
  return new Set(lines.map((line) => line.slice(line.indexOf(' ') + 1)))
}

export function readGuardedLines(gitDirectory: string): string[] {
  return (readIfThere(join(gitDirectory, SERVER_DIRECTORY, 'guarded')) ?? '')
    .split('\n')
    .filter((line) => line !== '')
}

/**
 * For a ledger in which no policy was ever applied. Throws HeadgateError 'data' if one must have been, since branches are
 * guarded: an account that removes the ledger must not remove the guard with it.
 */
export function requireNeverGuarded(gitDirectory: string): void {
  if (!wasGuarded(gitDirectory)) return
  throw new HeadgateError('data', 'branches are guarded here, but the ledger with their policy is gone', {
    hint: `the server admin brings it back from a copy: ${gitWithoutHooks(gitDirectory)} fetch COPY ${LEDGER_REF}:${LEDGER_REF}`,
  })
}

/** Whether the list names a staging or release branch, and not only because the first policy is being recorded. */
export function wasGuarded(gitDirectory: string): boolean {
  const text = readIfThere(join(gitDirectory, SERVER_DIRECTORY, 'guarded')) ?? ''
  return !text.includes(BEGINNING) && /^(?:staging|release) /m.test(text)
}

function readIfThere(path: string): string | null {
  try {
    return readRegularFile(path, MAX_TREE_FILE_BYTES)?.toString('utf8') ?? null
  } catch {
    return null
  }
}
