/**
 * Which repositories a service is to serve. Each place that the admin names is a guarded repository, or a folder that is
 * searched for them, and a list is a file with a place on each line (empty lines and those that begin with `#` aside).
 */
import { type Dirent, existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { printable, shellWord } from '../../src/core/printable.ts'
import { isFile } from '../../src/git/locate.ts'
import { isFolder } from '../../src/git/own-files.ts'
import { readRegularFile } from '../../src/git/tree-file.ts'
import { settingsPath } from '../settings.ts'

export type NamedPlaces = {
  /** Absolute paths of repositories and folders. */
  readonly places: readonly string[]
  /** Absolute path of a list. */
  readonly list: string | undefined
}

export type ServedPaths = {
  /** Real paths of repositories with headgate installed. */
  readonly repositories: ReadonlySet<string>
  /** By the path that was named: why nothing is served there. */
  readonly problems: ReadonlyMap<string, string>
}

/** Hosts keep a repository at most four folders deep: GitLab's are in `@hashed/ab/cd/`. */
const MAX_DEPTH = 5
/** A folder that was named by mistake, such as `/`, must not be searched all day. */
const MAX_FOLDERS = 200_000
const MAX_LIST_BYTES = 4 * 1024 * 1024
/** So many names are looked at before others get their turn: some milliseconds. */
const AT_ONCE = 500

/**
 * Looks at the disk anew. What is closed to this account now and was `served` until then is not given up. Throws
 * HeadgateError 'configuration' where the list cannot be read.
 */
export async function findServed(
  { places, list }: NamedPlaces,
  served: ReadonlySet<string> = new Set(),
): Promise<ServedPaths> {
  const repositories = new Set<string>()
  const problems = new Map<string, string>()
  const named = [...places, ...(list === undefined ? [] : readList(list))]
  for (const [index, place] of named.entries()) {
    if (index % AT_ONCE === 0) await othersTurn()
    try {
      if (!existsSync(place)) problems.set(place, `there is no ${printable(place, 1000)}`)
      else if (isRepository(place)) {
        if (isGuarded(place)) repositories.add(realpathSync(place))
        else problems.set(place, `headgate is not installed in ${printable(place, 1000)}`)
      } else {
        const before = repositories.size
        const isComplete = await search(place, repositories, served)
        if (!isComplete) problems.set(place, `${printable(place, 1000)} has too many folders to search`)
        else if (repositories.size === before)
          problems.set(place, `there is no guarded repository in ${printable(place, 1000)}`)
      }
    } catch (error) {
      problems.set(place, (error as Error).message)
    }
  }
  return { repositories, problems }
}

/** Whether nothing but repositories is named: which they are is known from the beginning. */
export function areRepositories({ places, list }: NamedPlaces): boolean {
  return list === undefined && places.every((place) => !isFolder(place) || isRepository(place))
}

function readList(list: string): string[] {
  try {
    const bytes = existsSync(list) ? readRegularFile(realpathSync(list), MAX_LIST_BYTES) : null
    if (bytes === null) throw new Error('there is no such file')
    return bytes
      .toString('utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => resolve(dirname(list), line))
  } catch (cause) {
    const why = (cause as Error).message
    throw new HeadgateError('configuration', `the list ${printable(list, 1000)} cannot be read: ${why}`, {
      hint: `it names a repository or a folder on each line: ls -d /srv/git/*.git > ${shellWord(list)}`,
      cause,
    })
  }
}

/** Adds every guarded repository below a folder. False if that was too much to search. */
async function search(top: string, found: Set<string>, served: ReadonlySet<string>): Promise<boolean> {
  const waiting = [{ folder: realpathSync(top), depth: 0 }]
  let looked = 0
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { folder, depth } = next
    for (const entry of entriesOf(folder, depth)) {
      if (++looked % AT_ONCE === 0) await othersTurn()
      if (looked > MAX_FOLDERS) return false
      // Also through a link, which is a usual way to put a repository on another disk; what is below a linked folder is not.
      if (entry.name.startsWith('.') || !(entry.isDirectory() || entry.isSymbolicLink())) continue
      const path = join(folder, entry.name)
      try {
        if (isGuarded(path)) found.add(realpathSync(path))
        else if (entry.isDirectory() && depth < MAX_DEPTH && !isRepository(path))
          waiting.push({ folder: path, depth: depth + 1 })
      } catch {
        if (served.has(path)) found.add(path)
      }
    }
  }
  return true
}

/** A folder below that nobody lets us into is passed by; the one that was named is not. */
function entriesOf(folder: string, depth: number): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (depth === 0) throw error
    return []
  }
}

function isRepository(path: string): boolean {
  return isFile(join(path, 'HEAD')) && isFolder(join(path, 'objects'))
}

/** Throws what the system says of a folder that is closed to this account. */
function isGuarded(path: string): boolean {
  return statSync(settingsPath(path), { throwIfNoEntry: false }) !== undefined
}

function othersTurn(): Promise<void> {
  return new Promise((done) => setImmediate(done))
}
