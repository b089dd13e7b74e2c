/**
 * What the guard relies on stands in the repository's own configuration, where no pusher's environment reaches it.
 *
 * core.hooksPath must hold for pushes to the repository and to its linked worktrees, from any directory, and also after
 * the repository was moved or renamed, when an absolute path would silently name no hooks at all. So the last word is
 * the absolute path as long as the repository is where it was installed, and a relative one (seen from the repository,
 * or from a linked worktree's folder in it) anywhere else.
 *
 * `headgate/settings-before.json` keeps what each setting was, so that an uninstallation can put it back.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { LEDGER_REF } from '../../src/core/refs.ts'
import * as z from '../../src/core/zod-mini.ts'
import { replaceFile } from '../../src/git/own-files.ts'
import { firstLines } from '../../src/git/process.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { type Host, runsOwnHooks } from '../hook-places.ts'
import { SERVER_DIRECTORY } from '../settings.ts'

export const HOOKS_PATH = 'core.hooksPath'

export const SETTINGS: readonly (readonly [string, string])[] = [
  // A rollback is not a fast-forward; the rules judge it, and better than a switch could.
  ['receive.denyNonFastForwards', 'false'],
  ['receive.advertisePushOptions', 'true'],
  ['core.fsync', 'committed,loose-object,reference'],
  ['receive.certNonceSlop', '300'],
  // In a reftable all refs share one lock, which is held while hooks run; git would wait 100 ms for it.
  ['reftable.lockTimeout', '10000'],
]

/** Set where nobody has decided otherwise: a clone asks for the ledger's tip, a small part of a long ledger. */
export const FILTER = ['uploadpack.allowFilter', 'true'] as const

export const NONCE_SEED = 'receive.certNonceSeed'
export const HIDDEN = ['receive.hideRefs', LEDGER_REF] as const
const LOCATION_FILE = `${SERVER_DIRECTORY}/location.config`
const WORKTREES_FILE = `${SERVER_DIRECTORY}/worktrees.config`
const WORKTREE_SECTION = 'includeIf.gitdir:**/worktrees/*'

/** Sets what is not set yet. Returns what was changed, as `name=value`. */
export async function pinSettings(repository: GitRepository, host: Host): Promise<string[]> {
  const { commonDirectory } = repository
  const before = readBefore(commonDirectory)
  const changed: string[] = []
  const found = await ownValues(repository)
  const set = async (name: string, value: string, shown = value) => {
    const current = found.last(name)
    if (current === value) return
    if (!(name in before)) before[name] = current
    // First the memory, then the change: what is interrupted here forgets nothing.
    writeBefore(commonDirectory, before)
    await config(repository, '--replace-all', name, value)
    changed.push(`${name}=${shown}`)
  }
  if (runsOwnHooks(host) && (await pinHooksPath(repository, found)))
    changed.push(`${HOOKS_PATH}=${join(commonDirectory, 'hooks')}`)
  for (const [name, value] of SETTINGS) {
    // 'all' does more than what is asked for.
    if (name === 'core.fsync' && found.last(name) === 'all') continue
    await set(name, value)
  }
  if (found.last(FILTER[0]) === null) await set(...FILTER)
  if (found.last(NONCE_SEED) === null) await set(NONCE_SEED, randomBytes(32).toString('hex'), '(random)')
  const [name, ref] = HIDDEN
  if (!found.all(name).includes(ref)) {
    await config(repository, '--add', name, ref)
    changed.push(`${name}=${ref}`)
  }
  return changed
}

/** Puts back what `pinSettings` found, where nobody has changed it since. Returns what changed, as `name=value`. */
export async function unpinSettings(repository: GitRepository): Promise<string[]> {
  const { commonDirectory } = repository
  const before = readBefore(commonDirectory)
  const restored: string[] = []
  const found = await ownValues(repository)
  for (const [name, value] of [...SETTINGS, FILTER, [NONCE_SEED, null] as const]) {
    const former = before[name]
    const current = found.last(name)
    if (former === undefined || current === null || (value !== null && current !== value)) continue
    await config(repository, ...(former === null ? ['--unset-all', name] : ['--replace-all', name, former]))
    restored.push(former === null ? `${name} (not set)` : `${name}=${former}`)
  }
  await removeSections(repository)
  await config(repository, '--unset-all', HOOKS_PATH, '^hooks$')
  await config(repository, '--unset-all', HIDDEN[0], `^${HIDDEN[1]}$`)
  for (const file of [LOCATION_FILE, WORKTREES_FILE, BEFORE_FILE])
    rmSync(join(commonDirectory, file), { force: true })
  return restored
}

/** True if anything had to be written. The includes must stand after the setting that they overrule. */
async function pinHooksPath(repository: GitRepository, found: OwnValues): Promise<boolean> {
  const { commonDirectory } = repository
  const hooks = join(commonDirectory, 'hooks')
  const files: [string, string][] = [
    [WORKTREES_FILE, '../../hooks'],
    [LOCATION_FILE, hooks],
  ]
  let wrote = false
  for (const [file, value] of files) {
    const text = `[core]\n\thooksPath = ${configQuote(value)}\n`
    if (replaceFile(join(commonDirectory, file), text)) wrote = true
  }
  const { stdout } = await repository.run(['config', '--local', '--includes', '--get', HOOKS_PATH], {
    allowExit: [0, 1],
  })
  const pinned =
    found.last(HOOKS_PATH) === 'hooks' &&
    found.last(`${WORKTREE_SECTION}.path`) === WORKTREES_FILE &&
    stdout.toString('utf8') === `${hooks}\n`
  if (pinned) return wrote
  await removeSections(repository)
  await config(repository, '--replace-all', HOOKS_PATH, 'hooks')
  await config(repository, `${WORKTREE_SECTION}.path`, WORKTREES_FILE)
  const here = gitdirPattern(commonDirectory)
  // git calls the same directory `/srv/app.git` or `/srv/app.git/.`, and a worktree's is below it.
  for (const pattern of [here, `${here}/**`])
    await config(repository, `includeIf.gitdir:${pattern}.path`, LOCATION_FILE)
  return true
}

/** Our includes, also those that were written where the repository was before it was moved. */
async function removeSections(repository: GitRepository): Promise<void> {
  const found = await ownValues(repository)
  for (const name of found.names) {
    const value = /^includeif\..*\.path$/s.test(name) ? found.last(name) : null
    if (value === LOCATION_FILE || value === WORKTREES_FILE) await config(repository, '--unset-all', name)
  }
}

/** 5: there was nothing to unset. */
async function config(repository: GitRepository, ...args: string[]): Promise<void> {
  const { exitCode, stderr } = await repository.run(['config', '--local', ...args], {
    allowExit: [0, 5, 255],
  })
  if (exitCode !== 255) return
  const file = join(repository.commonDirectory, 'config')
  throw new HeadgateError('unavailable', `git could not write ${file}: ${firstLines(stderr)}`, {
    hint: `if no other git is at work there, remove ${file}.lock, and run this again`,
  })
}

/** What the repository's own configuration file says. */
export type OwnValues = {
  /** As git lists them. */
  readonly names: readonly string[]
  /** All values of one name, in their order. */
  all(name: string): readonly string[]
  /** The one that counts; null where there is none. */
  last(name: string): string | null
}

/** Without what the file includes; one process for any number of names. */
export async function ownValues(repository: GitRepository): Promise<OwnValues> {
  // Unlike --list it takes a file that is gone for one without values; uninstalling and the doctor must cope with that.
  const { stdout } = await repository.run(
    ['config', '--local', '--no-includes', '--null', '--get-regexp', '.'],
    { allowExit: [0, 1] },
  )
  const values = new Map<string, string[]>()
  for (const entry of stdout.toString('utf8').split('\0').slice(0, -1)) {
    const end = entry.indexOf('\n')
    const [name, value] = end < 0 ? [entry, ''] : [entry.slice(0, end), entry.slice(end + 1)]
    values.set(name, [...(values.get(name) ?? []), value])
  }
  const all = (name: string) => values.get(listedName(name)) ?? []
  return { names: [...values.keys()], all, last: (name) => all(name).at(-1) ?? null }
}

/** As git lists a name: section and variable in lower case, what stands between them as it is written. */
function listedName(name: string): string {
  const [, section = '', middle = '', variable = ''] = /^([^.]+)(\..*)?\.([^.]+)$/.exec(name) ?? []
  return `${section.toLowerCase()}${middle}.${variable.toLowerCase()}`
}

/** The path as a pattern that matches only itself. */
function gitdirPattern(path: string): string {
  return path.replace(/[*?[\]\\]/g, '\\$&')
}

function configQuote(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

const BEFORE_FILE = `${SERVER_DIRECTORY}/settings-before.json`

function readBefore(directory: string): Record<string, string | null> {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, BEFORE_FILE), 'utf8'))
    return z.record(z.string(), z.nullable(z.string())).parse(value)
  } catch {
    return {}
  }
}

function writeBefore(directory: string, before: Record<string, string | null>): void {
  replaceFile(join(directory, BEFORE_FILE), `${JSON.stringify(before, null, 2)}\n`)
}
