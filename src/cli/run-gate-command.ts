import { lstatSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { readPolicyText } from '../../server/install/policy-files.ts'
import { allowedVariables } from '../app/clone/allowed.ts'
import { ClientRepository } from '../app/clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../app/clone/guarded-place.ts'
import { remotePolicy } from '../app/clone/remote-policy.ts'
import { shownRemote } from '../app/clone/shown-remote.ts'
import { containing, releasedCommit } from '../app/gate/gate-commit.ts'
import { evidencePayload } from '../app/gate/gate-evidence.ts'
import { promoteLine } from '../app/release/promote-line.ts'
import { requireBaseUrl, requireCiUrl, requireDuration, requireKey } from '../app/requirements.ts'
import { signAndSubmit } from '../app/statements/submit.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import type { Environment, Policy } from '../core/policy/policy.ts'
import { parsePolicy } from '../core/policy/policy-yaml.ts'
import { printable, shellWord } from '../core/printable.ts'
import { parseBaseUrl } from '../gate/base-url.ts'
import { type GateRun, runGates } from '../gate/run-gates.ts'
import { isBelow, writeTreeFile } from '../git/tree-file.ts'
import { Interruption } from './interruption.ts'
import { colour, note, print, printJson, table } from './output.ts'
import { htmlText } from './reports/gate-html.ts'
import { junitText } from './reports/gate-junit.ts'
import { GATE_COLUMNS, gateRows, verdictLine } from './reports/gate-words.ts'
import { annotate, isGithubActions, summarize } from './reports/github-actions.ts'
import { gateProgress } from './screens/gate-progress.ts'
import { remarkOtherUrl } from './screens/other-url.ts'
import { tellSubmit } from './screens/submit.ts'
import { thisCaller } from './this-caller.ts'

export type GateOptions = {
  readonly mode: 'staging' | 'prod' | undefined
  readonly url: string | undefined
  readonly commit: string | undefined
  readonly wait: string | undefined
  readonly record: boolean
  readonly key: string | undefined
  readonly remote: string
  readonly ciUrl: string | undefined
  readonly report: string | undefined
  readonly junit: string | undefined
  readonly json: boolean
}

export async function runGateCommand(options: GateOptions): Promise<void> {
  const interruption = new Interruption('interrupted before the gates began; nothing is recorded')
  try {
    await runAndRecord(options, interruption)
  } catch (cause) {
    // On a terminal, Ctrl-C ends git and ssh-keygen as well: what they say of it is not the reason.
    if (!interruption.signal.aborted || !(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError('unavailable', interruption.words, { cause })
  } finally {
    interruption.end()
  }
}

async function runAndRecord(options: GateOptions, interruption: Interruption): Promise<void> {
  const repository = new ClientRepository(thisCaller())
  // Whatever can be wrong with the call is found before the first request.
  const key = options.record ? requireKey(options.key, thisCaller().environment) : null
  const ciUrl = requireCiUrl(options.ciUrl)
  const waitMs = options.wait === undefined ? undefined : requireDuration('wait', options.wait)
  for (const option of ['report', 'junit'] as const) makeWayFor(option, options[option])
  const mode = options.mode ?? parseMode(process.env.MODE)
  const ofRelease = mode === 'prod' && options.commit === undefined
  const [named, top] = await Promise.all([
    ofRelease ? null : repository.resolveCommit(options.commit ?? 'HEAD'),
    repository.topLevel(),
  ])
  const folder = top ?? process.cwd()
  const place = options.record ? await guardedPlace(repository, options.remote) : null
  const policy = await findPolicy(repository, folder, place)
  const environment = mode === 'prod' ? policy.environments.production : policy.environments.staging
  if (environment === undefined) {
    throw new HeadgateError('configuration', 'the policy has no environments.production', {
      hint: 'add it to .headgate/policy.yaml; docs/policy-reference.md shows one',
    })
  }
  const reads = place?.reads ?? options.remote
  const released = named === null ? await releasedCommit(repository, reads, policy) : null
  const commit = named ?? released ?? (await repository.resolveCommit('HEAD'))
  const { BASE } = process.env
  const baseUrl =
    options.url !== undefined
      ? requireBaseUrl('--url', options.url)
      : BASE
        ? requireBaseUrl('BASE', BASE)
        : parseBaseUrl(environment.url).text
  const whence =
    released === null ? '' : ` (${printable(policy.release, 200)} on ${shownRemote(options.remote)})`
  note(`${environment.name} at ${printable(baseUrl)}, commit ${shortOid(commit)}${whence}`)
  const counts = environment.urls.includes(baseUrl)

  interruption.words = `interrupted before the gates of ${environment.name} ended; nothing is recorded`
  const run = await runWithProgress(policy, environment, {
    baseUrl,
    commit,
    folder,
    variables: process.env,
    allowedVariables: await allowedVariables(repository),
    quiet: options.json,
    signal: interruption.signal,
    ...(waitMs === undefined ? {} : { waitMs, contains: containing(repository, commit, reads, policy) }),
  })

  // The results are on the screen and in the files before anything more can go wrong.
  if (options.report !== undefined) writeNamed(folder, options.report, htmlText(run, commit))
  if (options.junit !== undefined) writeNamed(folder, options.junit, junitText(run, commit))
  if (isGithubActions()) {
    annotate(run)
    summarize(run, commit)
  }
  if (!options.json) printResults(run, commit)
  if (run.superseded) process.exitCode = EXIT_CODES.unavailable
  else if (run.result === 'FAILED') process.exitCode = EXIT_CODES.refused
  let recorded = false
  try {
    if (key !== null && place !== null && run.ran) {
      const payload = evidencePayload(policy, environment, commit, run, ciUrl)
      interruption.words =
        'interrupted while the result was being recorded; headgate evidence list says whether it is'
      await signAndSubmit(repository, { place, kind: 'evidence', payload, key }, tellSubmit)
      recorded = true
    }
  } finally {
    if (options.json) printJson({ commit, recorded, ...run })
  }
  if (key !== null && !run.ran) note('nothing is recorded: a run without a gate is no evidence')
  if (recorded && !options.json) {
    print(`recorded as evidence on ${shownRemote(options.remote)}`)
    if (!counts) remarkOtherUrl(environment)
    if (counts && run.result !== 'FAILED' && run.environment === 'staging') {
      print('an operator can promote it now:')
      print(`  ${promoteLine(policy, await repository.abbreviate(commit), options.remote)}`)
    }
  }
}

type RunCall = {
  readonly baseUrl: string
  readonly commit: Oid
  readonly folder: string
  readonly variables: NodeJS.ProcessEnv
  readonly allowedVariables: readonly string[]
  readonly quiet: boolean
  readonly signal: AbortSignal
  readonly contains?: (served: Oid) => Promise<boolean>
  readonly waitMs?: number
}

async function runWithProgress(
  policy: Policy,
  environment: Environment,
  { quiet, ...call }: RunCall,
): Promise<GateRun> {
  const progress = gateProgress({
    gates: environment.gates.map(({ name }) => name),
    target: `${environment.name} to serve ${shortOid(call.commit)}`,
    quiet,
  })
  try {
    return await runGates({
      ...call,
      environment,
      servedCommitMode: policy.evidence.servedCommit,
      onWait: (found) => progress.waiting(found),
      onStart: (name) => progress.started(name),
      onRetry: (name, attempt, reason) => progress.retried(name, attempt, reason),
      onOutput: (name, line) => progress.printed(name, line),
      onGate: (outcome) => progress.ended(outcome),
      now: () => new Date(),
    })
  } finally {
    progress.close()
  }
}

/** Within the tree no link is followed; elsewhere the name is the caller's own word, such as /dev/stdout. */
function writeNamed(top: string, file: string, text: string): void {
  if (isBelow(top, file)) writeTreeFile(top, resolve(file), text)
  else writeFileSync(file, text)
}

/** The report of an earlier run must not be taken for this one's, if this one ends before it writes its own. */
function makeWayFor(option: string, file: string | undefined): void {
  if (file === undefined) return
  const folder = dirname(file)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new HeadgateError('usage', `--${option}: there is no folder ${shellWord(folder)}`, {
      hint: `make it first: mkdir -p ${shellWord(folder)}`,
    })
  }
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new HeadgateError('usage', `--${option}: ${shellWord(file)} is a folder`, { hint: 'name a file' })
  }
  // Nothing but a file: taking away /dev/stdout or a pipe would break more than this run.
  if (lstatSync(file, { throwIfNoEntry: false })?.isFile() === true) rmSync(file)
}

function parseMode(text: string | undefined): 'staging' | 'prod' {
  if (text === undefined || text === '' || text === 'staging') return 'staging'
  if (text === 'prod' || text === 'production') return 'prod'
  throw new HeadgateError('usage', `MODE=${printable(text, 50)} is neither staging nor prod`, {
    hint: 'set it to one of these, or unset it',
  })
}

/** Only the policy in force counts on the server; the working tree's is for trying out. */
async function findPolicy(
  repository: ClientRepository,
  folder: string,
  place: GuardedPlace | null,
): Promise<Policy> {
  if (place === null) {
    // A team that tries gates has not made all the keys yet.
    return parsePolicy(readPolicyText(folder))
  }
  return (await remotePolicy(repository, place.reads)).policy
}

/** What passed, what did not and why: a table to paste into a ticket. */
function printResults(run: GateRun, commit: Oid): void {
  print(table(GATE_COLUMNS, gateRows(run)))
  if (run.problem !== null) print(printable(run.problem, 500))
  const colours = { PASSED: 'green', WARNED: 'yellow', FAILED: 'red' } as const
  print(`${colour(colours[run.result], run.result)}: ${verdictLine(run, commit)}`)
}
