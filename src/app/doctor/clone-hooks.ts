/** The client hooks of a clone: are they where git looks, whole, and those of this version? */
import { accessSync, constants, existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { printable } from '../../core/printable.ts'
import { areHooksOff, type ClonePlaces, unsetHooksPath } from '../client-hooks/clone-places.ts'
import { CLIENT_HOOKS, type ClientHook, hookScript, readHook } from '../client-hooks/hook-script.ts'
import { blocksInHusky, missingInHusky } from '../client-hooks/husky.ts'
import type { Runner } from '../client-hooks/install.ts'
import { hasBlockInLefthook, isInLefthook } from '../client-hooks/lefthook.ts'
import { ownFolder, unknownSharedHooks } from '../client-hooks/own-folder.ts'
import {
  hasBlockInPreCommit,
  isInPreCommit,
  PRE_COMMIT_FILE,
  placeBesidePreCommit,
} from '../client-hooks/pre-commit.ts'
import { missingSharedHooks, sharedScripts, staleSharedHooks } from '../client-hooks/shared-hooks.ts'
import { type Diagnosis, problem } from './diagnosis.ts'

const INIT = 'headgate init'
const INSTALL = { kind: 'install' } as const

export function checkCloneHooks(places: ClonePlaces, runner: Runner): Diagnosis[] {
  if (places.hooksPath !== null && runner.kind !== 'own-folder' && areHooksOff(places)) {
    const { value, scope } = places.hooksPath
    const what = `no hook runs here: core.hooksPath (${scope} configuration) is "${printable(value, 300)}"`
    return [problem('shadowed', what, `${unsetHooksPath(places.hooksPath)} && ${INIT}`)]
  }
  const shadowed = checkShadowed(places, runner)
  switch (runner.kind) {
    case 'husky':
      return [...checkHusky(places, runner), ...shadowed]
    case 'lefthook':
      return [...checkLefthook(places, runner.file), ...shadowed]
    case 'pre-commit':
      return [...checkPreCommit(places), ...shadowed]
    case 'git':
      return checkFolder(places.hooks, (name) => placeBesidePreCommit(places.hooks, name))
    case 'own-folder': {
      if (places.hooks !== ownFolder(places)) {
        const what = `core.hooksPath of the ${places.hooksPath?.scope} configuration (${printable(runner.shared, 300)}) decides which hooks run here, and headgate's are not among them`
        return [problem('shadowed', what, INIT, INSTALL)]
      }
      const later = unknownSharedHooks(places, runner.shared).map((name) =>
        problem(
          'shared-hook-unknown',
          `the ${name} hook that all repositories share does not run here yet`,
          INIT,
          INSTALL,
        ),
      )
      return [...checkFolder(places.hooks, (name) => name), ...later]
    }
  }
}

function checkFolder(folder: string, place: (name: ClientHook) => string): Diagnosis[] {
  return CLIENT_HOOKS.flatMap((name) => {
    const path = join(folder, place(name))
    const there = readHook(path)
    if (there === null || !there.ours) {
      const what =
        there === null
          ? `the ${name} hook is missing`
          : `the ${name} hook is somebody else's, and headgate's is missing`
      return [problem('hook-missing', `${what} (${printable(path, 500)})`, INIT, INSTALL)]
    }
    const findings: Diagnosis[] = []
    if (!isExecutable(path))
      findings.push(
        problem(
          'hook-not-executable',
          `${printable(path, 500)} is not executable, so that git ignores it`,
          INIT,
          INSTALL,
        ),
      )
    if (there.text !== Buffer.from(hookScript(name, there.kept)).toString('latin1'))
      findings.push(
        problem('hook-stale', `the ${name} hook is not the one of this version of headgate`, INIT, INSTALL),
      )
    return findings
  })
}

function checkShared(top: string, runner: 'husky' | 'lefthook' | 'pre-commit'): Diagnosis[] {
  return [
    ...missingSharedHooks(top, sharedScripts(runner)).map((path) =>
      problem('hook-missing', `${path} is missing`, INIT, INSTALL),
    ),
    ...staleSharedHooks(top).map((path) =>
      problem(
        'hook-stale',
        `${path} is not the one of this version of headgate`,
        `${INIT}  # then commit it`,
        INSTALL,
      ),
    ),
  ]
}

/** What an older version put into a file of others': every push fails where git checks that out with CR LF. */
function olderBlock(file: string): Diagnosis {
  const what = `${printable(file, 300)} has several lines of an older headgate, which no shell takes with CRLF line ends`
  return problem('hook-stale', what, `${INIT}  # then commit it`, INSTALL)
}

function checkHusky({ top, hooks }: ClonePlaces, runner: Extract<Runner, { kind: 'husky' }>): Diagnosis[] {
  const findings = checkShared(top, 'husky')
  for (const name of missingInHusky(top, runner.folder))
    findings.push(problem('hook-missing', `husky does not start headgate's ${name} hook`, INIT, INSTALL))
  for (const name of blocksInHusky(top, runner.folder))
    findings.push(olderBlock(join(relative(top, runner.folder), name)))
  if (!runner.active) {
    const program = join(top, 'node_modules', '.bin', 'husky')
    const what = existsSync(hooks)
      ? `the project has husky, but git looks for hooks in ${printable(hooks, 300)}`
      : `husky is not set up in this working tree, so no hook runs here (${printable(hooks, 300)} is missing)`
    const repair = existsSync(program) ? ({ kind: 'run', program, args: [], cwd: top } as const) : undefined
    findings.push(problem('husky-inactive', what, existsSync(program) ? 'npx husky' : 'npm install', repair))
  }
  return findings
}

function checkLefthook({ top, hooks }: ClonePlaces, file: string): Diagnosis[] {
  const findings = checkShared(top, 'lefthook')
  if (!isInLefthook(top, file))
    findings.push(problem('hook-missing', `${file} does not name headgate's hooks`, INIT, INSTALL))
  else if (hasBlockInLefthook(top, file)) findings.push(olderBlock(file))
  const own = existsSync(join(top, 'node_modules', '.bin', 'lefthook'))
  const command = `${own ? 'npx ' : ''}lefthook install`
  for (const name of CLIENT_HOOKS) {
    if (/lefthook/.test(readHook(join(hooks, name))?.text ?? '')) continue
    findings.push(problem('hook-missing', `git does not start lefthook for ${name}`, command, INSTALL))
  }
  return findings
}

function checkPreCommit({ top, hooks }: ClonePlaces): Diagnosis[] {
  const findings = [
    ...checkShared(top, 'pre-commit'),
    ...checkFolder(hooks, (name) => placeBesidePreCommit(hooks, name)),
  ]
  if (!isInPreCommit(top))
    findings.push(
      problem('hook-missing', ".pre-commit-config.yaml does not name headgate's hooks", INIT, INSTALL),
    )
  else if (hasBlockInPreCommit(top)) findings.push(olderBlock(PRE_COMMIT_FILE))
  return findings
}

/** Ours are in the usual folder, and git looks elsewhere. */
function checkShadowed({ common, hooks, hooksPath }: ClonePlaces, runner: Runner): Diagnosis[] {
  const usual = join(common, 'hooks')
  if (usual === hooks || hooksPath === null || runner.kind === 'husky') return []
  const names = CLIENT_HOOKS.filter((name) => readHook(join(usual, name))?.ours)
  if (names.length === 0) return []
  const what = `headgate's hooks in ${printable(usual, 300)} do not run: core.hooksPath (${hooksPath.scope} configuration) names ${printable(hooksPath.value, 300)}`
  return [problem('shadowed', what, `${INIT}  # or: ${unsetHooksPath(hooksPath)}`, INSTALL)]
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
