/** Evidence of what another tool found: signed, sent and recorded. */

import { HeadgateError } from '../../core/errors.ts'
import { isOid, type Oid } from '../../core/oid.ts'
import { type Environment, requiredGates } from '../../core/policy/policy.ts'
import { statementPayload } from '../../core/statement.ts'
import { VERSION } from '../../core/version.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { guardedPlace } from '../clone/guarded-place.ts'
import { remotePolicy } from '../clone/remote-policy.ts'
import { requireBaseUrl, requireCiUrl, requireKey } from '../requirements.ts'
import { collectResults, type Reported, type ReportedResult, withinLimits } from './reported-results.ts'
import { type SubmitEvent, signAndSubmit } from './submit.ts'

export type AddEvidenceOptions = Reported & {
  readonly commit: string
  readonly environment: 'staging' | 'production'
  /** The full id of the commit that the environment reported. */
  readonly servedCommit: string | undefined
  /** Where the environment was reached. */
  readonly url: string | undefined
  readonly ciUrl: string | undefined
  readonly key: string | undefined
  readonly remote: string
}

export type AddedEvidence = {
  readonly commit: Oid
  readonly environment: Environment
  readonly result: 'PASSED' | 'WARNED' | 'FAILED'
  readonly gates: readonly ReportedResult[]
  /** Required gates that are missing or skipped: it permits no promotion. */
  readonly unproved: readonly string[]
  /** Names among the gates that the policy does not have. */
  readonly unknown: readonly string[]
  /** How many results were left out, which no gate of the policy has the name of. */
  readonly omitted: number
  /** What was left out of the reports, for people. */
  readonly remarks: readonly string[]
  /** Where it says that it was made; null where it does not say. */
  readonly baseUrl: string | null
  /** The policy requires a commit that was served, and it has none: it permits no promotion. */
  readonly lacksServedCommit: boolean
}

export async function addEvidence(
  caller: Caller,
  options: AddEvidenceOptions,
  tell: (event: SubmitEvent) => void,
): Promise<AddedEvidence> {
  const key = requireKey(options.key, caller.environment)
  const url = requireCiUrl(options.ciUrl)
  const named = options.url === undefined ? null : requireBaseUrl('--url', options.url)
  const { results: reported, remarks } = await collectResults(options, caller.folder)
  const { servedCommit = null } = options
  if (servedCommit !== null && !isOid(servedCommit)) {
    throw new HeadgateError('usage', '--served-commit must be a full commit id', {
      hint: 'git rev-parse COMMIT prints it',
    })
  }
  const client = new ClientRepository(caller)
  const commit = await client.resolveCommit(options.commit)
  const place = await guardedPlace(client, options.remote)
  const { policy } = await remotePolicy(client, place.reads)
  const environment = policy.environments[options.environment]
  if (environment === undefined) {
    throw new HeadgateError('configuration', `the policy has no environments.${options.environment}`, {
      hint: 'headgate policy show prints the policy in force',
    })
  }
  // Who says which environment it was says where, unless that has several places.
  const [only, ...more] = environment.urls
  const baseUrl = named ?? (more.length === 0 ? (only ?? null) : null)
  const { results, omitted } = withinLimits(reported, environment)
  const found = assess(results, environment)
  const now = new Date().toISOString()
  const payload = statementPayload('evidence', policy.repository, commit, {
    result: found.result,
    configuration: [
      {
        name: `.headgate/policy.yaml#environments.${environment.name}`,
        digest: { sha256: environment.configurationDigest },
      },
    ],
    passedTests: found.passed,
    warnedTests: found.warned,
    failedTests: found.failed,
    ...(url === undefined ? {} : { url }),
    headgate: {
      environment: environment.name,
      ...(baseUrl === null ? {} : { baseUrl }),
      startedAt: now,
      finishedAt: now,
      servedCommit: { before: servedCommit, after: servedCommit },
      gates: [...results],
      runner: `headgate ${VERSION}, evidence add`,
    },
  })
  await signAndSubmit(client, { place, kind: 'evidence', payload, key }, tell)
  return {
    commit,
    environment,
    result: found.result,
    gates: results,
    unproved: found.unproved,
    unknown: results
      .filter(({ name }) => !environment.gates.some((gate) => gate.name === name))
      .map(({ name }) => name),
    omitted,
    remarks,
    baseUrl,
    lacksServedCommit: servedCommit === null && policy.evidence.servedCommit === 'required',
  }
}

/** What the results are together, and the names of those that are behind it. */
function assess(results: readonly ReportedResult[], environment: Environment) {
  const optional = new Set(environment.gates.filter((gate) => gate.optional).map((gate) => gate.name))
  const names = (wanted: (result: ReportedResult) => boolean) =>
    results.filter(wanted).map(({ name }) => name)
  const passed = names(({ outcome }) => outcome === 'passed')
  const failed = names(({ name, outcome }) => outcome === 'failed' && !optional.has(name))
  const warned = names(({ name, outcome }) => outcome !== 'passed' && optional.has(name))
  const unproved = requiredGates(environment).filter(
    (name) => !results.some((result) => result.name === name && result.outcome !== 'skipped'),
  )
  const result: AddedEvidence['result'] =
    failed.length > 0 ? 'FAILED' : warned.length + unproved.length > 0 ? 'WARNED' : 'PASSED'
  return { result, passed, failed, warned, unproved }
}
