import { ClientRepository } from '../app/clone/client-repository.ts'
import { fetchLedger } from '../app/clone/fetch-copies.ts'
import { guardedPlace } from '../app/clone/guarded-place.ts'
import { viewGuarded } from '../app/clone/guarded-remote.ts'
import { keyHolder } from '../app/clone/key-holder.ts'
import { remotePolicy } from '../app/clone/remote-policy.ts'
import { shownRemote } from '../app/clone/shown-remote.ts'
import { requireBaseUrl, requireCiUrl, requireKey, requireReason } from '../app/requirements.ts'
import { signAndSubmit } from '../app/statements/submit.ts'
import { HeadgateError } from '../core/errors.ts'
import { isOid, shortOid } from '../core/oid.ts'
import { formatDuration } from '../core/policy/duration.ts'
import { type Environment, requiredGates } from '../core/policy/policy.ts'
import { printable } from '../core/printable.ts'
import { statementPayload } from '../core/statement.ts'
import { VERSION } from '../core/version.ts'
import { gatherHistory } from '../guard/gather-history.ts'
import type { AllowedSigner } from '../signing/allowed-signers.ts'
import { listUrls, remarkOtherUrl } from './other-url.ts'
import { note, plural, print, printJson, table } from './output.ts'
import { tellSubmit } from './screens/submit.ts'
import { thisCaller } from './this-caller.ts'

type AddOptions = {
  readonly commit: string
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly junit: readonly string[]
  readonly environment: 'staging' | 'production'
  readonly servedCommit: string | undefined
  /** Where the environment was reached. */
  readonly url: string | undefined
  readonly ciUrl: string | undefined
  readonly key: string | undefined
  readonly remote: string
  readonly json: boolean
}

type Result = { readonly name: string; readonly outcome: 'passed' | 'failed' | 'skipped' }

export async function addEvidence(options: AddOptions): Promise<void> {
  const key = requireKey(options.key, thisCaller().environment)
  const url = requireCiUrl(options.ciUrl)
  const named = options.url === undefined ? null : requireBaseUrl('--url', options.url)
  const { results: reported, remarks } = await collectResults(options)
  if (options.servedCommit !== undefined && !isOid(options.servedCommit)) {
    throw new HeadgateError('usage', '--served-commit must be a full commit id', {
      hint: 'git rev-parse COMMIT prints it',
    })
  }
  const repository = new ClientRepository(thisCaller())
  const commit = await repository.resolveCommit(options.commit)
  const place = await guardedPlace(repository, options.remote)
  const { policy } = await remotePolicy(repository, place.reads)
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
  const optional = new Set(environment.gates.filter((gate) => gate.optional).map((gate) => gate.name))
  const unproved = requiredGates(environment).filter(
    (name) => !results.some((result) => result.name === name && result.outcome !== 'skipped'),
  )
  const names = (wanted: (result: Result) => boolean) => results.filter(wanted).map(({ name }) => name)
  const failed = names(({ name, outcome }) => outcome === 'failed' && !optional.has(name))
  const warned = names(({ name, outcome }) => outcome !== 'passed' && optional.has(name))
  const result = failed.length > 0 ? 'FAILED' : warned.length + unproved.length > 0 ? 'WARNED' : 'PASSED'
  const now = new Date().toISOString()
  const payload = statementPayload('evidence', policy.repository, commit, {
    result,
    configuration: [
      {
        name: `.headgate/policy.yaml#environments.${environment.name}`,
        digest: { sha256: environment.configurationDigest },
      },
    ],
    passedTests: names(({ outcome }) => outcome === 'passed'),
    warnedTests: warned,
    failedTests: failed,
    ...(url === undefined ? {} : { url }),
    headgate: {
      environment: environment.name,
      ...(baseUrl === null ? {} : { baseUrl }),
      startedAt: now,
      finishedAt: now,
      servedCommit: { before: options.servedCommit ?? null, after: options.servedCommit ?? null },
      gates: [...results],
      runner: `headgate ${VERSION}, evidence add`,
    },
  })
  await signAndSubmit(repository, { place, kind: 'evidence', payload, key }, tellSubmit)
  if (options.json) {
    const answer = { remote: options.remote, commit, environment: environment.name, url: baseUrl, result }
    printJson({ recorded: 'evidence', ...answer, gates: results, unproved })
  } else {
    print(
      `${result} evidence for ${shortOid(commit)} on ${environment.name} is recorded on ${shownRemote(options.remote)}`,
    )
  }
  if (baseUrl === null)
    note(`remark: it does not say where it was made; name that with --url: ${listUrls(environment.urls)}`)
  else if (!environment.urls.includes(baseUrl)) remarkOtherUrl(environment)
  for (const remark of remarks.slice(0, MAX_REMARKS)) note(`remark: ${remark}`)
  if (remarks.length > MAX_REMARKS) note(`remark: ${remarks.length - MAX_REMARKS} more of this kind`)
  const unknown = results.filter(({ name }) => !environment.gates.some((gate) => gate.name === name))
  if (unknown.length > 0)
    note(`remark: the policy has no such gates: ${listed(unknown.map(({ name }) => name))}`)
  if (omitted > 0)
    note(`remark: ${plural(omitted, 'result')} that no gate of the policy has the name of are left out`)
  if (unproved.length > 0)
    note(`remark: it permits no promotion, for required gates are missing or skipped: ${listed(unproved)}`)
  if (options.servedCommit === undefined && policy.evidence.servedCommit === 'required')
    note('remark: it permits no promotion without --served-commit, which the policy requires')
}

/** As many as fit into an envelope with names of the usual length. */
const MAX_RESULTS = 200
/** The longest name that a statement may have. */
const MAX_NAME_LENGTH = 200

/** A report can have one for each of its cases. */
const MAX_REMARKS = 10

/** The report of a whole test suite is longer than a statement may be: of that, the gates are kept, and what failed. */
function withinLimits(
  reported: readonly Result[],
  { gates }: Environment,
): { results: readonly Result[]; omitted: number } {
  if (reported.length <= MAX_RESULTS && reported.every(({ name }) => name.length <= MAX_NAME_LENGTH)) {
    return { results: reported, omitted: 0 }
  }
  const isGate = ({ name }: Result) => gates.some((gate) => gate.name === name)
  const others = reported.filter((result) => !isGate(result))
  // Their names are cut, and two of them may be one afterwards; one is enough to fail the run.
  const cut = new Set<string>()
  for (const { name, outcome } of others)
    if (outcome === 'failed' && cut.size < MAX_RESULTS / 2) cut.add(printable(name, MAX_NAME_LENGTH))
  const failed = [...cut].map((name) => ({ name, outcome: 'failed' as const }))
  return {
    results: [...reported.filter(isGate), ...failed],
    omitted: others.length - failed.length,
  }
}

function listed(names: readonly string[]): string {
  const more = names.length > 10 ? ` and ${names.length - 10} more` : ''
  return (
    names
      .slice(0, 10)
      .map((name) => printable(name, 60))
      .join(', ') + more
  )
}

async function collectResults({
  passed,
  failed,
  junit,
}: AddOptions): Promise<{ readonly results: readonly Result[]; readonly remarks: readonly string[] }> {
  const reports =
    junit.length === 0
      ? { cases: [], remarks: [] }
      : (await import('../app/statements/junit.ts')).readJunitFiles(junit)
  const results: Result[] = [
    ...passed.map((name) => ({ name, outcome: 'passed' as const })),
    ...failed.map((name) => ({ name, outcome: 'failed' as const })),
    ...reports.cases,
  ]
  if (results.length === 0) {
    throw new HeadgateError('usage', 'there is no result to record', {
      hint: 'name gates with --passed NAME..., or files with --junit FILE...',
    })
  }
  const seen = new Set<string>()
  const twice = results.find(({ name }) => seen.size === seen.add(name).size)
  if (twice !== undefined) {
    throw new HeadgateError('usage', `gate "${printable(twice.name, 60)}" is reported twice`, {
      hint: 'a gate has one result: name it in one of --passed, --failed and --junit',
    })
  }
  return { results, remarks: reports.remarks }
}

/** As `--json` prints it. */
type EvidenceRow = {
  readonly record: number
  readonly at: string
  readonly by: string
  readonly trusted: boolean
  readonly result: 'PASSED' | 'WARNED' | 'FAILED' | 'invalidated'
  readonly environment: string | null
  /** Where the run was made; null where it does not say. */
  readonly url: string | null
  /** Names; null of an invalidation, which has a reason. */
  readonly gates: { readonly [Outcome in 'passed' | 'failed' | 'warned']: readonly string[] } | null
  readonly reason: string | null
}

export async function listEvidence(options: {
  commit: string
  remote: string
  json: boolean
}): Promise<void> {
  const repository = new ClientRepository(thisCaller())
  const commit = await repository.resolveCommit(options.commit)
  const { snapshot, close } = await fetchLedger(repository, options.remote)
  try {
    const { about } = await gatherHistory(snapshot, commit)
    const rows = about.flatMap(({ seq, at, statement, signer }): EvidenceRow[] => {
      const { trusted } = signer
      const by = trusted ? signer.principal : `not trusted: ${signer.reason}`
      const row = { record: seq, at: new Date(at).toISOString(), by, trusted }
      if (statement.kind === 'invalidation') {
        const { reason } = statement.predicate
        return [{ ...row, result: 'invalidated', environment: null, url: null, gates: null, reason }]
      }
      if (statement.kind !== 'evidence') return []
      const { result, passedTests: passed, failedTests: failed, warnedTests: warned } = statement.predicate
      const { environment, baseUrl: url = null } = statement.predicate.headgate
      return [{ ...row, result, environment, url, gates: { passed, failed, warned }, reason: null }]
    })
    if (options.json) return printJson({ commit, evidence: rows })
    if (rows.length === 0)
      return print(`there is no evidence for ${shortOid(commit)} on ${shownRemote(options.remote)}`)
    const cells = rows.map(({ record, at, by, result, environment, url, gates, reason }) => {
      const age = formatDuration(Math.max(0, Date.now() - Date.parse(at)))
      const bad = [...(gates?.failed ?? []), ...(gates?.warned ?? [])]
      const passed = `${gates?.passed.length} passed${bad.length === 0 ? '' : `; not: ${bad.join(', ')}`}`
      return [String(record), result, environment ?? '-', url ?? '-', age, by, reason ?? passed]
    })
    print(table(['record', 'result', 'environment', 'URL', 'age', 'by', 'gates'], cells))
  } finally {
    close()
  }
}

export async function invalidateEvidence(options: {
  commit: string
  reason: string
  /** The role that the key signs in; undefined takes the one that it has. */
  as: 'evidence' | 'approval' | undefined
  key: string | undefined
  remote: string
  json: boolean
}): Promise<void> {
  const key = requireKey(options.key, thisCaller().environment)
  const reason = requireReason(options.reason)
  const repository = new ClientRepository(thisCaller())
  const place = await guardedPlace(repository, options.remote)
  const { inForce } = await viewGuarded(repository, place.reads)
  const commit = await repository.resolveCommit(options.commit)
  const payload = statementPayload('invalidation', inForce.policy.repository, commit, {
    reason,
    issuedAt: new Date().toISOString(),
  })
  await signAndSubmit(
    repository,
    {
      place,
      kind: 'invalidation',
      namespace: `headgate-${options.as ?? roleOf(key, inForce.signers)}`,
      payload,
      key,
    },
    tellSubmit,
  )
  if (options.json) return printJson({ recorded: 'invalidation', remote: options.remote, commit })
  print(`the evidence for ${shortOid(commit)} is invalidated on ${shownRemote(options.remote)}`)
}

/** A signer of evidence or of approvals may take evidence back. Where the clone cannot tell, the server will. */
function roleOf(key: string, signers: readonly AllowedSigner[]): 'evidence' | 'approval' {
  const holder = keyHolder(key, signers, Date.now())
  return holder?.may('headgate-evidence') === false && holder.may('headgate-approval')
    ? 'approval'
    : 'evidence'
}
