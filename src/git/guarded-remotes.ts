/**
 * `headgate/remotes` in a clone's git folder (of all its worktrees): what the shell hooks must know so that they start
 * nothing else. One value a line, `KEY SP VALUE`:
 *
 *     node /usr/bin/node                  the Node that ran last
 *     app /usr/lib/.../headgate.js        and the program
 *     remote origin                       a guarded remote; the next lines are about it
 *     url https://git.example.com/app     where pushes to it go, or one of these places
 *     staging refs/heads/main
 *     release refs/heads/release
 *     open upstream https://...           a remote that is not guarded, and its URL
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, replaceFile } from './own-files.ts'

export type GuardedRemote = {
  readonly name: string
  readonly url: string
  readonly staging: string
  readonly release: string
}

export type RemoteList = {
  readonly node: string
  readonly app: string
  readonly guarded: readonly GuardedRemote[]
  /** `NAME SP URL` of each. */
  readonly open: readonly string[]
}

/** The shell reads it before every push and commit. */
const MAX_REMOTES = 50

export function remoteListPath(commonDirectory: string): string {
  return join(commonDirectory, 'headgate', 'remotes')
}

/** Reads the list; null where there is none. Lines that make no sense are left out. */
export function readRemoteList(commonDirectory: string): RemoteList | null {
  let text: string
  try {
    text = readFileSync(remoteListPath(commonDirectory), 'utf8')
  } catch {
    return null
  }
  let [node, app] = ['', '']
  const guarded: GuardedRemote[] = []
  const open: string[] = []
  for (const line of text.split('\n')) {
    const [, key, value = ''] = /^(\w+) (.+)$/.exec(line) ?? []
    const last = guarded.at(-1)
    if (key === 'node') node = value
    else if (key === 'app') app = value
    else if (key === 'open') open.push(value)
    else if (key === 'remote') guarded.push({ name: value, url: '', staging: '', release: '' })
    else if ((key === 'url' || key === 'staging' || key === 'release') && last !== undefined)
      guarded[guarded.length - 1] = { ...last, [key]: value }
  }
  return { node, app, guarded: guarded.filter(({ staging, release }) => staging && release), open }
}

/**
 * Writes what is known of one remote, and what to start; the hooks see the old list or the new one. `branches` is null
 * for a remote that is not guarded. A list that cannot be written is left: it only spares time.
 */
export function rememberRemote(
  commonDirectory: string,
  program: { readonly node: string; readonly app: string },
  remote: { readonly name: string; readonly url: string },
  branches: { readonly staging: string; readonly release: string } | null,
): void {
  const before = readRemoteList(commonDirectory)
  const openName = `${remote.name} ${remote.url}`
  // A remote can have several URLs that are pushed to.
  const guarded = (before?.guarded ?? []).filter(
    ({ name, url }) => name !== remote.name || url !== remote.url,
  )
  const open = (before?.open ?? []).filter((line) => line !== openName)
  writeRemoteList(commonDirectory, {
    ...program,
    guarded: branches === null ? guarded : [...guarded, { ...remote, ...branches }].slice(-MAX_REMOTES),
    open: branches === null ? [...open, openName].slice(-MAX_REMOTES) : open,
  })
}

export function writeRemoteList(commonDirectory: string, list: RemoteList): void {
  const fits = (...values: string[]) => values.every((value) => !/[\n\r\0]/.test(value))
  const lines = [
    `node ${list.node}`,
    `app ${list.app}`,
    ...list.guarded
      .filter(({ name, url }) => fits(name, url))
      .flatMap(({ name, url, staging, release }) => [
        `remote ${name}`,
        `url ${url}`,
        `staging ${staging}`,
        `release ${release}`,
      ]),
    ...list.open.filter((line) => fits(line)).map((line) => `open ${line}`),
  ]
  const text = `${lines.join('\n')}\n`
  const path = remoteListPath(commonDirectory)
  try {
    makeFolder(dirname(path))
    replaceFile(path, text)
  } catch {
    // A clone that cannot be written to.
  }
}
