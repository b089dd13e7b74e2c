import { hostname } from 'node:os'
import { join } from 'node:path'
import { parsePolicySource, readPolicyFolder } from '../../server/policy-files.ts'
import { formatDuration } from '../core/duration.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import type { Environment, Policy } from '../core/policy.ts'
import { printable, shellWord } from '../core/printable.ts'
import { statementPayload } from '../core/statement.ts'
import { parseBaseUrl } from '../gate/base-url.ts'
import { type GateOutcome, type GateRun, runGates } from '../gate/run-gates.ts'
import { ClientRepository } from './client-repository.ts'
import { colour, note, print, printJson, table } from './output.ts'
import { remotePolicy } from './remote-policy.ts'
import { requireKey, signAndSubmit } from './submit.ts'
import { VERSION } from './version.ts'

export type GateOptions = {
  readonly mode: 'staging' | 'prod' | undefined
  readonly url: string | undefined
  readonly commit: string | undefined
  readonly record: boolean
  readonly key: string | undefined
  readonly remote: string
  readonly ciUrl: string | undefined
  readonly json: boolean
}

export async function runGateCommand(options: GateOptions): Promise<void> {
  const repository = new ClientRepository()
  // Whatever can be wrong with the call is found before the first request.
  const key = options.record ? requireKey(options.key) : null
  const mode = options.mode ?? parseMode(process.env.MODE)
  const commit = await repository.resolveCommit(options.commit ?? 'HEAD')
  const { policy, released } = await findPolicy(repository, options)
  const environment = mode === 'prod' ? policy.environments.production : policy.environments.staging
  if (environment === undefined) {
    throw new HeadgateError('configuration', 'the policy has no environments.production', {
      hint: 'add it to .headgate/policy.yaml; docs/policy-reference.md shows one',
    })
  }
  const baseUrl = requireBaseUrl(options.url ?? (process.env.BASE || environment.url))
  note(`${environment.name} at ${printable(baseUrl)}, commit ${shortOid(commit)}`)

  const interrupt = new AbortController()
  const stop = () => interrupt.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  let run: GateRun
  try {
    run = await runGates({
      environment,
      baseUrl,
      commit,
      servedCommitMode: policy.evidence.servedCommit,
      variables: process.env,
      folder: (await repository.topLevel()) ?? process.cwd(),
      signal: interrupt.signal,
      onGate: (outcome) => {
        if (!options.json) note(gateLine(outcome))
      },
      now: () => new Date(),
    })
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop)
  }

  if (key !== null) {
    const payload = evidencePayload(policy, environment, commit, run, options.ciUrl)
    await signAndSubmit(repository, { remote: options.remote, kind: 'evidence', payload, key })
  }
  await report(run, commit, options, repository, pushTarget(policy, released))
  if (run.result === 'FAILED') process.exitCode = EXIT_CODES.refused
}

/** The base URL without what it must not hold; a password in it is never printed. */
function requireBaseUrl(text: string): string {
  try {
    return parseBaseUrl(text).text
  } catch (cause) {
    if (!(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError('usage', cause.message, {
      hint: 'it comes from --url, BASE or the policy, such as https://staging.example.com',
      cause,
    })
  }
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
  { record, remote }: GateOptions,
): Promise<{ policy: Policy; released: boolean }> {
  if (!record) {
    const top = (await repository.topLevel()) ?? process.cwd()
    const source = readPolicyFolder(join(top, '.headgate'))
    return { policy: parsePolicySource(source).policy, released: false }
  }
  const { policy, state } = await remotePolicy(repository, remote)
  return { policy, released: state.landed[`refs/heads/${policy.release}`] !== undefined }
}

/** The release branch as the target of a push: git takes a short name only for a branch that exists. */
function pushTarget({ release }: Policy, released: boolean): string {
  return released ? release : `refs/heads/${release}`
}

/** The evidence of a run: what passed and what did not, and nothing of any answer. */
export function evidencePayload(
  policy: Policy,
  environment: Environment,
  commit: Oid,
  run: GateRun,
  url: string | undefined,
): string {
  const names = (wanted: (gate: GateOutcome) => boolean) => run.gates.filter(wanted).map((gate) => gate.name)
  return statementPayload('evidence', policy.repository, commit, {
    result: run.result,
    configuration: [
      {
        name: `.headgate/policy.yaml#environments.${environment.name}`,
        digest: { sha256: environment.configurationDigest },
      },
    ],
    passedTests: names((gate) => gate.outcome === 'passed'),
    warnedTests: names((gate) => gate.outcome !== 'passed' && gate.optional),
    failedTests: names((gate) => gate.outcome === 'failed' && !gate.optional),
    ...(url === undefined ? {} : { url }),
    headgate: {
      environment: environment.name,
      baseUrl: run.baseUrl,
      startedAt: run.startedAt,
      finishedAt: run.finishedAt,
      servedCommit: { ...run.servedCommit },
      gates: run.gates.map(({ name, outcome, status, statuses, attempts, durationMs, reason }) => ({
        name,
        outcome,
        status,
        // Most gates are tried once and are no burst: their records stay as short as they were.
        ...(statuses === null ? {} : { statuses }),
        ...(attempts <= 1 ? {} : { attempts }),
        durationMs: Math.round(durationMs),
        reason,
      })),
      runner: `headgate ${VERSION} on ${hostname()}`.slice(0, 200),
    },
  })
}

function gateLine({ name, outcome, optional, durationMs, reason }: GateOutcome): string {
  const mark = outcome === 'passed' ? 'ok  ' : outcome === 'skipped' ? 'skip' : optional ? 'warn' : 'FAIL'
  const why = reason === null ? '' : `: ${printable(reason)}`
  return `  ${mark} ${printable(name, 60)} (${formatDuration(durationMs)})${why}`
}

async function report(
  run: GateRun,
  commit: Oid,
  options: GateOptions,
  repository: ClientRepository,
  target: string,
): Promise<void> {
  if (options.json) {
    printJson({ commit, recorded: options.record, ...run })
    return
  }
  const failed = run.gates.filter((gate) => gate.outcome !== 'passed')
  if (failed.length > 0) {
    print(
      table(
        ['gate', 'outcome', 'status', 'reason'],
        failed.map((gate) => [gate.name, gate.outcome, String(gate.status ?? '-'), gate.reason ?? '']),
      ),
    )
  }
  if (run.problem !== null) print(printable(run.problem, 400))
  const passed = run.gates.length - failed.length
  const verdict =
    run.result === 'FAILED'
      ? colour('red', 'FAILED')
      : run.result === 'WARNED'
        ? colour('yellow', 'WARNED')
        : colour('green', 'PASSED')
  print(
    `${verdict}: ${passed} of ${run.gates.length} gates passed on ${run.environment} for ${shortOid(commit)}`,
  )
  if (!options.record) return
  print(`recorded as evidence on ${options.remote}`)
  if (run.result !== 'FAILED' && run.environment === 'staging') {
    const refspec = shellWord(`${await repository.abbreviate(commit)}:${target}`)
    print(`an operator can promote it now: git push ${shellWord(options.remote)} ${refspec}`)
  }
}
