/**
 * What one policy says otherwise than the one before it. A change weakens where it takes a demand away, lets somebody do
 * more, or where nobody can tell: docs/rules-reference.md, "Changes of policy", lists them.
 */
import { canonicalJson } from '../canonical-json.ts'
import { exactDuration } from './duration.ts'
import type { Environment, Gate, Policy } from './policy.ts'

export type PolicyChange = { readonly text: string; readonly weakens: boolean }

export function policyChanges(before: Policy, after: Policy): PolicyChange[] {
  const changes: PolicyChange[] = []
  const differ = (name: string, was: string, is: string, weakens: boolean) => {
    if (was !== is) changes.push({ text: `${name}: ${was} -> ${is}`, weakens })
  }
  /** Of words in an order, the first one demands most. */
  const lower = (words: readonly string[], was: string, is: string) => words.indexOf(is) > words.indexOf(was)
  const longer = (name: string, was: number, is: number) =>
    differ(name, exactDuration(was), exactDuration(is), is > was)

  for (const name of ['repository', 'staging', 'release', 'releaseLog'] as const)
    differ(name, before[name], after[name], true)
  differ('guard', before.guard ?? 'hooks', after.guard ?? 'hooks', after.guard === 'relay')
  differ('enforcement', before.enforcement, after.enforcement, after.enforcement === 'evaluate')
  longer('evidence.maxAge', before.evidence.maxAgeMs, after.evidence.maxAgeMs)
  const [served, isServed] = [before.evidence.servedCommit, after.evidence.servedCommit]
  differ('evidence.servedCommit', served, isServed, lower(SERVED, served, isServed))
  changes.push(...nameChanges('promotion.operators', before.promotion.operators, after.promotion.operators))
  const [signed, isSigned] = [before.promotion.signedPush, after.promotion.signedPush]
  differ('promotion.signedPush', signed, isSigned, lower(SIGNED, signed, isSigned))
  const [notes, isNotes] = [before.promotion.notes, after.promotion.notes]
  differ('promotion.notes', notes, isNotes, isNotes === 'optional')
  const [was, is] = [before.rollback, after.rollback]
  changes.push(...nameChanges('rollback.approvers', was.approvers, is.approvers))
  differ('rollback.approvals', String(was.approvals), String(is.approvals), is.approvals < was.approvals)
  differ(
    'rollback.approverMayPush',
    String(was.approverMayPush),
    String(is.approverMayPush),
    is.approverMayPush,
  )
  longer('rollback.approvalMaxAge', was.approvalMaxAgeMs, is.approvalMaxAgeMs)
  differ('rollback.target', was.target, is.target, is.target === 'landed')
  differ('rollback.bar', was.bar, is.bar, is.bar === 'commit')
  // Of what has no order of its own nobody can tell whether it asks for less.
  for (const section of ['evidence', 'promotion', 'rollback'] as const) {
    const [old, now] = [before[section], after[section]]
    for (const key of keysOf(old, now).filter((name) => !ORDERED.has(name)))
      differ(`${section}.${key}`, shown(old, key), shown(now, key), true)
  }
  for (const name of ['staging', 'production'] as const)
    changes.push(...environmentChanges(name, before.environments[name], after.environments[name]))
  return changes
}

const ORDERED: ReadonlySet<string> = new Set([
  ...['maxAgeMs', 'servedCommit', 'operators', 'signedPush', 'notes'],
  ...['approvers', 'approvals', 'approverMayPush', 'approvalMaxAgeMs', 'target', 'bar'],
])
const SERVED = ['required', 'if-reported', 'ignore']
const SIGNED = ['required', 'if-offered', 'ignore']

/** A principal who is put in may do what they could not do before. */
function nameChanges(name: string, before: readonly string[], after: readonly string[]): PolicyChange[] {
  const put = after.filter((person) => !before.includes(person))
  const taken = before.filter((person) => !after.includes(person))
  return [
    ...put.map((person) => ({ text: `${name}: ${person} put in`, weakens: true })),
    ...taken.map((person) => ({ text: `${name}: ${person} taken out`, weakens: false })),
  ]
}

function environmentChanges(
  name: string,
  before: Environment | undefined,
  after: Environment | undefined,
): PolicyChange[] {
  const path = `environments.${name}`
  if (before === undefined || after === undefined) {
    if (before === after) return []
    return [
      { text: `${path}: ${after === undefined ? 'taken out' : 'put in'}`, weakens: after === undefined },
    ]
  }
  // Everything that is neither a gate nor its own address is sent there, or read from there: it decides what answers.
  const { gates, configurationDigest, name: _, ...rest } = before
  const { gates: gatesNow, configurationDigest: digestNow, name: __, ...restNow } = after
  const changes: PolicyChange[] = []
  for (const key of keysOf(rest, restNow)) {
    const [was, is] = [shown(rest, key), shown(restNow, key)]
    const isPutIn = key === 'servedCommit' && was === 'null'
    if (was !== is) changes.push({ text: `${path}.${key}: ${was} -> ${is}`, weakens: !isPutIn })
  }
  for (const gate of gates) {
    const now = gatesNow.find((other) => other.name === gate.name)
    const change = gateChange(gate, now)
    if (change !== null)
      changes.push({ text: `${path}.gates.${gate.name}: ${change.text}`, weakens: change.weakens })
  }
  for (const gate of gatesNow) {
    if (gates.some((other) => other.name === gate.name)) continue
    changes.push({ text: `${path}.gates.${gate.name}: put in${optional(gate)}`, weakens: false })
  }
  if (changes.length === 0 && configurationDigest !== digestNow)
    changes.push({ text: `${path}: written otherwise, so that older runs do not count`, weakens: false })
  return changes
}

/** An optional gate proves nothing, so that nothing about it weakens. */
function gateChange(before: Gate, after: Gate | undefined): PolicyChange | null {
  const wasRequired = !before.optional
  if (after === undefined) return { text: `taken out${optional(before)}`, weakens: wasRequired }
  const { optional: was, ...rest } = before
  const { optional: is, ...restNow } = after
  if (canonicalJson(rest) !== canonicalJson(restNow)) {
    const keys = keysOf(rest, restNow).filter((key) => shown(rest, key) !== shown(restNow, key))
    return { text: `asks something else (${keys.join(', ')})${optional(after)}`, weakens: wasRequired }
  }
  if (was === is) return null
  return { text: is ? 'required -> optional' : 'optional -> required', weakens: is }
}

function optional(gate: Gate): string {
  return gate.optional ? ' (optional)' : ''
}

function keysOf(...values: readonly object[]): string[] {
  return [...new Set(values.flatMap((value) => Object.keys(value)))].sort()
}

function shown(value: object, key: string): string {
  const part = (value as Readonly<Record<string, unknown>>)[key]
  return typeof part === 'string' ? part : canonicalJson(part ?? null)
}
