/** What the schema of a gate can't say: which of its keys go together, and how gates follow each other. */

import { showValue } from '../printable.ts'
import { METHODS } from './policy-gate-schema.ts'
import { asMap, type JsonMap } from './policy-text.ts'

/** Where in the gate, and what is wrong there. */
type Found = [key: string[], text: string]

/** What belongs to a request, and so not to a command. */
const OF_REQUESTS = [
  'json',
  'body',
  'contentType',
  'headers',
  'origin',
  'redirects',
  'burst',
  'expect',
] as const

/** Headers whose value, written out, would put a secret into a file that everyone can read. */
const SECRET_HEADERS = /^(?:authorization|proxy-authorization|cookie)$/i

/** Runs on bare values, so that it also speaks of broken files. */
export function gateRelations(gate: JsonMap, gates: readonly JsonMap[]): Found[] {
  const kinds = [...METHODS, 'run' as const].filter((kind) => gate[kind] !== undefined)
  const [kind, second] = kinds
  const problems: Found[] = []
  if (kind === undefined) problems.push([[], `needs one of ${METHODS.join(', ')} or run`])
  if (second !== undefined) {
    problems.push([[second], `cannot stand beside \`${kind}\`: a gate is one request or one command`])
  }
  return [
    ...problems,
    ...(kind === 'run' ? commandRelations(gate) : requestRelations(gate, kind)),
    ...orderRelations(gate, gates),
  ]
}

function commandRelations(gate: JsonMap): Found[] {
  const nameless: Found[] =
    Array.isArray(gate.run) && gate.run[0] === '' ? [[['run'], 'must begin with the name of a program']] : []
  const ofRequests = OF_REQUESTS.filter((key) => gate[key] !== undefined).map(
    (key): Found => [
      [key],
      key === 'expect'
        ? 'cannot stand beside `run`: the exit code is the outcome'
        : 'cannot stand beside `run`: it belongs to a request',
    ],
  )
  return [...nameless, ...ofRequests]
}

function requestRelations(gate: JsonMap, method: string | undefined): Found[] {
  const problems: Found[] = []
  const expect = asMap(gate.expect)
  if (gate.expect === undefined) problems.push([['expect'], 'is missing'])
  const bodies = ['json', 'body'].filter((key) => gate[key] !== undefined)
  if (bodies.length === 2) problems.push([['body'], 'cannot stand beside `json`: a request has one body'])
  if (gate.contentType !== undefined && bodies.length === 0) {
    problems.push([['contentType'], 'needs a body: add `json` or `body`'])
  }
  problems.push(...headerRelations(gate))
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
  return [...problems, ...corsRelations(gate, expect), ...burstRelations(gate, expect)]
}

/** Of a gate or an environment. */
export function headerRelations({ headers }: JsonMap): Found[] {
  return Object.entries(asMap(headers))
    .filter(([name, value]) => SECRET_HEADERS.test(name) && typeof value === 'string')
    .map(([name]) => [
      ['headers', name],
      'would put a secret into the policy, which everyone who can fetch can read: write { env: VARIABLE }',
    ])
}

function corsRelations(gate: JsonMap, expect: JsonMap): Found[] {
  if (expect.corsDenied !== true) return []
  const problems: Found[] = []
  if (gate.origin === undefined) {
    problems.push([
      ['expect', 'corsDenied'],
      'needs a foreign origin to try: add `origin: https://not-allowed.example` to the gate',
    ])
  }
  for (const key of ['burst', 'redirects'].filter((key) => gate[key] !== undefined)) {
    problems.push([[key], 'cannot stand beside `corsDenied`'])
  }
  return problems
}

function burstRelations(gate: JsonMap, expect: JsonMap): Found[] {
  if (gate.burst === undefined) return []
  const problems: Found[] = []
  const { requests, concurrency } = asMap(gate.burst)
  if (typeof requests === 'number' && typeof concurrency === 'number' && concurrency > requests) {
    problems.push([['burst', 'concurrency'], `is more than the ${requests} requests`])
  }
  if (gate.retries !== undefined) {
    problems.push([['retries'], 'cannot stand beside `burst`: one bad answer is what a burst is looking for'])
  }
  const key = expect.status === undefined ? 'statusIn' : 'status'
  const allowed = [expect[key]].flat()
  if (allowed.some((status) => status === '5xx' || (typeof status === 'number' && status >= 500))) {
    problems.push([['expect', key], 'cannot permit a server error in a burst'])
  }
  return problems
}

/** A gate waits for one that is there, that is sent before it, and that does not wait for it. */
function orderRelations(gate: JsonMap, gates: readonly JsonMap[]): Found[] {
  if (typeof gate.after !== 'string') return []
  const named = (name: unknown) => gates.find((other) => other.name === name)
  const before = named(gate.after)
  if (before === undefined) return [[['after'], `names ${showValue(gate.after)}, which is no gate here`]]
  if (before.burst !== undefined)
    return [[['after'], 'names a burst, and bursts are sent after everything else']]
  const seen: unknown[] = [gate.name]
  for (let next: JsonMap | undefined = before; next !== undefined; next = named(next.after)) {
    if (next.name === gate.name) return [[['after'], 'leads back to this gate: neither could ever start']]
    if (seen.includes(next.name)) return []
    seen.push(next.name)
    if (next.after === undefined) return []
  }
  return []
}
