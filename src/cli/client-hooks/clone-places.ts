/** Where the hooks of this clone are, and who else looks after them. */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import * as z from 'zod'
import { HeadgateError } from '../../core/errors.ts'
import { ClientRepository } from '../client-repository.ts'

export type ClonePlaces = {
  /** Top of this working tree. */
  readonly top: string
  /** The git folder that all its worktrees share. */
  readonly common: string
  /** Where git looks for hooks now. */
  readonly hooks: string
  /** `core.hooksPath` where it is set, and the configuration that says so (`local`, `global`, `system`, ...). */
  readonly hooksPath: { readonly value: string; readonly scope: string } | null
}

export async function findPlaces(client: ClientRepository): Promise<ClonePlaces> {
  const top = await client.topLevel()
  if (top === null) {
    // Says so where there is no repository at all.
    ;(await client.open()).close()
    const bare = (await client.git('rev-parse', '--is-bare-repository')).trim() === 'true'
    throw new HeadgateError('usage', 'this repository has no working tree', {
      hint: bare
        ? 'a bare repository on a server is guarded by: headgate server install REPO.git --identity SOURCE'
        : 'run it in the working tree of a clone',
    })
  }
  // Hooks are started at the top: a relative core.hooksPath means that folder, wherever this command runs.
  const paths = await new ClientRepository({ folder: top }).git(
    'rev-parse',
    '--git-common-dir',
    '--git-path',
    'hooks',
  )
  const [common = '', hooks = ''] = paths.split('\n')
  // No value is an answer; git config ends with 1 then.
  const configured = await client.git('config', '--default', '', '--show-scope', '--get', 'core.hooksPath')
  const [scope = '', value = ''] = configured.replace(/\n$/, '').split('\t')
  return {
    top,
    common: realpathSync(resolve(top, common)),
    hooks: resolve(top, hooks),
    hooksPath: value === '' ? null : { value, scope },
  }
}

/** Hooks for all repositories of an account or a machine: nothing of one project belongs there. */
export function isShared({ hooksPath }: ClonePlaces): boolean {
  return hooksPath?.scope === 'global' || hooksPath?.scope === 'system'
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
  dependencies: z.record(z.string(), z.unknown()).optional(),
  devDependencies: z.record(z.string(), z.unknown()).optional(),
})

function dependsOn(top: string, name: string): boolean {
  try {
    const { dependencies = {}, devDependencies = {} } = packageSchema.parse(
      JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')),
    )
    return Object.hasOwn(dependencies, name) || Object.hasOwn(devDependencies, name)
  } catch {
    return false
  }
}
