/** The repository on its host, reached as the relay's account reaches it: by git, with the relay's key or token. */
import { HeadgateError } from '../core/errors.ts'
import { isOid, isZeroOid, type Oid } from '../core/oid.ts'
import { printable, shellWord } from '../core/printable.ts'
import { withoutSecrets } from '../core/without-secrets.ts'
import { lastWords, refusalReason, remoteLines } from '../git/git-words.ts'
import { type RunResult, runGit } from '../git/process.ts'

export type HostAccess = {
  /** As git takes it. No password belongs into it. */
  readonly url: string
  /** A private SSH key that the host knows, such as a deploy key. */
  readonly sshKey?: string | undefined
  /** For https: what the host gives to programs. */
  readonly token?: string | undefined
  readonly gitPath: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** One change of a ref on the host; zeros for a ref that is not there, or is to be deleted. */
export type RefChange = { readonly ref: string; readonly from: Oid; readonly to: Oid }

export type PushAnswer =
  | { readonly kind: 'moved' }
  /** A ref was not where it was seen last; nothing was moved. */
  | { readonly kind: 'stale' }
  /** A rule of the host's own refused; nothing was moved. */
  | { readonly kind: 'refused'; readonly words: readonly string[] }
  /** The host takes no two changes as one. */
  | { readonly kind: 'not-atomic' }

/** Fetching a large repository for the first time takes its while. */
const FETCH_TIMEOUT_MS = 30 * 60_000
const TALK_TIMEOUT_MS = 120_000

const MOVED_MEANWHILE = /\[rejected\]|cannot lock ref|failed to update ref|reference already exists/

export class Host {
  readonly url: string
  readonly #access: HostAccess
  readonly #cache: string

  /** `cache`: the git directory that fetches go into and pushes come from. */
  constructor(access: HostAccess, cache: string) {
    this.url = access.url
    this.#access = access
    this.#cache = cache
  }

  /** Where the refs are that fit the patterns of `git ls-remote`. Throws HeadgateError 'unavailable'. */
  async list(patterns: readonly string[]): Promise<Map<string, Oid>> {
    const { stdout } = await this.#git(['ls-remote', '--refs', '--', this.url, ...patterns], TALK_TIMEOUT_MS)
    const refs = new Map<string, Oid>()
    for (const line of stdout.toString('utf8').split('\n')) {
      const [oid = '', name = ''] = line.split('\t')
      // A name that is no UTF-8 cannot be said again: nothing is done with such a ref.
      if (isOid(oid) && name !== '' && !name.includes('\ufffd')) refs.set(name, oid)
    }
    return refs
  }

  /**
   * Brings what the refspecs name into the cache; false where the host has not all of it any more. Throws HeadgateError
   * 'unavailable'.
   */
  async fetch(refspecs: readonly string[], timeoutMs = FETCH_TIMEOUT_MS): Promise<boolean> {
    const options = [
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-recurse-submodules',
      '--no-auto-maintenance',
    ]
    for (const some of batches(refspecs)) {
      const { exitCode, stderr } = await this.#git(
        ['fetch', ...options, '--', this.url, ...some],
        timeoutMs,
        [1, 128],
      )
      if (/couldn't find remote ref/.test(stderr)) return false
      if (exitCode !== 0) throw this.#failure('fetch', stderr)
    }
    return true
  }

  /**
   * Makes all changes or none, each only where the host's ref is at `from` still. `atomic: false` is for a single change.
   * Throws HeadgateError 'unavailable' where the host's answer did not come: the refs tell then.
   */
  async push(changes: readonly RefChange[], { atomic = true } = {}): Promise<PushAnswer> {
    const { exitCode, stdout, stderr } = await this.#git(
      pushArguments(this.url, changes, atomic),
      TALK_TIMEOUT_MS,
      [1, 128],
    )
    if (exitCode === 0) return { kind: 'moved' }
    const lines = stdout.toString('utf8').split('\n')
    // With --atomic git names every ref as refused; those that are the reason have reasons of their own.
    const refused = lines.filter(
      (line) => line.startsWith('!') && !/\(atomic (?:push|transaction) failed/.test(line),
    )
    if (/does not support --atomic push/.test(stderr)) return { kind: 'not-atomic' }
    // Without a reason for any of them, the host's own transaction failed: a ref was moved or locked meanwhile.
    const isTransaction =
      refused.length === 0 && /\(atomic (?:push|transaction) failed/.test(stdout.toString('utf8'))
    if (isTransaction || refused.some((line) => MOVED_MEANWHILE.test(line))) return { kind: 'stale' }
    const ambiguous = /dst refspec (\S+) matches more than one/.exec(stderr)?.[1]
    if (ambiguous !== undefined) throw namesakes(ambiguous)
    const remote = remoteLines(stderr)
    const why = refused.filter((line) => line.includes('[remote rejected]')).map(refusalReason)
    if (why.length > 0)
      return { kind: 'refused', words: [...new Set([...remote, ...why])].map((line) => printable(line, 300)) }
    throw this.#failure('push', stderr)
  }

  /**
   * Makes each change that can be made, one by one, each only where the host's ref is at `from` still. Returns how many
   * were made. Throws HeadgateError 'unavailable' where the host does not answer at all.
   */
  async pushEach(changes: readonly RefChange[]): Promise<number> {
    let made = 0
    for (const some of batches(changes, ({ ref }) => 3 * ref.length + 200)) {
      const { exitCode, stdout, stderr } = await this.#git(
        pushArguments(this.url, some, false),
        TALK_TIMEOUT_MS,
        [1, 128],
      )
      const lines = stdout.toString('utf8').split('\n')
      if (exitCode !== 0 && !lines.some((line) => /^[!*=+-]\t| \t/.test(line)))
        throw this.#failure('push', stderr)
      made += lines.filter((line) => /^[ *+-]\t/.test(line)).length
    }
    return made
  }

  async #git(
    args: readonly string[],
    timeoutMs: number,
    allowExit: readonly number[] = [],
  ): Promise<RunResult> {
    const { gitPath } = this.#access
    const command = {
      gitPath,
      args: [`--git-dir=${this.#cache}`, ...args],
      name: args[0] ?? '',
      env: environmentFor(this.#access),
      cwd: this.#cache,
    }
    const result = await runGit(command, { timeoutMs, allowExit: [...allowExit, 1, 128] })
    if (result.exitCode !== 0 && !allowExit.includes(result.exitCode))
      throw this.#failure(args[0] ?? '', result.stderr)
    return result
  }

  #failure(what: string, stderr: string): HeadgateError {
    const shown = withoutSecrets(this.url)
    const said = lastWords(stderr)
    return new HeadgateError('unavailable', `${printable(shown, 200)}: git ${what}: ${said}`, {
      hint: `try it by hand, as this account: git ls-remote ${shellWord(shown)}`,
    })
  }
}

/** Arguments of a process have a limit, and names of refs are the host's. */
const MAX_ARGUMENT_BYTES = 256 * 1024

function* batches<T>(
  items: readonly T[],
  sizeOf: (item: T) => number = (item) => String(item).length,
): Generator<T[]> {
  let batch: T[] = []
  let size = 0
  for (const item of items) {
    const more = sizeOf(item)
    if (batch.length > 0 && size + more > MAX_ARGUMENT_BYTES) {
      yield batch
      batch = []
      size = 0
    }
    batch.push(item)
    size += more
  }
  if (batch.length > 0) yield batch
}

function pushArguments(url: string, changes: readonly RefChange[], atomic: boolean): string[] {
  return [
    'push',
    '--porcelain',
    '--no-verify',
    '--no-signed',
    ...(atomic ? ['--atomic'] : []),
    ...changes.map(({ ref, from }) => `--force-with-lease=${ref}:${isZeroOid(from) ? '' : from}`),
    '--',
    url,
    ...changes.map(({ ref, to }) => `${isZeroOid(to) ? '' : to}:${ref}`),
  ]
}

function namesakes(ref: string): HeadgateError {
  const name = printable(ref, 200)
  return new HeadgateError('configuration', `the host has several refs that git takes for ${name}`, {
    hint: `delete the others, such as refs/tags/${name} and refs/heads/${name}: git ls-remote URL '*${name}' lists them`,
  })
}

/** What git is started with. The token is in no argument, which other accounts of the machine could read. */
function environmentFor({ url, sshKey, token, environment }: HostAccess): Record<string, string> {
  const given = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  const settings: [string, string][] = [
    ...settingsOf(environment),
    // What is fetched is one pack: it is there as a whole or not at all.
    ['fetch.unpackLimit', '1'],
    ['core.hooksPath', '/dev/null'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['push.followTags', 'false'],
    ['push.recurseSubmodules', 'no'],
    ['push.gpgSign', 'false'],
    ['color.ui', 'false'],
  ]
  if (token !== undefined && /^https?:/.test(url)) {
    const basic = Buffer.from(`x-access-token:${token}`).toString('base64')
    settings.push([`http.${new URL(url).origin}/.extraHeader`, `Authorization: Basic ${basic}`])
  }
  const ssh = `ssh -i ${shellWord(sshKey ?? '')} -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15`
  return {
    ...Object.fromEntries(
      // What says where git is, and what git and the programs that it starts need not know.
      given.filter(([name]) => !NOT_FOR_GIT.test(name)),
    ),
    ...(sshKey === undefined ? {} : { GIT_SSH_COMMAND: ssh }),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  }
}

const NOT_FOR_GIT =
  /^(?:HEADGATE_|GIT_(?:DIR|COMMON_DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|QUARANTINE_PATH|CONFIG_(?:COUNT|KEY_|VALUE_))$|GIT_CONFIG_(?:KEY|VALUE)_)/

/** Those that the caller's environment has already, such as the credentials of a CI. */
function settingsOf(environment: HostAccess['environment']): [string, string][] {
  const count = Number(environment.GIT_CONFIG_COUNT ?? 0)
  return Array.from(
    { length: Number.isInteger(count) && count < 1000 ? count : 0 },
    (_, index): [string, string] => [
      environment[`GIT_CONFIG_KEY_${index}`] ?? '',
      environment[`GIT_CONFIG_VALUE_${index}`] ?? '',
    ],
  ).filter(([key]) => key !== '')
}
