/** Whether a policy has what the staging-first workflow wants proved, as `headgate init --policy` writes it. */
import type { Environment, Gate, Policy } from '../core/policy/policy.ts'

export const PROFILES = ['staging-first'] as const

/** The only body that the chat is ever sent. */
const SAFE_PAYLOAD = '{"message":"hi"}'

/** The gates of staging, by name, and of production after a promotion. */
const STAGING = ['health', 'db-health', 'whoami', 'chat', 'cors', 'burst']
const PRODUCTION = ['health', 'db-health', 'chat', 'cors']

/** What the policy lacks, each in a line; empty where it holds to the workflow. */
export function lacksOfStagingFirst({ environments, evidence, enforcement, promotion }: Policy): string[] {
  const { staging, production } = environments
  return [
    ...(enforcement === 'enforce'
      ? []
      : ['enforcement: evaluate refuses nothing; the workflow wants enforce']),
    ...(evidence.servedCommit === 'required'
      ? []
      : [`evidence.servedCommit is ${evidence.servedCommit}; the workflow wants required`]),
    ...(promotion.notes === 'required'
      ? []
      : [`promotion.notes is ${promotion.notes}; the workflow wants required`]),
    ...lacksOf(staging, STAGING),
    ...(production === undefined
      ? ['environments.production is missing: after a promotion nothing is tested']
      : lacksOf(production, PRODUCTION)),
  ]
}

function lacksOf(environment: Environment, names: readonly string[]): string[] {
  const where = `environments.${environment.name}`
  const lacks = environment.servedCommit === null ? [`${where}.servedCommit is missing`] : []
  for (const name of names) {
    const gate = environment.gates.find((one) => one.name === name)
    if (gate === undefined) lacks.push(`${where} has no gate "${name}"`)
    else lacks.push(...faultsOf(gate).map((fault) => `${where}, gate "${name}": ${fault}`))
  }
  for (const gate of environment.gates) {
    if (gate.kind === 'command' || !isSent(gate) || gate.request.body === SAFE_PAYLOAD) continue
    // What is to be turned away for its type is no JSON.
    if (gate.request.headers['content-type'] === 'application/json')
      lacks.push(`${where}, gate "${gate.name}": it sends another body than the safe payload ${SAFE_PAYLOAD}`)
  }
  return lacks
}

function isSent(gate: Exclude<Gate, { kind: 'command' }>): boolean {
  return gate.request.body !== null
}

function faultsOf(gate: Gate): string[] {
  const faults = gate.optional ? ['it is optional, and the workflow wants it to pass'] : []
  if (gate.name === 'cors' && gate.kind !== 'cors') faults.push('it does not expect corsDenied: true')
  if (gate.name === 'chat' && (gate.kind !== 'http' || gate.request.body !== SAFE_PAYLOAD))
    faults.push(`it does not send the safe payload ${SAFE_PAYLOAD}`)
  if (gate.name !== 'burst') return faults
  if (gate.kind !== 'burst') return [...faults, 'it is no burst']
  if (gate.requests < 10 || gate.requests > 20)
    faults.push(`it sends ${gate.requests} requests, and the workflow wants 10 to 20`)
  if (gate.request.body !== SAFE_PAYLOAD) faults.push(`it does not send the safe payload ${SAFE_PAYLOAD}`)
  return faults
}
