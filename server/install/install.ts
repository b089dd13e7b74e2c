import { accessSync, constants, existsSync, lstatSync, realpathSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { printable, shellWord } from '../../src/core/printable.ts'
import { tooOld } from '../../src/git/git-version.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { readSharing, shareFolder } from '../../src/git/sharing.ts'
import { askConfig } from '../../src/git/user-git.ts'
import { parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { removeEmptyReflogs, writeGuardedList } from '../guarded-list.ts'
import { type Host, hostBySigns, runsOwnHooks } from '../hook-places.ts'
import { ensureSealKey } from '../seal-key.ts'
import { readSettings, SERVER_DIRECTORY, type ServerSettings, writeSettings } from '../settings.ts'
import { accountName } from './accounts.ts'
import { installHooks, uninstallHooks } from './hook-files.ts'
import { requireUsableSource, sourceRemarks } from './identity-source.ts'
import { openNamed } from './open-named.ts'
import { HOOKS_PATH, pinSettings } from './pinned-settings.ts'
import { readFormerBranches, readPolicyInForce } from './policy-files.ts'
import { requireNoAlias } from './require-no-alias.ts'

export type Installation = {
  readonly gitDirectory: string
  /** Where the names of pushers come from. */
  readonly identity: string
  /** Hooks that were there before and run first from now on. */
  readonly kept: readonly string[]
  /** Repository settings that were changed, as `name=value`. */
  readonly settings: readonly string[]
  /** What the admin should know and need not act on. */
  readonly remarks: readonly string[]
}

export type InstallOptions = {
  readonly path: string
  /** The git that the hooks will start, by its absolute path. */
  readonly gitPath: string
  /** Where the hooks learn who pushes. */
  readonly named?: string | undefined
  readonly host?: Host | undefined
  /** Policies that are about to be applied. */
  readonly policies?: readonly Policy[]
  /** Whether the hooks tell what they do; undefined: as before, else not. */
  readonly debug?: boolean | undefined
}

/**
 * Installs hooks, seal key and repository settings. Everything that the hooks need is put in place before they are, so
 * that an interrupted installation guards nothing rather than half; run again it completes itself. Without `named`, the
 * identity source, it is that of the last installation; so is the host, else plain.
 */
export async function installServer({
  path,
  gitPath,
  named,
  host,
  policies = [],
  debug,
}: InstallOptions): Promise<Installation> {
  if (named !== undefined) requireUsableSource(named)
  const repository = await openNamed(path, gitPath)
  try {
    const gitDirectory = repository.commonDirectory
    const last = settingsBefore(gitDirectory)
    const before = last?.host
    const chosen = host ?? before ?? 'plain'
    const identity = named ?? last?.identity
    if (identity === undefined) throw withoutIdentity(gitDirectory)
    await requireGuardable(path, repository, chosen)
    if (host === undefined && before === undefined) requireNoSignsOfHost(gitDirectory)
    // The ledger outlives an installation: what its policy guards is guarded from the first moment of the next one.
    const inForce = await readPolicyInForce(repository)
    for (const policy of [...policies, ...(inForce === null ? [] : [parsePolicyFiles(inForce).policy])])
      await requireNoAlias(repository, policy)
    const sharing = await readSharing(repository)
    shareFolder(join(gitDirectory, SERVER_DIRECTORY), sharing)
    ensureSealKey(gitDirectory)
    if (before !== undefined && before !== chosen) uninstallHooks(gitDirectory, before)
    const settings: ServerSettings = {
      version: 1,
      identity,
      git: repository.gitPath,
      host: chosen,
      debug: debug ?? last?.debug ?? false,
    }
    writeSettings(gitDirectory, settings)
    const former = inForce === null ? [] : await readFormerBranches(repository)
    writeGuardedList(gitDirectory, inForce === null ? [] : [parsePolicyFiles(inForce).policy], { former })
    removeEmptyReflogs(gitDirectory)
    removeFormerCache(gitDirectory)

    const { kept } = installHooks(gitDirectory, settings, sharing)
    const remarks = [
      ...(identity === last?.identity ? [] : sourceRemarks(identity)),
      ...(runsOwnHooks(chosen) ? hooksElsewhere(repository) : []),
      ...(settings.debug ? [DEBUG_REMARK] : []),
    ]
    return { gitDirectory, identity, kept, settings: await pinSettings(repository, chosen), remarks }
  } finally {
    repository.close()
  }
}

const DEBUG_REMARK =
  'the hooks tell everybody who pushes what they do, with paths of this machine; to end it: headgate server install REPO.git --no-debug-hooks'

/** Refuses, before anything is written, a place where the guard would not hold or would put something else out of use. */
async function requireGuardable(path: string, repository: GitRepository, host: Host): Promise<void> {
  const { commonDirectory } = repository
  const named = realpathSync(path)
  const bare =
    (await repository.run(['rev-parse', '--is-bare-repository'])).stdout.toString().trim() === 'true'
  if (named !== commonDirectory && !bare && dirname(commonDirectory) !== named) {
    throw new HeadgateError('configuration', `${path} is not a git repository, only a folder inside of one`, {
      hint: 'name the bare repository itself, the folder that people push to',
    })
  }
  if (!bare) {
    throw new HeadgateError(
      'configuration',
      `${path} has a working tree, and headgate guards bare repositories`,
      {
        hint: 'name the bare repository that people push to; git clone --bare makes one',
      },
    )
  }
  if (named !== commonDirectory) {
    throw new HeadgateError('configuration', `${path} is not the repository itself`, {
      hint: `headgate server install ${shellWord(commonDirectory)} --identity SOURCE`,
    })
  }
  if (/[\r\n]/.test(commonDirectory)) {
    throw new HeadgateError(
      'configuration',
      `${printable(commonDirectory, 500)} has a line break in its path`,
      {
        hint: "git's configuration cannot name such a path: rename the folder",
      },
    )
  }
  const old = tooOld(repository.gitPath)
  if (old !== null) throw old
  requireOwnWritable(commonDirectory)
  requireCaseSensitive(commonDirectory)
  if (!runsOwnHooks(host)) return
  requireOwnHooksFolder(commonDirectory)
  await requireNoOtherHooksPath(repository)
}

/** Earlier versions kept there what hooks had compiled and parsed. */
function removeFormerCache(gitDirectory: string): void {
  try {
    rmSync(join(gitDirectory, SERVER_DIRECTORY, 'cache'), { recursive: true, force: true })
  } catch {
    // Another account's files, which nobody reads any more.
  }
}

/** Undefined where headgate is not installed; damaged settings are written anew. */
export function settingsBefore(gitDirectory: string): ServerSettings | undefined {
  try {
    return readSettings(gitDirectory)
  } catch {
    return undefined
  }
}

function withoutIdentity(gitDirectory: string): HeadgateError {
  return new HeadgateError('usage', `nobody has said yet how pushers are known in ${gitDirectory}`, {
    hint: 'add --identity SOURCE: env:REMOTE_USER for smart HTTP, env:USER for separate accounts, ssh-auth-info or push-cert',
  })
}

const HOST_NAMES = {
  gitea: { name: 'Gitea or Forgejo', identity: 'env:GITEA_PUSHER_NAME' },
  gitlab: { name: 'GitLab', identity: 'env:GL_USERNAME' },
}

/** Hooks where git alone looks for them would be overwritten there one day, or never run. */
function requireNoSignsOfHost(gitDirectory: string): void {
  const host = hostBySigns(gitDirectory)
  if (host === null) return
  const { name, identity } = HOST_NAMES[host]
  const command = `headgate server install ${shellWord(gitDirectory)} --identity ${identity} --host`
  throw new HeadgateError('configuration', `${gitDirectory} looks like a repository of ${name}`, {
    hint: `its hooks have a place of their own there: ${command} ${host}   (${command} plain, if it is none)`,
  })
}

/** A hooks folder that is a link may serve other repositories, too, and `hooks/..` is then somewhere else. */
function requireOwnHooksFolder(gitDirectory: string): void {
  const hooks = join(gitDirectory, 'hooks')
  if (!lstatSync(hooks, { throwIfNoEntry: false })?.isSymbolicLink()) return
  throw new HeadgateError('configuration', `${hooks} is a symbolic link`, {
    hint: 'headgate needs a hooks folder of this repository alone: copy what the link points at into its place',
  })
}

/** Hooks in another folder would silently stop running once core.hooksPath names the repository's own. */
async function requireNoOtherHooksPath(repository: GitRepository): Promise<void> {
  const { stdout } = await repository.run(['config', '--local', '--no-includes', '--get-all', HOOKS_PATH], {
    allowExit: [0, 1],
  })
  const hooks = join(repository.commonDirectory, 'hooks')
  const other = stdout
    .toString('utf8')
    .split('\n')
    .find((value) => value !== '' && resolve(repository.commonDirectory, value) !== hooks)
  if (other === undefined) return
  throw new HeadgateError(
    'configuration',
    `${HOOKS_PATH} is ${printable(other, 300)} there, and the hooks in that folder would no longer run`,
    {
      hint: `move them to ${hooks}, then: git --git-dir=${shellWord(repository.commonDirectory)} config --unset-all ${HOOKS_PATH}`,
    },
  )
}

/** Files that another account made would stop the account that serves pushes from writing. */
function requireOwner(gitDirectory: string): void {
  const me = process.getuid?.()
  const owner = statSync(gitDirectory).uid
  if (me === undefined || me === owner) return
  const name = accountName(owner)
  throw new HeadgateError('configuration', `${gitDirectory} belongs to ${name}, and you are somebody else`, {
    hint: `run it as the owner: sudo -u ${name} headgate ...`,
  })
}

/** Hooks of the whole machine or account end here: this repository now has its own folder of hooks. */
function hooksElsewhere({ gitPath }: GitRepository): string[] {
  return ['system', 'global'].flatMap((scope) => {
    const folder = printable(askConfig(gitPath, [`--${scope}`, '--get', HOOKS_PATH]).trimEnd(), 300)
    return folder === ''
      ? []
      : [
          `${HOOKS_PATH} of the ${scope} configuration, ${folder}, does not count here: hooks in that folder do not run`,
        ]
  })
}

/** Refuses where what a command writes could not be read or replaced by the account that serves pushes. */
export function requireOwnWritable(gitDirectory: string): void {
  requireOwner(gitDirectory)
  requireWritable(gitDirectory)
}

function requireWritable(gitDirectory: string): void {
  for (const name of ['.', 'config', 'hooks', 'custom_hooks', SERVER_DIRECTORY, 'refs', 'objects']) {
    const path = join(gitDirectory, name)
    if (!existsSync(path)) continue
    try {
      accessSync(path, constants.W_OK)
    } catch (cause) {
      throw new HeadgateError(
        'configuration',
        `${path} cannot be written (${(cause as NodeJS.ErrnoException).code})`,
        {
          hint: 'make the repository writable for the account that owns it and serves pushes',
          cause,
        },
      )
    }
  }
}

/** Where RELEASE and release are one file, a ref could be moved under a name that nobody guards. */
function requireCaseSensitive(gitDirectory: string): void {
  if (existsSync(resolve(gitDirectory, 'head')) && existsSync(resolve(gitDirectory, 'HEAD'))) {
    throw new HeadgateError(
      'configuration',
      `the file system of ${gitDirectory} ignores upper and lower case`,
      {
        hint: 'keep guarded repositories on a case-sensitive file system',
      },
    )
  }
}
