/** `headgate doctor`: what is wrong with a clone or a guarded repository, and how to put it right. */

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { installServer } from '../../../server/install/install.ts'
import { openNamed } from '../../../server/install/open-named.ts'
import { readSettings, settingsPath } from '../../../server/settings.ts'
import { colour, plural, print, printError, printJson } from '../../cli/output.ts'
import { gitOfCaller, thisCaller } from '../../cli/this-caller.ts'
import { wrapText } from '../../cli/wrap-text.ts'
import { EXIT_CODES, HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { installClientHooks } from '../client-hooks/install.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { learnRemotes } from '../clone/learn-remotes.ts'
import { checkAccess } from './access-checks.ts'
import { checkClone } from './clone-checks.ts'
import type { Diagnosis, Repair } from './diagnosis.ts'
import { checkLedger } from './ledger-checks.ts'
import { checkServer } from './server-checks.ts'

type Patient = {
  readonly path: string
  readonly kind: 'server' | 'clone'
  readonly check: () => Promise<Diagnosis[]>
  readonly install: () => Promise<void>
}

export async function doctor(options: {
  readonly repo: string | undefined
  readonly fix: boolean
  readonly json: boolean
}): Promise<void> {
  const patient = await findPatient(options.repo)
  const before = await patient.check()
  const repaired = options.fix ? await repair(patient, before) : []
  const after = repaired.length > 0 ? await patient.check() : before
  const left = new Set(after.map(({ code, what }) => `${code} ${what}`))
  const fixed = before.filter(({ code, what }) => !left.has(`${code} ${what}`))
  const problems = after.filter(({ level }) => level === 'problem')
  process.exitCode = problems.length === 0 ? EXIT_CODES.ok : EXIT_CODES.refused
  if (options.json) {
    const show = ({ repair, ...finding }: Diagnosis) => ({ ...finding, fixable: repair !== undefined })
    printJson({
      repository: patient.path,
      kind: patient.kind,
      healthy: problems.length === 0,
      findings: after.map(show),
      fixed: fixed.map(show),
    })
    return
  }
  for (const { what } of fixed) print(`${colour('green', 'fixed')}    ${printable(what, 500)}`)
  for (const { level, what, fix } of after) {
    const [first = '', ...rest] = wrapText(`${level.padEnd(8)} ${printable(what, 500)}`)
    print(`${colour(level === 'problem' ? 'red' : 'yellow', first.slice(0, 8))}${first.slice(8)}`)
    for (const line of rest) print(line)
    // Commands stay in one piece.
    print(`  fix: ${printable(fix, 500)}`)
  }
  const subject = `this ${patient.kind === 'server' ? 'guarded repository' : 'clone'}, ${printable(patient.path, 500)},`
  if (problems.length === 0) {
    print(`${subject} is healthy`)
    return
  }
  const safe = problems.filter(({ repair }) => repair !== undefined).length
  print(`${subject} has ${plural(problems.length, 'problem')}`)
  if (safe > 0 && !options.fix)
    print(`  headgate doctor --fix puts ${safe === problems.length ? 'them' : `${safe} of them`} right`)
}

async function findPatient(named: string | undefined): Promise<Patient> {
  const path = resolve(named ?? '.')
  // Without a name it is where git itself says that it is, GIT_DIR and all.
  const repository = await (named === undefined
    ? new ClientRepository(thisCaller()).open()
    : openNamed(path, gitOfCaller()))
  const directory = repository.commonDirectory
  repository.close()
  if (existsSync(settingsPath(directory))) {
    return {
      path: directory,
      kind: 'server',
      check: () => examineServer(directory),
      install: async () => {
        await installServer({
          path: directory,
          gitPath: gitOfCaller(),
          named: readSettings(directory).identity,
        })
      },
    }
  }
  const client = new ClientRepository({ ...thisCaller(), folder: path })
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

async function examineServer(directory: string): Promise<Diagnosis[]> {
  const repository = await openNamed(directory, gitOfCaller())
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
async function repair(patient: Patient, findings: readonly Diagnosis[]): Promise<Repair[]> {
  const done: Repair[] = []
  for (const { repair } of findings) {
    if (repair === undefined || done.some((other) => JSON.stringify(other) === JSON.stringify(repair)))
      continue
    done.push(repair)
    try {
      await apply(patient, repair)
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      // The finding stays, and its fix is for people.
      printError(error)
    }
  }
  return done
}

async function apply(patient: Patient, repair: Repair): Promise<void> {
  if (repair.kind === 'install') await patient.install()
  else if (repair.kind === 'chmod') for (const { path, mode } of repair.modes) chmodSync(path, mode)
  else spawnSync(repair.program, [...repair.args], { cwd: repair.cwd, stdio: 'ignore' })
}
