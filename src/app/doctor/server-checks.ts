/** A guarded repository on its server: hooks, settings, keys, service, and what the ledger says of the branches. */

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, lstatSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { readGuardedNames } from '../../../server/guarded-list.ts'
import {
  hookPlace,
  isOurs,
  runsOwnHooks,
  SERVER_HOOKS,
  type ServerHook,
} from '../../../server/hook-places.ts'
import { hookText, isAmongOthers } from '../../../server/install/hook-files.ts'
import { namesNobody } from '../../../server/install/identity-source.ts'
import {
  HIDDEN,
  HOOKS_PATH,
  NONCE_SEED,
  type OwnValues,
  ownValues,
  SETTINGS,
} from '../../../server/install/pinned-settings.ts'
import { findFlock } from '../../../server/ledger-queue.ts'
import { nodeComplaint } from '../../../server/node-version.ts'
import { formerSealKeys, isSealKeyInSight, readSealKey, sealKeyPath } from '../../../server/seal-key.ts'
import {
  parseIdentitySource,
  readSettings,
  SERVER_DIRECTORY,
  type ServerSettings,
} from '../../../server/settings.ts'
import { HeadgateError } from '../../core/errors.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import type { GitRepository } from '../../git/repository.ts'
import { readSharing } from '../../git/sharing.ts'
import { MAX_TREE_FILE_BYTES, readRegularFile } from '../../git/tree-file.ts'
import { checkConfiguredHooks } from './configured-hooks.ts'
import { type Diagnosis, problem, remark } from './diagnosis.ts'
import { checkGitVersion } from './git-age.ts'
import { checkPrivateKey } from './private-key.ts'

const INSTALL = { kind: 'install' } as const

export async function checkServer(repository: GitRepository): Promise<Diagnosis[]> {
  const directory = repository.commonDirectory
  const settings = readSettings(directory)
  const install = `headgate server install ${shellWord(directory)} --identity ${shellWord(settings.identity)}`
  return [
    ...checkGitVersion(settings.git),
    ...checkHooks(directory, settings, install),
    ...checkConfiguredHooks(settings.git, directory),
    ...(await checkSettings(repository, settings, install)),
    ...(await checkSealKey(repository, install)),
    ...(await checkService(directory)),
    ...checkLocks(directory),
    ...checkQueue(),
    ...checkDebug(directory, settings),
  ]
}

function checkDebug(directory: string, { debug }: ServerSettings): Diagnosis[] {
  if (!debug) return []
  const what = 'the hooks tell everybody who pushes what they do, with paths of this machine'
  const fix = `when the mistake is found: headgate server install ${shellWord(directory)} --no-debug-hooks`
  return [remark('debug-hooks', what, fix)]
}

function checkQueue(): Diagnosis[] {
  if (findFlock() !== undefined) return []
  const what = 'there is no flock(1) here: pushes that write to the ledger at once are not served in turn'
  return [remark('no-flock', what, 'install flock (package util-linux)')]
}

const WITHOUT: Record<ServerHook, string> = {
  'pre-receive': 'nothing is guarded',
  'reference-transaction':
    'the guard is weaker: a move of the release branch by anything but a push is found afterwards, as drift, and not refused',
  'post-receive': 'pushers are not told what landed, and the inbox is not emptied',
}

function checkHooks(directory: string, settings: ServerSettings, install: string): Diagnosis[] {
  const findings: Diagnosis[] = []
  for (const name of SERVER_HOOKS) {
    const place = hookPlace(settings.host, name)
    const without = WITHOUT[name]
    if (place === null) {
      const what = `${settings.host} runs no ${name} hook of others: ${without}`
      findings.push(remark('weaker-host', what, 'keep local git commands away from the repository'))
      continue
    }
    const path = join(directory, place)
    const caller = isAmongOthers(place) && runsOwnHooks(settings.host) ? dirname(path).slice(0, -2) : null
    if (caller !== null && !callsFolder(caller)) {
      const what = `${caller} is not the script of ${settings.host} that runs ${path}: ${without}`
      findings.push(
        problem('hook-not-called', what, 'let the host write its hooks anew ("resynchronize hooks")'),
      )
    }
    if (!existsSync(path)) {
      findings.push(problem('hook-missing', `the ${name} hook is missing: ${without}`, install, INSTALL))
      continue
    }
    if (!isOurs(path)) {
      findings.push(problem('hook-replaced', `${path} is not headgate's: ${without}`, install, INSTALL))
      continue
    }
    if (!isExecutable(path))
      findings.push(problem('hook-not-executable', `${path} is not executable: ${without}`, install, INSTALL))
    const text = readFileSync(path, 'utf8')
    const [, node = '', app = ''] = PROGRAMS.exec(text) ?? []
    const gone = [node, app].find((file) => !existsSync(file.replaceAll(`'\\''`, "'")))
    const complaint = gone === undefined ? versionComplaint(node) : null
    if (complaint !== null) {
      const what = `the ${name} hook cannot decide: ${complaint}`
      findings.push(problem('node-too-old', what, `${install}  # with a newer Node in PATH`, INSTALL))
    } else if (gone !== undefined) {
      const what = `the ${name} hook starts ${printable(gone, 300)}, which is gone: guarded branches are refused`
      findings.push(problem('hook-program-missing', what, install, INSTALL))
    } else if (text.replace(PROGRAMS, '') !== hookText(name, directory, settings).replace(PROGRAMS, '')) {
      const what = `the ${name} hook is not the one of this version of headgate`
      findings.push(problem('hook-stale', what, install, INSTALL))
    }
  }
  return findings
}

/** `node` as it stands in a hook. */
function versionComplaint(node: string): string | null {
  const path = node.replaceAll(`'\\''`, "'")
  const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', env: {} })
  return nodeComplaint(printable(path, 300), printable(stdout?.trim() ?? '', 40))
}

/** Which Node and which copy of headgate a hook starts: another than this one is no fault. */
const PROGRAMS = /^NODE='((?:[^']|'\\'')*)' APP='((?:[^']|'\\'')*)'/m

async function checkSettings(
  repository: GitRepository,
  settings: ServerSettings,
  install: string,
): Promise<Diagnosis[]> {
  const findings: Diagnosis[] = []
  const wrong = (what: string) => findings.push(problem('setting', what, install, INSTALL))
  const own = await ownValues(repository)
  for (const [name, value] of SETTINGS) {
    const current = own.last(name)
    if (current === value || (name === 'core.fsync' && current === 'all')) continue
    wrong(
      `${name} is ${current === null ? 'not set' : printable(current, 100)}, and headgate relies on ${value}`,
    )
  }
  if (own.last(NONCE_SEED) === null)
    wrong(`${NONCE_SEED} is not set: signed pushes (git push --signed) are not possible`)
  const [hide, ledger] = HIDDEN
  if (!own.all(hide).includes(ledger))
    wrong(`${hide} does not name ${ledger}: git push --mirror would try to delete the ledger`)
  const hider = whatHides(own, ledger)
  if (hider !== null) {
    findings.push(
      problem(
        'ledger-hidden',
        `${ledger} is hidden from fetches by ${hider.name} ${printable(hider.value, 100)}, so that nobody can read the ledger`,
        `git --git-dir=${shellWord(repository.commonDirectory)} config --add ${hider.name} '!${ledger}'`,
      ),
    )
  }
  if (runsOwnHooks(settings.host)) findings.push(...(await checkHooksPath(repository, own, install)))
  const source = parseIdentitySource(settings.identity)
  if (source.kind === 'env' && namesNobody(source.name)) {
    findings.push(
      problem(
        'identity',
        `identity ${settings.identity} names no person`,
        `headgate server install ${shellWord(repository.commonDirectory)} --identity SOURCE  # see docs/operations.md`,
      ),
    )
  }
  return findings
}

async function checkHooksPath(
  repository: GitRepository,
  own: OwnValues,
  install: string,
): Promise<Diagnosis[]> {
  const findings: Diagnosis[] = []
  const { stdout } = await repository.run(['config', '--local', '--includes', '--get', HOOKS_PATH], {
    allowExit: [0, 1],
  })
  const inForce = stdout.toString('utf8').replace(/\n$/, '')
  // A repository that was moved since finds its hooks by the relative path.
  const ours = ['hooks', join(repository.commonDirectory, 'hooks')]
  for (const path of new Set([inForce, own.last(HOOKS_PATH) ?? ''])) {
    if (ours.includes(path)) continue
    if (path === '') {
      const what = `${HOOKS_PATH} is not pinned, so that a configuration elsewhere can switch the hooks off`
      findings.push(problem('setting', what, install, INSTALL))
    } else {
      const unset = `git --git-dir=${shellWord(repository.commonDirectory)} config --unset-all ${HOOKS_PATH}`
      const what = `${HOOKS_PATH} is ${printable(path, 300)}, so that the hooks may not run`
      findings.push(problem('hooks-path', what, `${unset} && ${install}`))
    }
  }
  return findings
}

/** The setting that hides a ref from fetches, as git reads them: the last one that names it or what it is below decides. */
function whatHides(own: OwnValues, ref: string): { readonly name: string; readonly value: string } | null {
  let hider: { name: string; value: string } | null = null
  for (const name of ['transfer.hideRefs', 'uploadpack.hideRefs']) {
    for (const value of own.all(name)) {
      // `!` shows again; `^` means the name before a namespace is cut off.
      const pattern = value.replace(/^!/, '').replace(/^\^/, '').replace(/\/+$/, '')
      if (ref !== pattern && !ref.startsWith(`${pattern}/`)) continue
      hider = value.startsWith('!') ? null : { name, value }
    }
  }
  return hider
}

async function checkSealKey(repository: GitRepository, install: string): Promise<Diagnosis[]> {
  const directory = repository.commonDirectory
  const sharing = await readSharing(repository).catch(() => null)
  const mask = sharing !== null && (sharing.mode & 0o020) !== 0 ? 0o037 : 0o077
  const findings = checkPrivateKey(sealKeyPath(directory), mask, directory)
  const isUsable = findings.every(({ code }) => code === 'key-open')
  for (const path of formerSealKeys(directory)) findings.push(...checkPrivateKey(path, mask, directory))
  if (!isUsable) return findings
  if (isSealKeyInSight(directory)) {
    const what =
      'git copies the seal key into each repository that is made from this one as a template, readable for everybody'
    findings.push(problem('seal-key', what, install, INSTALL))
  }
  try {
    readSealKey(directory)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    findings.push(problem('seal-key', error.message, error.hint ?? install))
  }
  return findings
}

/** The file is there as long as hooks are to ask a service. */
async function checkService(directory: string): Promise<Diagnosis[]> {
  let socket: string
  try {
    socket = readText(join(directory, SERVER_DIRECTORY, 'service')).split('\n')[0] ?? ''
  } catch {
    return []
  }
  const answers = await new Promise<boolean>((resolve) => {
    const connection = connect(socket)
    const end = (answer: boolean) => {
      connection.destroy()
      resolve(answer)
    }
    connection.setTimeout(2000, () => end(false))
    connection.once('connect', () => end(true))
    connection.once('error', () => end(false))
  })
  if (answers) return []
  return [
    problem(
      'service-down',
      `the hooks ask a service at ${printable(socket, 300)}, and none answers there: they decide by themselves, slower`,
      `headgate serve ${shellWord(directory)} --socket ${shellWord(socket)}`,
    ),
  ]
}

/** git removes its locks; one that stays belongs to a git that died, and stops every push of the branch. */
function checkLocks(directory: string): Diagnosis[] {
  // With a reftable all refs have one lock, and `refs/heads` is a file.
  const names = existsSync(join(directory, 'reftable'))
    ? ['reftable/tables.list.lock']
    : [...new Set([LEDGER_REF, ...readGuardedNames(directory)])].map((name) => `${name}.lock`)
  return names.flatMap((name) => {
    const status = lstatSync(join(directory, name), { throwIfNoEntry: false })
    if (status === undefined || Date.now() - status.mtimeMs < 60_000) return []
    return [
      remark(
        'lock',
        `${name} is older than a minute: a git died, or is stuck`,
        `rm ${shellWord(join(directory, name))}  # when no git is at work there`,
      ),
    ]
  })
}

/** Whether a hook of the host's runs what is in the folder that has its name with `.d`. */
function callsFolder(caller: string): boolean {
  try {
    return isExecutable(caller) && readFileSync(caller, 'latin1').includes('.d/')
  } catch {
    return false
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** An account that shares the folder can put a pipe or a device there; as where there is nothing, it says so by an error. */
function readText(path: string): string {
  const bytes = readRegularFile(path, MAX_TREE_FILE_BYTES)
  if (bytes === null) throw new Error(`there is no ${path}`)
  return bytes.toString('utf8')
}
