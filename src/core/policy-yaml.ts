/**
 * `.headgate/policy.yaml`: a YAML 1.2 document that holds nothing but JSON values, at most 64 KiB of UTF-8. Anchors,
 * aliases, tags, directives, merge keys, duplicate keys and further documents are refused, so that a text has one
 * meaning in every YAML parser, a small text has a small meaning, and the digest of an environment is well defined.
 */
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, Parser } from 'yaml'
import type { z } from 'zod'
import { canonicalJson, type Json, sha256 } from './canonical-json.ts'
import { HeadgateError } from './errors.ts'
import {
  type Environment,
  EXPECTATIONS,
  METHODS,
  NOT_YET,
  type Policy,
  policyFile,
  showValue,
} from './policy.ts'
import { printable } from './printable.ts'

/** A policy of 64 long gates is 20 KiB; both files of it must also fit into one record of the ledger. */
const MAX_BYTES = 64 * 1024
/** A policy nests 6 deep; the rest is for JSON payloads. Keeps every recursion over the file shallow. */
const MAX_DEPTH = 32
/** More than a screenful helps nobody. */
const MAX_PROBLEMS = 20

type Path = readonly (string | number)[]
/** `hides`: nothing that is said about the part besides this is worth telling. */
type Problem = {
  readonly path: Path
  readonly text: string
  readonly offset: number
  readonly hides?: 'part' | 'gate'
}
type JsonMap = { readonly [key: string]: unknown }

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

/** A file's value, and where in the text each part of it stands. */
class YamlFile {
  value: unknown
  /** False where the text is no single YAML document, so that nothing can be said about its parts. */
  readable = false
  readonly problems: Problem[] = []
  readonly lines: LineCounter = new LineCounter()
  private readonly offsets = new Map<string, { key: number; value: number }>()

  place(path: Path, key: number, value: number): void {
    this.offsets.set(JSON.stringify(path), { key, value })
  }

  /** Where the part stands, or where it is missing: the nearest part around it that is there. */
  offsetOf(path: Path, part: 'key' | 'value'): number {
    const found = this.offsets.get(JSON.stringify(path))
    if (found !== undefined) return found[part]
    return path.length === 0 ? 0 : this.offsetOf(path.slice(0, -1), 'value')
  }

  problem(path: Path, text: string, part: 'key' | 'value' = 'value'): Problem {
    return { path, text, offset: this.offsetOf(path, part) }
  }
}

function readYaml(text: string): YamlFile {
  const file = new YamlFile()
  const refuse = (why: string, offset = 0) => file.problems.push({ path: [], text: why, offset })
  if (Buffer.byteLength(text) > MAX_BYTES) {
    refuse('is larger than 64 KiB')
    return file
  }
  const tokens = [...new Parser(file.lines.addNewLine).parse(text)]
  if (!text.isWellFormed()) refuse('is not valid Unicode')
  for (const token of tokens) {
    if (token.type === 'directive') refuse('has a directive; a policy is plain YAML 1.2', token.offset)
  }
  // Composing recurses: it must not see what is too deep.
  const tooDeep = offsetDeeperThan(MAX_DEPTH, tokens)
  if (tooDeep !== null) refuse(`nests deeper than ${MAX_DEPTH} levels`, tooDeep)
  if (file.problems.length > 0) return file
  // Duplicate keys are found below: the library looks for them in quadratic time.
  const composer = new Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
    strict: true,
  })
  const documents = [...composer.compose(tokens, true, text.length)]
  for (const document of documents) {
    // An unknown tag is a warning to the library; a tag of any kind is refused below, where it has a path.
    for (const { message, pos } of document.errors) refuse(message, pos[0])
  }
  const further = documents[1]
  if (further !== undefined) refuse('has a second document; a policy is one', further.range[0])
  if (file.problems.length > 0) return file
  file.readable = true
  file.value = toJson(documents[0]?.contents as Node | null, [], file, 0)
  return file
}

/** Where the first collection starts that is nested deeper than `depth`; null if none is. */
function offsetDeeperThan(depth: number, tokens: readonly unknown[]): number | null {
  type Token = { offset?: number; value?: Token | string; key?: Token; items?: Token[] }
  const open = tokens.map((token) => ({ token: token as Token, level: 0, offset: 0 }))
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, level } = next
    const offset = token.offset ?? next.offset
    if (level > depth) return offset
    for (const child of token.items ?? []) open.push({ token: child, level: level + 1, offset })
    // A key and a value stand on the level of the item that holds them.
    for (const child of [token.key, token.value]) {
      if (typeof child === 'object' && child) open.push({ token: child, level, offset })
    }
  }
  return null
}

/** The JSON value of a node; reports what JSON can't hold, and places every part. `at` stands in for empty nodes. */
function toJson(node: Node | null | undefined, path: Path, file: YamlFile, at: number): Json {
  const offset = node?.range?.[0] ?? at
  file.place(path, at, offset)
  const mention = (text: string) => file.problems.push({ path, text, offset })
  const refuse = (text: string) => {
    file.problems.push({ path, text, offset, hides: 'part' })
    return null
  }
  if (node === null || node === undefined) return null
  if (isAlias(node)) return refuse('is an alias; write the value out')
  const marked = node as { anchor?: string; tag?: string }
  if (marked.anchor !== undefined) mention('has an anchor; a policy has no aliases')
  if (marked.tag !== undefined) mention('has a tag; quote a text instead')
  if (isSeq(node)) return node.items.map((item, at) => toJson(item as Node, [...path, at], file, offset))
  if (isScalar(node)) return scalarToJson(node.value, refuse)
  if (!isMap(node)) return refuse('is nothing that JSON can hold')
  const map: Record<string, Json> = {}
  for (const { key, value } of node.items) {
    const keyNode = key as Node
    const keyAt = keyNode?.range?.[0] ?? offset
    const name: unknown = isScalar(keyNode) ? keyNode.value : undefined
    const plain = isScalar(keyNode) && keyNode.anchor === undefined && keyNode.tag === undefined
    const unfit = keyProblem(plain ? name : undefined, map)
    if (typeof name !== 'string' || unfit !== null) {
      const shown = typeof name === 'string' ? [...path, name] : path
      file.problems.push({ path: shown, text: unfit ?? '', offset: keyAt })
    } else map[name] = toJson(value as Node | null, [...path, name], file, keyAt)
  }
  return map
}

function keyProblem(name: unknown, map: object): string | null {
  if (typeof name !== 'string') return 'has a key that is not plain text; quote it'
  if (!name.isWellFormed()) return 'is not valid Unicode'
  if (name === '<<') return 'is a merge key; write the keys out'
  // Never useful in a policy, and treacherous in every program that copies it.
  if (name === '__proto__') return 'is a key that no policy needs'
  return Object.hasOwn(map, name) ? 'stands here a second time' : null
}

function scalarToJson(value: unknown, refuse: (text: string) => null): Json {
  if (typeof value === 'string') return value.isWellFormed() ? value : refuse('is not valid Unicode')
  if (typeof value === 'boolean' || value === null) return value
  if (typeof value !== 'number') return refuse('is nothing that JSON can hold')
  if (!Number.isFinite(value)) return refuse('is a number that JSON cannot hold')
  // Beyond 2^53 parsers disagree about the value, and so would two digests of it.
  return Number.isInteger(value) && !Number.isSafeInteger(value)
    ? refuse('is too large a number; quote it')
    : value
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
  const gate = gateAround(path)
  if (gate !== null && NOT_YET.includes(key)) {
    const name = showValue(asMap(valueAt(file.value, gate)).name)
    const text = `gate ${name} uses \`${key}\`, which this version of headgate does not run yet`
    return { ...file.problem(path, text, 'key'), hides: 'gate' }
  }
  if (gate !== null && path.length === 5 && EXPECTATIONS.includes(key)) {
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

/** Levenshtein's distance, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}

/** Leaves out what another problem explains: parts of what could not be read, the rest of a gate that is not yet run. */
function withoutConsequences(problems: readonly Problem[]): Problem[] {
  const key = (path: Path) => JSON.stringify(path)
  const hidden = new Set(
    problems.flatMap(({ path, hides }) =>
      hides === undefined ? [] : [key(hides === 'gate' ? (gateAround(path) ?? path) : path)],
    ),
  )
  const isHidden = (path: Path) => path.some((_, at) => hidden.has(key(path.slice(0, at + 1))))
  return problems.filter(({ path, hides }) => hides !== undefined || !isHidden(path))
}

function gateAround(path: Path): Path | null {
  return path[0] === 'environments' && path[2] === 'gates' && path.length >= 4 ? path.slice(0, 4) : null
}

function asMap(value: unknown): JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonMap) : {}
}

function asNames(value: unknown): string[] {
  return Array.isArray(value) ? [...new Set(value.filter((name) => typeof name === 'string'))] : []
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => (inner as JsonMap | null | undefined)?.[step], value)
}

/** What the schema can't say: rules that need two keys. Runs on the bare value, so that it also speaks of broken files. */
function checkRelations(file: YamlFile): Problem[] {
  const policy = asMap(file.value)
  const environments = asMap(policy.environments)
  const problems = [...branchRelations(policy, file), ...rollbackRelations(policy, file)]
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
      for (const [key, text] of gateRelations(gate))
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

function gateRelations(gate: JsonMap): [key: string[], text: string][] {
  const problems: [string[], string][] = []
  const expect = asMap(gate.expect)
  const used = METHODS.filter((method) => gate[method] !== undefined)
  const [method, second] = used
  if (method === undefined) problems.push([[], `needs one of ${METHODS.join(', ')}`])
  if (second !== undefined)
    problems.push([[second], `cannot stand beside \`${method}\`: a gate is one request`])
  const bodies = ['json', 'body'].filter((key) => gate[key] !== undefined)
  if (bodies.length === 2) problems.push([['body'], 'cannot stand beside `json`: a request has one body'])
  if (gate.contentType !== undefined && bodies.length === 0) {
    problems.push([['contentType'], 'needs a body: add `json` or `body`'])
  }
  if ((method === 'get' || method === 'head') && bodies[0] !== undefined) {
    problems.push([[bodies[0]], `cannot be sent with ${method.toUpperCase()}`])
  }
  if (method === 'head') {
    for (const key of ['json', 'bodyIncludes', 'bodyExcludes'].filter((key) => expect[key] !== undefined)) {
      problems.push([['expect', key], 'cannot hold: the answer to HEAD has no body'])
    }
  }
  if (expect.status !== undefined && expect.statusIn !== undefined) {
    problems.push([['expect', 'statusIn'], 'cannot stand beside `status`'])
  }
  if (typeof gate.expect === 'object' && gate.expect !== null && Object.keys(expect).length === 0) {
    problems.push([['expect'], 'must name what to expect, like { status: 200 }'])
  }
  return problems
}

/** The policy with the defaults that depend on other keys, and the digest of what the file itself says. */
function completePolicy(file: z.output<typeof policyFile>, value: unknown): Policy {
  const complete = (
    name: Environment['name'],
    environment: z.output<typeof policyFile>['environments']['staging'],
  ) => ({
    name,
    url: environment.url,
    servedCommit: environment.servedCommit ?? null,
    gates: environment.gates,
    configurationDigest: sha256(canonicalJson(valueAt(value, ['environments', name]))),
  })
  const { staging, production } = file.environments
  const { maxAge, servedCommit } = file.evidence
  const { approvers, approvals, approverMayPush, approvalMaxAge, target } = file.rollback
  return {
    version: file.version,
    repository: file.repository,
    staging: file.staging,
    release: file.release,
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
    },
    environments: {
      staging: complete('staging', staging),
      ...(production === undefined ? {} : { production: complete('production', production) }),
    },
  }
}
