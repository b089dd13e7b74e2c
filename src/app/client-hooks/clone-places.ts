/** Where the hooks of this clone are, and who else looks after them. */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import * as z from '../../core/zod-mini.ts'
import { readTreeText, treeFolder } from '../../git/tree-file.ts'
import { ClientRepository } from '../clone/client-repository.ts'

export type ClonePlaces = {
  /** Top of this working tree. */
  readonly top: string
  /** The git folder that all its worktrees share. */
  readonly common: string
  /** Where git looks for hooks now. */
  readonly hooks: string
  /** `core.hooksPath` where it is set, and the configuration that says so (`local`, `global`, `system`, ...). */
  readonly hooksPath: HooksPath | null
  /** The folder for the hooks of all repositories that the account's or the machine's configuration names. */
  readonly shared: string | null
}

export type HooksPath = { readonly value: string; readonly scope: string }

export async function findPlaces(client: ClientRepository): Promise<ClonePlaces> {
  const top = await client.topLevel()
  if (top === null) {
    // Its error says it where there is no repository at all.
    ;(await client.open()).close()
    const bare = (await client.git('rev-parse', '--is-bare-repository')).trim() === 'true'
    throw new HeadgateError('usage', 'this repository has no working tree', {
      hint: bare
        ? 'run it in a working tree of the clone; a repository on its server: headgate server install REPO.git --identity SOURCE'
        : 'run it in the working tree of a clone',
    })
  }
  // Hooks are started at the top: a relative core.hooksPath means that folder, wherever this command runs.
  const paths = await new ClientRepository({ ...client.caller, folder: top }).git(
    'rev-parse',
    '--git-common-dir',
    '--git-path',
    'hooks',
  )
  const [common = '', hooks = ''] = paths.split('\n')
  const configured = await readHooksPaths(client)
  // A folder of hooks that the repository commits must not lead elsewhere by links.
  if (!resolve(top, hooks).startsWith(`${realpathSync(resolve(top, common))}/`))
    treeFolder(top, resolve(top, hooks))
  return {
    top,
    common: realpathSync(resolve(top, common)),
    hooks: resolve(top, hooks),
    hooksPath: configured.at(-1) ?? null,
    shared: configured.findLast(isForAll)?.value ?? null,
  }
}

/** Every value, whichever file of the configuration holds it, the one in force last. */
async function readHooksPaths(client: ClientRepository): Promise<HooksPath[]> {
  const question = ['--null', '--show-scope', '--type=path', '--get-all', 'core.hooksPath']
  // Where there is no value git ends with 1; what else could be wrong has shown before.
  const fields = (await client.git('config', ...question).catch(() => '')).split('\0')
  const paths: HooksPath[] = []
  for (let at = 0; at + 1 < fields.length; at += 2)
    paths.push({ scope: fields[at] ?? '', value: fields[at + 1] ?? '' })
  return paths
}

/** A relative path is a folder of each project, whichever file names it. */
function isForAll({ scope, value }: HooksPath): boolean {
  return (scope === 'global' || scope === 'system') && isAbsolute(value)
}

/** Whether git looks in the folder for the hooks of all repositories: nothing of one project belongs there. */
export function isShared({ hooksPath }: ClonePlaces): boolean {
  return hooksPath !== null && isForAll(hooksPath)
}

/** Hooks are switched off here, by a `core.hooksPath` that is no folder: empty, or /dev/null. */
export function areHooksOff({ hooks, hooksPath }: ClonePlaces): boolean {
  if (hooksPath === null) return false
  return hooksPath.value === '' || statSync(hooks, { throwIfNoEntry: false })?.isDirectory() === false
}

/** How to take `core.hooksPath` out of the configuration that sets it. */
export function unsetHooksPath({ scope }: HooksPath): string {
  return scope === 'command'
    ? 'leave -c core.hooksPath=... and GIT_CONFIG_COUNT out'
    : `git config --${scope} --unset-all core.hooksPath`
}

/** `.husky` where this project has husky, whether or not it is set up in this clone. */
export function huskyFolder({ top, hooks, hooksPath }: ClonePlaces): string | null {
  if (basename(hooks) === '_' && (hooksPath?.value.includes('.husky') || existsSync(join(hooks, 'h'))))
    return dirname(hooks)
  const usual = join(top, '.husky')
  if (hooks === usual) return usual
  return dependsOn(top, 'husky') ? usual : null
}

/** husky is set up where git looks for hooks in its folder, and that is there. */
export function isHuskyActive({ hooks }: ClonePlaces, husky: string): boolean {
  return (dirname(hooks) === husky || hooks === husky) && existsSync(hooks)
}

const packageSchema = z.object({
  dependencies: z.optional(z.record(z.string(), z.unknown())),
  devDependencies: z.optional(z.record(z.string(), z.unknown())),
})

function dependsOn(top: string, name: string): boolean {
  try {
    const { dependencies = {}, devDependencies = {} } = packageSchema.parse(
      JSON.parse(readTreeText(top, 'package.json') ?? ''),
    )
    return Object.hasOwn(dependencies, name) || Object.hasOwn(devDependencies, name)
  } catch {
    return false
  }
}
