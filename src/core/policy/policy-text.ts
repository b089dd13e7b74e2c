/**
 * `.headgate/policy.yaml`: a YAML 1.2 document that holds nothing but JSON values, at most 64 KiB of UTF-8. Anchors,
 * aliases, tags, directives, merge keys, duplicate keys and further documents are refused, so that a text has one
 * meaning in every YAML parser, a small text has a small meaning, and the digest of an environment is well defined.
 */
import { Composer, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, Parser } from 'yaml'
import type { Json } from '../canonical-json.ts'

/** A policy of 64 long gates is 20 KiB; both files of it must also fit into one record of the ledger. */
const MAX_BYTES = 64 * 1024
/** A policy nests 6 deep; the rest is for JSON payloads. Keeps every recursion over the file shallow. */
const MAX_DEPTH = 32
export type Path = readonly (string | number)[]
/** `hides`: nothing that is said about the part besides this is worth telling. */
export type Problem = {
  readonly path: Path
  readonly text: string
  readonly offset: number
  readonly hides?: 'part'
}
export type JsonMap = { readonly [key: string]: unknown }

/** A file's value, and where in the text each part of it stands. */
export class YamlFile {
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

export function readYaml(text: string): YamlFile {
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

export function asMap(value: unknown): JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonMap) : {}
}
