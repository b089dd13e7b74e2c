/** What is wrong with a clone or a guarded repository, and on demand what can be put right safely. */

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { installServer } from '../../../server/install/install.ts'
import { openNamed } from '../../../server/install/open-named.ts'
import { readSettings, settingsPath } from '../../../server/settings.ts'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { findGit } from '../../git/find-git.ts'
import type { Caller } from '../caller.ts'
import { installClientHooks } from '../client-hooks/install.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { learnRemotes } from '../clone/learn-remotes.ts'
import { checkAccess } from './access-checks.ts'
import { checkClone } from './clone-checks.ts'
import type { Diagnosis, Repair } from './diagnosis.ts'
import { checkLedger } from './ledger-checks.ts'
import { checkServer } from './server-checks.ts'

/** A repository that is examined. */
type Examined = {
  readonly path: string
  readonly kind: 'server' | 'clone'
  readonly check: () => Promise<Diagnosis[]>
  readonly install: () => Promise<void>
}

export type DiagnoseOptions = {
  /** Where the repository is; undefined for the one that the caller is in. */
  readonly path: string | undefined
  /** Whether to put right what can be put right safely. */
  readonly fix: boolean
}

/** The finding stays, and its fix is for people. */
export type DiagnoseEvent = { readonly kind: 'not-repaired'; readonly error: HeadgateError }
type Tell = (event: DiagnoseEvent) => void

export type DiagnoseResult = Pick<Examined, 'path' | 'kind'> & {
  /** Whether no problem is left; remarks may be. */
  readonly healthy: boolean
  /** What is left. */
  readonly findings: readonly Diagnosis[]
  /** What was found and is no more. */
  readonly fixed: readonly Diagnosis[]
}

export async function diagnose(
  caller: Caller,
  options: DiagnoseOptions,
  tell: Tell,
): Promise<DiagnoseResult> {
  const examined = await findExamined(caller, options.path)
  const before = await examined.check()
  const repaired = options.fix ? await repair(examined, before, tell) : []
  const findings = repaired.length > 0 ? await examined.check() : before
  const left = new Set(findings.map(({ code, what }) => `${code} ${what}`))
  return {
    path: examined.path,
    kind: examined.kind,
    healthy: findings.every(({ level }) => level !== 'problem'),
    findings,
    fixed: before.filter(({ code, what }) => !left.has(`${code} ${what}`)),
  }
}

async function findExamined(caller: Caller, named: string | undefined): Promise<Examined> {
  const path = resolve(caller.folder, named ?? '.')
  // Without a name it is where git itself says that it is, GIT_DIR and all.
  const repository = await (named === undefined
    ? new ClientRepository(caller).open()
    : openNamed(path, findGit(caller.environment)))
  const directory = repository.commonDirectory
  repository.close()
  if (existsSync(settingsPath(directory))) {
    return {
      path: directory,
      kind: 'server',
      check: () => examineServer(caller, directory),
      install: async () => {
        await installServer({
          path: directory,
          gitPath: findGit(caller.environment),
          named: readSettings(directory).identity,
        })
      },
    }
  }
  const client = new ClientRepository({ ...caller, folder: path })
  const bare = (await client.git('rev-parse', '--is-bare-repository')).trim() === 'true'
  if (bare) {
    const isClone = (await client.git('remote')).trim() !== ''
    throw new HeadgateError('configuration', `headgate is not installed in ${printable(directory, 500)}`, {
      hint: isClone
        ? 'a clone is examined in one of its working trees'
        : `headgate server install ${printable(path, 500)} --identity SOURCE installs it`,
    })
  }
  return {
    path: (await client.topLevel()) ?? directory,
    kind: 'clone',
    check: () => checkClone(client),
    install: async () => {
      await installClientHooks(client)
      await learnRemotes(client)
    },
  }
}

async function examineServer(caller: Caller, directory: string): Promise<Diagnosis[]> {
  const repository = await openNamed(directory, findGit(caller.environment))
  try {
    const findings = [...(await checkServer(repository)), ...(await checkAccess(repository))]
    try {
      findings.push(...(await checkLedger(repository, readSettings(directory).identity)))
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      const what = `the ledger cannot be read: ${error.message}`
      findings.push({ code: 'ledger', level: 'problem', what, fix: error.hint ?? 'restore it from a copy' })
    }
    return findings
  } finally {
    repository.close()
  }
}

/** Does what the findings ask for, each thing once. Returns what was done. */
async function repair(examined: Examined, findings: readonly Diagnosis[], tell: Tell): Promise<Repair[]> {
  const done: Repair[] = []
  for (const { repair } of findings) {
    if (repair === undefined || done.some((other) => JSON.stringify(other) === JSON.stringify(repair)))
      continue
    done.push(repair)
    try {
      await apply(examined, repair)
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      tell({ kind: 'not-repaired', error })
    }
  }
  return done
}

async function apply(examined: Examined, repair: Repair): Promise<void> {
  if (repair.kind === 'install') await examined.install()
  else if (repair.kind === 'chmod') for (const { path, mode } of repair.modes) chmodSync(path, mode)
  else spawnSync(repair.program, [...repair.args], { cwd: repair.cwd, stdio: 'ignore' })
}
