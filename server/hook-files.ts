/**
 * The shell hooks in a repository: rendered from `hooks/server/`, beside or before what was there.
 *
 * An existing hook is renamed to `NAME.kept-by-headgate` and runs first; both must pass.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HeadgateError } from '../src/core/errors.ts'
import { parseIdentitySource, type ServerSettings } from './settings.ts'

export const SERVER_HOOKS = ['pre-receive', 'reference-transaction', 'post-receive'] as const

const KEPT_SUFFIX = '.kept-by-headgate'
const MARK = 'put here by `headgate server install`'

/** The package's own folder: the nearest one above this file that holds the hook templates. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'hooks', 'server', 'pre-receive'))) {
    const parent = dirname(folder)
    if (parent === folder) {
      throw new HeadgateError(
        'configuration',
        'the installation of headgate is incomplete: its hooks folder is missing',
        {
          hint: 'install the package again',
        },
      )
    }
    folder = parent
  }
  return folder
}

/** Writes the hooks. Safe to run again: our own hooks are replaced, a kept one stays kept. */
export function installHooks(gitDirectory: string, settings: ServerSettings): { kept: string[] } {
  const kept: string[] = []
  for (const name of SERVER_HOOKS) {
    const target = join(gitDirectory, 'hooks', name)
    const keptFile = `${target}${KEPT_SUFFIX}`
    if (exists(target) && !isOurs(target)) {
      if (exists(keptFile)) {
        throw new HeadgateError(
          'configuration',
          `${target} is not headgate's, and ${keptFile} exists already`,
          {
            hint: 'make one hook of the two, remove the other, and install again',
          },
        )
      }
      renameSync(target, keptFile)
    }
    if (exists(keptFile)) {
      // A hook that runs the scripts of `NAME.d` finds them by its own name, which is another one now.
      if (exists(`${target}.d`) && !exists(`${keptFile}.d`)) symlinkSync(`${name}.d`, `${keptFile}.d`)
      // git runs no hook that is not executable, and neither does ours.
      if (((statSync(keptFile, { throwIfNoEntry: false })?.mode ?? 0) & 0o111) !== 0) kept.push(name)
    }
    const text = hookText(name, gitDirectory, settings)
    // Renamed into place: a push never meets half a hook.
    const fresh = `${target}.headgate-new`
    writeFileSync(fresh, text, { mode: 0o755 })
    chmodSync(fresh, 0o755)
    renameSync(fresh, target)
  }
  return { kept }
}

/** A hook as `installHooks` writes it into this repository. */
export function hookText(
  name: (typeof SERVER_HOOKS)[number],
  gitDirectory: string,
  settings: ServerSettings,
): string {
  const root = packageRoot()
  const template = readFileSync(join(root, 'hooks', 'server', name), 'utf8')
  const kept = `${name}${KEPT_SUFFIX}`
  return render(root, template, settings, exists(join(gitDirectory, 'hooks', kept)) ? kept : '')
}

/** Removes our hooks and puts kept ones back; returns the names of these. */
export function uninstallHooks(gitDirectory: string): string[] {
  const restored: string[] = []
  for (const name of SERVER_HOOKS) {
    const target = join(gitDirectory, 'hooks', name)
    if (exists(target) && isOurs(target)) rmSync(target)
    const keptFile = `${target}${KEPT_SUFFIX}`
    if (lstatSync(`${keptFile}.d`, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(`${keptFile}.d`)
    if (!exists(keptFile) || exists(target)) continue
    renameSync(keptFile, target)
    restored.push(name)
  }
  return restored
}

function render(root: string, template: string, settings: ServerSettings, kept: string): string {
  const source = parseIdentitySource(settings.identity)
  const values: Record<string, string> = {
    '@NODE@': quote(process.execPath),
    '@APP@': quote(join(packageRoot(), 'dist', 'hook.cjs')),
    '@PERL@': quote(findPerl()),
    '@CURL@': quote(findCurl()),
    '@GIT@': quote(settings.git),
    '@KEPT@': quote(kept),
    '@PUSHER@': source.kind === 'env' ? `\${${source.name}-}` : '',
  }
  return template
    .replace(/^#!\/bin\/sh\n/, shebang())
    .replace('@ASK@\n', () => readFileSync(join(root, 'hooks', 'server', 'ask'), 'utf8'))
    .replace(/@(?:NODE|APP|PERL|CURL|GIT|KEPT|PUSHER)@/g, (placeholder) => values[placeholder] ?? '')
}

/** The hooks talk to the service through it on Linux, whose socket addresses the hook packs itself. */
function findPerl(): string {
  return process.platform === 'linux' && existsSync('/usr/bin/perl') ? '/usr/bin/perl' : ''
}

/** Elsewhere through this one; where there is neither, the hooks decide by themselves. */
function findCurl(): string {
  return ['/usr/bin/curl', '/bin/curl', '/usr/local/bin/curl'].find((path) => existsSync(path)) ?? ''
}

/**
 * Where /bin/sh is bash, a pusher's SHELLOPTS=noexec would make a hook say yes without running, and exported functions
 * would run in it; privileged mode (-p) ignores both. dash knows -p, too; a shell that doesn't know it reads neither.
 */
function shebang(): string {
  const knows = spawnSync('/bin/sh', ['-p', '-c', ':'], { env: {} }).status === 0
  return knows ? '#!/bin/sh -p\n' : '#!/bin/sh\n'
}

function quote(text: string): string {
  if (/[\0\n\r]/.test(text)) {
    throw new HeadgateError(
      'configuration',
      `a path with a line break in it cannot stand in a hook: ${JSON.stringify(text)}`,
    )
  }
  return `'${text.replaceAll("'", `'\\''`)}'`
}

export function isOurs(file: string): boolean {
  try {
    return readFileSync(file, 'latin1').includes(MARK)
  } catch {
    return false
  }
}

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
