import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import { findGit } from '../src/git/find-git.ts'
import { openRepository } from '../src/git/repository.ts'
import { writeGuardedList } from './guarded-list.ts'
import { installHooks, uninstallHooks } from './hook-files.ts'
import { ensureSealKey } from './seal-key.ts'
import { parseIdentitySource, SERVER_DIRECTORY, type ServerSettings, settingsPath } from './settings.ts'

export type Installation = {
  readonly gitDirectory: string
  /** Hooks that were there before and run first from now on. */
  readonly kept: readonly string[]
  readonly settings: string[]
}

/**
 * Installs hooks, seal key and repository settings. Everything is put in place before the hooks are, so that an
 * interrupted installation guards nothing rather than half; run again it completes itself.
 */
export async function installServer(path: string, identity: string): Promise<Installation> {
  parseIdentitySource(identity)
  const git = findGit()
  const repository = await openRepository(path, { gitPath: git })
  const gitDirectory = repository.commonDirectory
  requireOwner(gitDirectory)
  requireCaseSensitive(gitDirectory)

  const folder = join(gitDirectory, SERVER_DIRECTORY)
  mkdirSync(folder, { recursive: true })
  const shared = (await configValue(repository, 'core.sharedRepository')) ?? ''
  const groupShared = /^(?:1|true|group|all|world|everybody|0660|0664)$/i.test(shared)
  ensureSealKey(gitDirectory, groupShared ? 0o640 : 0o600)
  const settings: ServerSettings = { version: 1, identity, git }
  writeFileSync(settingsPath(gitDirectory), `${JSON.stringify(settings, null, 2)}\n`)
  if (!existsSync(join(folder, 'guarded'))) writeGuardedList(gitDirectory, [])

  mkdirSync(join(gitDirectory, 'hooks'), { recursive: true })
  const { kept } = installHooks(gitDirectory, settings)
  const changed = await pinSettings(repository, gitDirectory)
  repository.close()
  return { gitDirectory, kept, settings: changed }
}

/** Takes the hooks and their settings out. The ledger, the seal key and the policies stay: they are the record. */
export async function uninstallServer(path: string): Promise<string> {
  const repository = await openRepository(path, { gitPath: findGit() })
  const gitDirectory = repository.commonDirectory
  if (!existsSync(settingsPath(gitDirectory))) {
    throw new HeadgateError('configuration', `headgate is not installed in ${gitDirectory}`)
  }
  requireOwner(gitDirectory)
  uninstallHooks(gitDirectory)
  for (const args of [
    ['--unset-all', 'core.hooksPath', `^(?:${escapeRegex(join(gitDirectory, 'hooks'))}|hooks)$`],
    ['--unset-all', 'receive.hideRefs', '^refs/headgate/ledger$'],
    ['--remove-section', includeSection(gitDirectory)],
    ['--remove-section', WORKTREE_SECTION],
  ]) {
    await repository.run(['config', '--local', ...args], { allowExit: [0, 1, 2, 5, 128] })
  }
  rmSync(settingsPath(gitDirectory))
  rmSync(join(gitDirectory, SERVER_DIRECTORY, 'guarded'), { force: true })
  repository.close()
  return gitDirectory
}

type Repository = Awaited<ReturnType<typeof openRepository>>

const WORKTREE_SECTION = 'includeIf.gitdir:**/worktrees/*'

function includeSection(gitDirectory: string): string {
  return `includeIf.gitdir:${gitDirectory}/**`
}

/**
 * What the guard relies on stands in the repository's own configuration, where no pusher's environment reaches it.
 *
 * core.hooksPath must hold for pushes to the repository and to its linked worktrees, from any directory, and also after
 * the repository was moved or renamed, when an absolute path would silently name no hooks at all. So the last word is
 * the absolute path as long as the repository is where it was installed, and a relative one (seen from the repository,
 * or from a linked worktree's folder in it) anywhere else.
 */
async function pinSettings(repository: Repository, gitDirectory: string): Promise<string[]> {
  const folder = join(gitDirectory, SERVER_DIRECTORY)
  const include = (name: string, hooks: string): string => {
    const file = join(folder, name)
    writeFileSync(file, `[core]\n\thooksPath = ${JSON.stringify(hooks)}\n`)
    return `${SERVER_DIRECTORY}/${name}`
  }
  const worktrees = include('worktrees.config', '../../hooks')
  const here = include('location.config', join(gitDirectory, 'hooks'))
  const values: [string, string][] = [
    ['core.hooksPath', 'hooks'],
    [`${WORKTREE_SECTION}.path`, worktrees],
    [`${includeSection(gitDirectory)}.path`, here],
    // A rollback is not a fast-forward; the rules judge it, and better than a switch could.
    ['receive.denyNonFastForwards', 'false'],
    ['receive.advertisePushOptions', 'true'],
    ['core.fsync', 'committed,loose-object,reference'],
    ['core.logAllRefUpdates', 'always'],
  ]
  const changed: string[] = []
  for (const [name, value] of values) {
    if ((await configValue(repository, name)) === value) continue
    await repository.run(['config', '--local', '--replace-all', name, value])
    changed.push(`${name}=${value}`)
  }
  const hidden = await repository.run(['config', '--local', '--get-all', 'receive.hideRefs'], {
    allowExit: [0, 1],
  })
  if (!hidden.stdout.toString().split('\n').includes('refs/headgate/ledger')) {
    await repository.run(['config', '--local', '--add', 'receive.hideRefs', 'refs/headgate/ledger'])
    changed.push('receive.hideRefs=refs/headgate/ledger')
  }
  if ((await configValue(repository, 'receive.certNonceSeed')) === null) {
    const seed = randomBytes(32).toString('hex')
    await repository.run(['config', '--local', 'receive.certNonceSeed', seed])
    await repository.run(['config', '--local', 'receive.certNonceSlop', '300'])
    changed.push('receive.certNonceSeed=(random)')
  }
  return changed
}

async function configValue(repository: Repository, name: string): Promise<string | null> {
  const { stdout, exitCode } = await repository.run(['config', '--local', '--no-includes', '--get', name], {
    allowExit: [0, 1],
  })
  return exitCode === 0 ? stdout.toString('utf8').replace(/\n$/, '') : null
}

/** Files that another account made would stop the account that serves pushes from writing. */
function requireOwner(gitDirectory: string): void {
  const me = process.getuid?.()
  const owner = statSync(gitDirectory).uid
  if (me === undefined || me === owner) return
  const name =
    spawnSync('/usr/bin/id', ['-nu', String(owner)], { encoding: 'utf8' }).stdout?.trim() || String(owner)
  throw new HeadgateError('configuration', `${gitDirectory} belongs to ${name}, and you are somebody else`, {
    hint: `run it as the owner: sudo -u ${name} headgate ...`,
  })
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

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
