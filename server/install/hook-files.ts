/**
 * The shell hooks in a repository: rendered from `hooks/server/`, beside or before what was there.
 *
 * An existing hook of git's own place is renamed to `NAME.kept-by-headgate` and runs first; both must pass. Where the
 * host runs all hooks of a folder, ours is one of them.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { replaceFile } from '../../src/git/own-files.ts'
import { type Sharing, shareFolder } from '../../src/git/sharing.ts'
import { packageFolder } from '../../src/guard/package-folder.ts'
import { type Host, hookPlace, isOurs, SERVER_HOOKS, type ServerHook } from '../hook-places.ts'
import { type IdentitySource, parseIdentitySource, type ServerSettings } from '../settings.ts'

const KEPT_SUFFIX = '.kept-by-headgate'

/** Writes the hooks. Safe to run again: our own hooks are replaced, a kept one stays kept. */
export function installHooks(
  gitDirectory: string,
  settings: ServerSettings,
  sharing: Sharing,
): { kept: string[] } {
  const kept: string[] = []
  for (const name of SERVER_HOOKS) {
    const place = hookPlace(settings.host, name)
    if (place === null) continue
    const target = join(gitDirectory, place)
    for (const folder of new Set([join(gitDirectory, place.split('/')[0] ?? ''), dirname(target)]))
      shareFolder(folder, sharing)
    if (isAmongOthers(place)) {
      if (exists(target) && !isOurs(target)) {
        throw new HeadgateError('configuration', `${target} is not headgate's`, {
          hint: 'give it another name, and install again',
        })
      }
    } else if (keepHook(name, target)) kept.push(name)
    replaceFile(target, hookText(name, gitDirectory, settings), { executable: true })
  }
  return { kept }
}

/** Moves a hook that is not ours aside. True if one is there that has to run. */
function keepHook(name: ServerHook, target: string): boolean {
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
  if (!exists(keptFile)) return false
  // A hook that runs the scripts of `NAME.d` finds them by its own name, which is another one now.
  if (exists(`${target}.d`) && !exists(`${keptFile}.d`)) symlinkSync(`${name}.d`, `${keptFile}.d`)
  // git runs no hook that is not executable, and neither does ours.
  return ((statSync(keptFile, { throwIfNoEntry: false })?.mode ?? 0) & 0o111) !== 0
}

/** A folder of hooks is the host's, and what else is in it is not ours to run. */
export function isAmongOthers(place: string): boolean {
  return dirname(place).endsWith('.d')
}

/** A hook as `installHooks` writes it into this repository. */
export function hookText(name: ServerHook, gitDirectory: string, settings: ServerSettings): string {
  const root = packageFolder()
  const template = readFileSync(join(root, 'hooks', 'server', name), 'utf8')
  const place = hookPlace(settings.host, name) ?? ''
  const kept = `${name}${KEPT_SUFFIX}`
  const isKept = !isAmongOthers(place) && exists(join(gitDirectory, dirname(place), kept))
  return render(root, template, settings, place, isKept ? kept : '')
}

/** Removes our hooks and puts kept ones back; returns the names of these. */
export function uninstallHooks(gitDirectory: string, host: Host): string[] {
  const restored: string[] = []
  for (const name of SERVER_HOOKS) {
    const place = hookPlace(host, name)
    if (place === null) continue
    const target = join(gitDirectory, place)
    if (exists(target) && isOurs(target)) rmSync(target)
    if (isAmongOthers(place)) {
      removeEmpty(dirname(target), dirname(dirname(target)))
      continue
    }
    const keptFile = `${target}${KEPT_SUFFIX}`
    if (lstatSync(`${keptFile}.d`, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(`${keptFile}.d`)
    if (!exists(keptFile) || exists(target)) continue
    renameSync(keptFile, target)
    restored.push(name)
  }
  return restored
}

/** The folders that held our hook alone. */
function removeEmpty(...folders: string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder)
  } catch {
    // Something else is in it.
  }
}

function render(
  root: string,
  template: string,
  settings: ServerSettings,
  place: string,
  kept: string,
): string {
  const source = parseIdentitySource(settings.identity)
  const variable = pusherVariable(source)
  const values: Record<string, string> = {
    '@NODE@': quote(process.execPath),
    '@APP@': quote(join(packageFolder(), 'dist', 'hook.cjs')),
    '@PERL@': quote(findPerl()),
    '@GIT@': quote(settings.git),
    '@KEPT@': quote(kept),
    '@DEBUG@': settings.debug ? 'yes' : '',
    '@HOST@': settings.host,
    '@UP@': dirname(place)
      .split('/')
      .map(() => '..')
      .join('/'),
    '@PUSHER@': variable === '' ? '' : `\${${variable}-}`,
    '@LOGIN@': source.kind === 'ssh-auth-info' ? 'yes' : '',
  }
  return template
    .replace(/^#!\/bin\/sh\n/, shebang())
    .replace(/^@(ASK|GUARDED|LINES|PLAIN-GIT|SHORT-WAY)@\n/gm, (_, name: string) =>
      readFileSync(join(root, 'hooks', 'server', name.toLowerCase()), 'utf8'),
    )
    .replace(
      /@(?:NODE|APP|PERL|GIT|KEPT|DEBUG|HOST|UP|PUSHER|LOGIN)@/g,
      (placeholder) => values[placeholder] ?? '',
    )
}

/** The variable that says who pushes, or where that stands. */
function pusherVariable(source: IdentitySource): string {
  switch (source.kind) {
    case 'env':
      return source.name
    case 'ssh-auth-info':
      return 'SSH_USER_AUTH'
    case 'push-cert':
      return ''
  }
}

const PERL = ['/usr/bin/perl', '/usr/local/bin/perl', '/run/current-system/sw/bin/perl']

/** The hooks talk to the service through it; where there is none, they decide by themselves. */
function findPerl(): string {
  return PERL.find((path) => existsSync(path)) ?? ''
}

/** Whether the shell of this machine knows -p; asked once. */
let privileged: boolean | undefined

/**
 * Where /bin/sh is bash, a pusher's SHELLOPTS=noexec would make a hook say yes without running, and exported functions
 * would run in it; privileged mode (-p) ignores both. dash knows -p, too; a shell that doesn't know it reads neither.
 */
function shebang(): string {
  privileged ??= spawnSync('/bin/sh', ['-p', '-c', ':'], { env: {} }).status === 0
  return privileged ? '#!/bin/sh -p\n' : '#!/bin/sh\n'
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

function exists(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
