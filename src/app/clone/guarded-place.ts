/**
 * Where the statements and moves of a command go: one place. git pushes to every URL that a remote has, and says of all of
 * them together only that something failed; what it rewrites URLs to is not the same for fetches and for pushes.
 */

import { HeadgateError } from '../../core/errors.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import type { ClientRepository } from './client-repository.ts'
import { remoteWord, shownRemote } from './shown-remote.ts'

export type GuardedPlace = {
  /** As the user named it. */
  readonly remote: string
  /** What is looked at: the remote where its fetches come from the place that is pushed to, else that place's URL. */
  readonly reads: string
  /** What `git push` is given, with the configuration for it. */
  readonly writes: { readonly config: readonly string[]; readonly target: string }
}

/** What git makes of a remote's URLs: one that it fetches from, and all that it pushes to. */
export type RemoteUrls = {
  /** Whether the remote has a name in git's configuration. */
  readonly isNamed: boolean
  readonly fetch: string
  readonly push: readonly string[]
}

/** A name that no remote has. */
const PROBE = 'headgate.probe'

export async function remoteUrls(client: ClientRepository, remote: string): Promise<RemoteUrls> {
  const named = parseUrls(remote, await client.git('remote', '-v'))
  if (named !== null) return { isNamed: true, ...named }
  // For a URL or a path git has no such question.
  const probed = parseUrls(PROBE, await client.git('-c', `remote.${PROBE}.url=${remote}`, 'remote', '-v'))
  return { isNamed: false, ...(probed ?? { fetch: remote, push: [remote] }) }
}

/** Lines of `git remote -v`: `NAME TAB URL (fetch)` and `NAME TAB URL (push)`. */
function parseUrls(name: string, lines: string): { fetch: string; push: string[] } | null {
  const urls = { fetch: [] as string[], push: [] as string[] }
  for (const line of lines.split('\n')) {
    if (!line.startsWith(`${name}\t`)) continue
    const [, url, use] = /^(.*) \((fetch|push)\)/.exec(line.slice(name.length + 1)) ?? []
    if (url !== undefined && url !== '') urls[use === 'push' ? 'push' : 'fetch'].push(url)
  }
  const [fetch = urls.push[0]] = urls.fetch
  return fetch === undefined ? null : { fetch, push: [...new Set(urls.push)] }
}

/**
 * The place that guards what a remote's name stands for. Where pushes go to one URL, that one. Where they go to several,
 * the one that fetches come from, if it has a ledger, else the only one that has. Throws HeadgateError 'configuration'
 * where that is not one.
 */
export async function guardedPlace(client: ClientRepository, remote: string): Promise<GuardedPlace> {
  const { isNamed, fetch, push } = await remoteUrls(client, remote)
  const reads = (url: string) => (url === fetch ? remote : url)
  const [only = remote] = push
  if (push.length <= 1) {
    // A mirror pushes all refs or none, unless it is told that it is no mirror.
    const config = isNamed && !remote.includes('=') ? ['-c', `remote.${remote}.mirror=false`] : []
    return { remote, reads: reads(only), writes: { config, target: remote } }
  }
  const guarded: GuardedPlace[] = []
  for (const url of [...push.filter((one) => one === fetch), ...push.filter((one) => one !== fetch)]) {
    if (!(await hasLedger(client, reads(url)))) continue
    guarded.push({ remote, reads: reads(url), writes: { config: unchanged(url), target: url } })
    if (url === fetch) break
  }
  const [found, ...others] = guarded
  if (found !== undefined && others.length === 0) return found
  const how = found === undefined ? 'none of them has a ledger, or could be asked' : 'several have a ledger'
  throw new HeadgateError(
    'configuration',
    `pushes to "${shownRemote(remote)}" go to ${push.length} places, and ${how}`,
    {
      hint: `name the guarded one: --remote URL, one of git remote get-url --push --all ${remoteWord(remote)}`,
    },
  )
}

/** The URL is what git has made of another already; a rule for the whole of it keeps it from being rewritten again. */
function unchanged(url: string): string[] {
  return url.includes('=') ? [] : ['-c', `url.${url}.pushInsteadOf=${url}`]
}

/** A place that cannot be asked is not the one that is looked for, as long as another is. */
async function hasLedger(client: ClientRepository, place: string): Promise<boolean> {
  try {
    return (await client.remoteBranch(place, LEDGER_REF)) !== null
  } catch (error) {
    if (error instanceof HeadgateError && error.code === 'unavailable') return false
    throw error
  }
}
