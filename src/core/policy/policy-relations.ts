/** What the schema of a policy can't say: rules that need two keys. */

import { showValue } from '../printable.ts'
import { gateRelations, headerRelations } from './policy-gate-relations.ts'
import { asMap, type JsonMap, type Problem, type YamlFile } from './policy-text.ts'

/** Runs on the bare value, so that it also speaks of broken files. */
export function checkRelations(file: YamlFile): Problem[] {
  const policy = asMap(file.value)
  const environments = asMap(policy.environments)
  const problems = [
    ...branchRelations(policy, file),
    ...guardRelations(policy, file),
    ...rollbackRelations(policy, file),
  ]
  for (const name of ['staging', 'production']) {
    const environment = asMap(environments[name])
    const at = ['environments', name]
    const mode = asMap(policy.evidence).servedCommit ?? 'required'
    if (environments[name] !== undefined && environment.servedCommit === undefined && mode === 'required') {
      problems.push(
        file.problem(
          [...at, 'servedCommit'],
          'is missing: add servedCommit: { get: /health, json: commit }, or set evidence.servedCommit: if-reported',
        ),
      )
    }
    for (const [key, text] of headerRelations(environment))
      problems.push(file.problem([...at, ...key], text, 'key'))
    const gates = Array.isArray(environment.gates) ? environment.gates.map(asMap) : []
    gates.forEach((gate, index) => {
      const path = [...at, 'gates', index]
      const first = gates.findIndex((other) => other.name === gate.name)
      if (typeof gate.name === 'string' && first < index) {
        const { line } = file.lines.linePos(file.offsetOf([...at, 'gates', first, 'name'], 'value'))
        problems.push(
          file.problem([...path, 'name'], `${showValue(gate.name)} is also the gate in line ${line}`),
        )
      }
      for (const [key, text] of gateRelations(gate, gates))
        problems.push(file.problem([...path, ...key], text, 'key'))
    })
  }
  return problems
}

function branchRelations({ staging, release }: JsonMap, file: YamlFile): Problem[] {
  if (typeof staging !== 'string' || typeof release !== 'string') return []
  if (staging === release) return [file.problem(['release'], 'must be another branch than staging')]
  // In git one ref can't be the folder of another.
  const nested = staging.startsWith(`${release}/`) || release.startsWith(`${staging}/`)
  return nested
    ? [file.problem(['release'], 'cannot exist beside staging: one is a folder of the other')]
    : []
}

/** On a host without hooks nobody but the relay moves the branch: there is nothing that could only be watched. */
function guardRelations({ guard, enforcement }: JsonMap, file: YamlFile): Problem[] {
  if (guard !== 'relay' || enforcement !== 'evaluate') return []
  return [file.problem(['enforcement'], 'must be enforce with guard: relay, which moves only what it allows')]
}

function rollbackRelations(policy: JsonMap, file: YamlFile): Problem[] {
  const rollback = asMap(policy.rollback)
  const operators = asNames(asMap(policy.promotion).operators)
  const approvers = rollback.approvers === undefined ? operators : asNames(rollback.approvers)
  const approvals = typeof rollback.approvals === 'number' ? rollback.approvals : 1
  const problems: Problem[] = []
  if (rollback.target === 'smoke-passed' && asMap(policy.environments).production === undefined) {
    const text = 'needs environments.production, whose gates are the smoke test; without it write landed'
    problems.push(file.problem(['rollback', 'target'], text))
  }
  // Only operators push. Where the pusher's own approval does not count, an operator who is no approver pushes best.
  const outsider = operators.some((name) => !approvers.includes(name))
  const most = rollback.approverMayPush === false && !outsider ? approvers.length - 1 : approvers.length
  if (operators.length > 0 && approvers.length > 0 && approvals > most) {
    const text =
      approvals > approvers.length
        ? `asks for ${approvals}, but names only ${approvers.length} who may approve`
        : `asks for ${approvals} by others than the pusher, but whichever operator pushes, at most ${most} remain`
    const at = rollback.approvals === undefined ? 'approverMayPush' : 'approvals'
    problems.push(file.problem(['rollback', at], text))
  }
  return problems
}

function asNames(value: unknown): string[] {
  return Array.isArray(value) ? [...new Set(value.filter((name) => typeof name === 'string'))] : []
}
