/**
 * `headgate demo`: the guided tour. It runs the real program and real git in a temporary folder, as users would, and
 * checks every step as it goes: if one does not go as told, the tour ends there and the process fails.
 */
import { accessSync, constants, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { colour, print } from '../output.ts'
import { thisCaller } from '../this-caller.ts'
import { Application } from './application.ts'
import { auditLog, sealByHand } from './audit.ts'
import {
  evidenceRecorded,
  promotionLands,
  pushToMain,
  setUp,
  withoutEvidence,
  wrongBuild,
} from './first-release.ts'
import { printKeepHints, writeEnvironmentFile } from './keep-hints.ts'
import { everyOtherWay } from './refusals.ts'
import { badCommitIsBarred, failsInProduction, notTwice, rollsBack } from './rollback.ts'
import { Stage } from './stage.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Runs the tour. Throws HeadgateError 'refused' if a step does not go as told, 'configuration' if a program is missing. */
export async function runDemo({ keep }: { keep: boolean }): Promise<void> {
  requireProgram('git', 'install git 2.36 or newer')
  requireProgram('ssh-keygen', 'install OpenSSH')
  const start = performance.now()
  const folder = makeFolder()
  const interruption = new Interruption()
  const applications: Application[] = []
  try {
    const staging = await Application.start('staging', ['small', 'large'])
    applications.push(staging)
    const production = await Application.start('production', ['small'])
    applications.push(production)
    if (keep) writeEnvironmentFile(folder)
    print(`A tour of headgate, in ${folder}${keep ? '' : ' (removed at the end)'}`)
    const stage = new Stage(folder, staging, production, interruption.signal)
    await tour(stage)
    printSummary(stage.tally, (performance.now() - start) / 1000)
    if (keep) printKeepHints(folder)
  } catch (error) {
    if (!interruption.signalled) throw error
  } finally {
    await Promise.all(applications.map((application) => application.close()))
    if (!keep) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    interruption.end()
  }
}

async function tour(stage: Stage): Promise<void> {
  const first = await setUp(stage)
  const good = await pushToMain(stage)
  await withoutEvidence(stage, good)
  await wrongBuild(stage, good)
  await evidenceRecorded(stage, good)
  await promotionLands(stage, good)
  const bad = await everyOtherWay(stage, first)
  await failsInProduction(stage, bad)
  const rollback = await rollsBack(stage, bad, good)
  await badCommitIsBarred(stage, bad)
  await notTwice(stage, bad, rollback)
  await auditLog(stage)
  await sealByHand(stage)
}

function printSummary({ landed, refused }: Stage['tally'], seconds: number): void {
  print(`
${colour('bold', `All went as told, in ${seconds.toFixed(1)} s.`)} release moved ${landed} times, each time proved
or approved, signed and recorded. ${refused} other pushes were refused by plain git, each
with the reason and the way out.

Where to go next:
  headgate demo --keep       the same, and the folder stays for you to go on
  headgate server install REPO.git --identity SOURCE
                             guard a repository; headgate --help lists the rest
  docs/policy-reference.md   every key of the policy`)
}

function requireProgram(name: string, hint: string): void {
  const found = (thisCaller().environment.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  if (!found)
    throw new HeadgateError('configuration', `the demo needs ${name}, and there is none in PATH`, { hint })
}

function makeFolder(): string {
  try {
    return realpathSync(mkdtempSync(join(tmpdir(), 'headgate-demo-')))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new HeadgateError('configuration', `${tmpdir()}: the demo needs a folder in it (${code})`, {
      hint: 'set TMPDIR to a folder that exists and can be written',
      cause,
    })
  }
}

/** Ctrl-C and its like, and a reader of the output that went away: the tour ends, but not before it has cleaned up. */
class Interruption {
  readonly #abort = new AbortController()
  #received: NodeJS.Signals | null = null

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#receive)
    process.stdout.on('error', this.#lose)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get signalled(): boolean {
    return this.#received !== null
  }

  /** Lets go of the signals. One that came does now what it would have done without us. */
  end(): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.#receive)
    if (this.#received !== null) process.kill(process.pid, this.#received)
  }

  readonly #receive = (signal: NodeJS.Signals): void => {
    this.#received ??= signal
    this.#abort.abort()
  }

  readonly #lose = (): void => {
    this.#abort.abort(
      new HeadgateError('unavailable', 'the demo ended early: nobody reads its output any more'),
    )
  }
}
