/** The policy that a text states: read, shaped, checked for what needs two keys, completed with defaults. */

import type { LineCounter } from 'yaml'
import { canonicalJson, sha256 } from '../canonical-json.ts'
import { editDistance } from '../edit-distance.ts'
import { HeadgateError } from '../errors.ts'
import { printable, showValue } from '../printable.ts'
import type * as z from '../zod-mini.ts'
import { normalBaseUrl } from './base-url.ts'
import type { Environment, Policy } from './policy.ts'
import { EXPECTATIONS } from './policy-expect-schema.ts'
import { toHeaders, withHeaders } from './policy-gate-schema.ts'
import { checkRelations } from './policy-relations.ts'
import { policyFile } from './policy-schema.ts'
import { type JsonMap, type Path, type Problem, readYaml, type YamlFile } from './policy-text.ts'

/** More than a screenful helps nobody. */
const MAX_PROBLEMS = 20

/** The policy that a text states. Throws HeadgateError `configuration` that lists every problem, one a line. */
export function parsePolicy(text: string, fileName = 'policy.yaml'): Policy {
  const file = readYaml(text)
  if (!file.readable) throw refusal(file.problems, file.lines, fileName)
  const parsed = policyFile.safeParse(file.value, { error: explainIssue })
  const problems = [
    ...file.problems,
    ...(parsed.error?.issues ?? []).flatMap((issue) => problemsOfIssue(issue, file)),
    ...checkRelations(file),
  ]
  if (problems.length > 0 || !parsed.success)
    throw refusal(withoutConsequences(problems), file.lines, fileName)
  return completePolicy(parsed.data, file.value)
}

function refusal(problems: readonly Problem[], lines: LineCounter, fileName: string): HeadgateError {
  return new HeadgateError('configuration', listProblems(problems, lines, fileName), {
    hint: 'every key is described in docs/policy-reference.md',
  })
}

function listProblems(problems: readonly Problem[], lines: LineCounter, fileName: string): string {
  const sorted = [...problems].sort((a, b) => a.offset - b.offset)
  const told = sorted.slice(0, MAX_PROBLEMS).map(({ path, text, offset }) => {
    const { line, col } = lines.linePos(offset)
    const where = path.length === 0 ? '' : `${printable(showPath(path))}: `
    return `${fileName}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${where}${printable(text, 400)}`
  })
  const more = sorted.length - told.length
  const count = `${sorted.length} problem${sorted.length === 1 ? '' : 's'}`
  return [`${fileName} has ${count}`, ...told, ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}

function showPath(path: Path): string {
  return path
    .map((step, at) =>
      typeof step === 'number'
        ? `[${step}]`
        : !/^[\w-]+$/.test(step)
          ? `["${step}"]`
          : at === 0
            ? step
            : `.${step}`,
    )
    .join('')
}

const NOUNS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
}

function nounOf(value: unknown): string {
  if (value === null) return 'empty'
  return typeof value === 'boolean'
    ? String(value)
    : (NOUNS[Array.isArray(value) ? 'array' : typeof value] ?? 'that')
}

/** The words for what the schema itself has none for. */
function explainIssue(issue: z.core.$ZodRawIssue): string {
  if (issue.input === undefined) return 'is missing'
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' && typeof issue.input === 'number'
        ? 'must be a whole number'
        : `must be ${NOUNS[issue.expected] ?? issue.expected}, not ${nounOf(issue.input)}`
    case 'invalid_value':
      return `must be ${issue.values.map((value) => showValue(value)).join(' or ')}`
    case 'too_small':
      return Number(issue.minimum) > 1 || issue.origin === 'int' || issue.origin === 'number'
        ? `must be at least ${issue.minimum}`
        : 'must not be empty'
    case 'too_big':
      if (issue.origin === 'array') return `must have at most ${issue.maximum} entries`
      return issue.origin === 'string'
        ? `must be at most ${issue.maximum} long`
        : `must be at most ${issue.maximum}`
    default:
      return 'is not what must stand here'
  }
}

function problemsOfIssue(issue: z.core.$ZodIssue, file: YamlFile): Problem[] {
  const path = issue.path as Path
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split(' ')
    return issue.keys.map((key) => unknownKey([...path, key], key, known, file))
  }
  if (issue.code === 'invalid_key')
    return [file.problem(path, issue.issues[0]?.message ?? issue.message, 'key')]
  return [file.problem(path, issue.message)]
}

function unknownKey(path: Path, key: string, known: readonly string[], file: YamlFile): Problem {
  const inGate = isInGate(path)
  if (inGate && path.length === 5 && EXPECTATIONS.includes(key)) {
    return file.problem(path, 'belongs under `expect`', 'key')
  }
  const near = suggestion(key, known)
  const help = near === null ? `known are ${known.join(', ')}` : `did you mean \`${near}\`?`
  return file.problem(path, `is unknown here; ${help}`, 'key')
}

/** The known word that someone who wrote this may have meant; null if none is near. */
function suggestion(word: string, known: readonly string[]): string | null {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_ ]/g, '')
  const typed = plain(word).slice(0, 40)
  const [near] = known
    .map((candidate) => ({ candidate, distance: editDistance(typed, plain(candidate)) }))
    .filter(({ candidate, distance }) => {
      const beginning =
        typed.length >= 3 && (plain(candidate).startsWith(typed) || typed.startsWith(plain(candidate)))
      return beginning || distance <= Math.max(1, Math.floor(candidate.length / 3))
    })
    .sort((a, b) => a.distance - b.distance)
  return near?.candidate ?? null
}

/** Leaves out what another problem explains: parts of what could not be read. */
function withoutConsequences(problems: readonly Problem[]): Problem[] {
  const key = (path: Path) => JSON.stringify(path)
  const hidden = new Set(problems.flatMap(({ path, hides }) => (hides === undefined ? [] : [key(path)])))
  const isHidden = (path: Path) => path.some((_, at) => hidden.has(key(path.slice(0, at + 1))))
  return problems.filter(({ path, hides }) => hides !== undefined || !isHidden(path))
}

function isInGate(path: Path): boolean {
  return path[0] === 'environments' && path[2] === 'gates' && path.length >= 4
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => (inner as JsonMap | null | undefined)?.[step], value)
}

/** The policy with the defaults that depend on other keys, and the digest of what the file itself says. */
function completePolicy(file: z.output<typeof policyFile>, value: unknown): Policy {
  const complete = (
    name: Environment['name'],
    environment: z.output<typeof policyFile>['environments']['staging'],
  ) => ({
    name,
    url: environment.url,
    urls: [...new Set([environment.url, ...(environment.urls ?? [])].map((url) => normalBaseUrl(url).text))],
    servedCommit: environment.servedCommit ?? null,
    headers: toHeaders(environment.headers),
    gates: environment.gates.map((gate) => withHeaders(gate, toHeaders(environment.headers))),
    configurationDigest: sha256(canonicalJson(valueAt(value, ['environments', name]))),
  })
  const { staging, production } = file.environments
  const { maxAge, servedCommit } = file.evidence
  const { approvers, approvals, approverMayPush, approvalMaxAge, target, bar } = file.rollback
  return {
    version: file.version,
    repository: file.repository,
    staging: file.staging,
    release: file.release,
    ...(file.guard === 'relay' ? { guard: file.guard } : {}),
    enforcement: file.enforcement,
    releaseLog: file.releaseLog,
    evidence: { maxAgeMs: maxAge, servedCommit },
    promotion: file.promotion,
    rollback: {
      approvers: approvers ?? file.promotion.operators,
      approvals,
      approverMayPush,
      approvalMaxAgeMs: approvalMaxAge,
      target: target ?? (production === undefined ? 'landed' : 'smoke-passed'),
      bar,
    },
    environments: {
      staging: complete('staging', staging),
      ...(production === undefined ? {} : { production: complete('production', production) }),
    },
  }
}
