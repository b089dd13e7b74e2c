/** How a gate must be shaped in the file of a policy, and what it means. What needs two keys is in policy-relations.ts. */
import * as z from 'zod'
import type { Environment, Gate, GateRequest, Secret } from './policy.ts'
import { expectation, toExpectation } from './policy-expect-schema.ts'
import { duration, headerName, headerValue, namesHeadersOnce, requestPath, section } from './policy-words.ts'

export const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'] as const

/** A burst is no load test: enough to meet a rate limit, too little to bring an environment down. */
const MAX_BURST_REQUESTS = 1000
const MAX_BURST_CONCURRENCY = 100

const DEFAULT_TIMEOUT_MS = 10_000
/** Scripts take longer than requests. */
const DEFAULT_COMMAND_TIMEOUT_MS = 5 * 60_000
const DEFAULT_BACK_OFF_MS = 1000

/** Headers that headgate or HTTP itself sets. */
const OWN_HEADERS =
  /^(?:host|connection|content-length|content-type|transfer-encoding|accept-encoding|expect|keep-alive|te|trailer|upgrade|origin)$/i

const sentHeaderName = headerName.check((context) => {
  const name = context.value.toLowerCase()
  if (!OWN_HEADERS.test(name)) return
  const message = ['content-type', 'origin'].includes(name)
    ? `is set by \`${name === 'origin' ? name : 'contentType'}\``
    : 'is set by headgate itself'
  context.issues.push({ code: 'custom', input: context.value, message })
})

const secret = section('A value that only the environment of `headgate gate` knows.', {
  env: z
    .string()
    .max(100)
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')
    .refine(
      (name) => !/^(?:HEADGATE_(?!GATE_.).*|MODE|BASE|PATH|HOME)$/.test(name),
      'is a variable with another meaning',
    )
    .describe('The environment variable that holds it.'),
  prefix: z
    .string()
    .max(100)
    .regex(/^[ -~]*$/, 'must be printable ASCII on one line')
    .describe('What goes before it, such as "Bearer ".')
    .optional(),
})

export const sentHeaders = z
  .record(
    sentHeaderName,
    z.union([headerValue, secret], {
      error: ({ input }) =>
        typeof input === 'string'
          ? 'must be printable ASCII on one line, without blanks around it'
          : 'must be a text or { env: VARIABLE }, perhaps with a prefix',
    }),
  )
  .refine(namesHeadersOnce, 'names a header twice')

/** No system starts a program whose words have a NUL in them. */
const word = z
  .string()
  .max(2000)
  .regex(/^[^\0]*$/, 'must not have a NUL character')
const commandLine = word.min(1)

const methods = Object.fromEntries(
  METHODS.map((method) => [
    method,
    requestPath
      .describe(`Send ${method.toUpperCase()} to this path below the url of the environment.`)
      .optional(),
  ]),
) as Record<(typeof METHODS)[number], z.ZodOptional<typeof requestPath>>

const gateFile = section('One check: a request and what must hold of the answer, or a program.', {
  name: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]*$/, 'must be letters, digits and . _ : / - only')
    .describe('The name under which evidence reports this gate; once in an environment.'),
  ...methods,
  run: z
    .union([commandLine, z.array(word).min(1).max(50)], {
      error: 'must be a command line, or a list of a program and its arguments',
    })
    .describe(
      'A command line for the shell, or a program and its arguments; passes with exit code 0. It runs at the top of the working tree.',
    )
    .optional(),
  json: z.unknown().describe('The body of the request, sent as JSON.').optional(),
  body: z
    .union([z.string(), secret], { error: 'must be a text, or { env: VARIABLE }' })
    .describe('The body of the request, sent as it is.')
    .optional(),
  contentType: headerValue
    .describe(
      'Content type of the body. Default: application/json with json, text/plain; charset=utf-8 with body.',
    )
    .optional(),
  headers: sentHeaders
    .describe(
      'Headers of the request. Secrets by the name of an environment variable only: the policy is public to everyone who can fetch.',
    )
    .optional(),
  origin: z
    .string()
    .max(300)
    .regex(
      /^(?:https?:\/\/[A-Za-z0-9.[\]:-]+|null)$/,
      'must be an origin like https://not-allowed.example, without a path, or "null" in quotes',
    )
    .describe(
      'The Origin header of the request: as a page of that origin would send it; "null", as a sandboxed frame would.',
    )
    .optional(),
  redirects: z.int().min(0).max(10).describe('How many redirects are followed.').default(0),
  burst: section('The same request many times.', {
    requests: z.int().min(2).max(MAX_BURST_REQUESTS).describe('How often the request is sent.'),
    concurrency: z
      .int()
      .min(1)
      .max(MAX_BURST_CONCURRENCY)
      .describe('How many are under way at any time. Default: 10, or all where there are fewer.')
      .optional(),
  }).optional(),
  optional: z
    .boolean()
    .describe('If true, a failure of this gate makes the run WARNED, not FAILED.')
    .default(false),
  timeout: duration(
    'Bound on each exchange, from connecting to the last byte; on the whole of a command. Default: 10s, and 5m for run.',
    '10m',
  ).optional(),
  retries: z
    .union(
      [
        z.int().min(1).max(10),
        section('How often, and how long after.', {
          times: z.int().min(1).max(10).describe('How often at most.'),
          backOff: duration(
            'Pause before the first retry; each further one is twice as long.',
            '1m',
          ).optional(),
        }),
      ],
      {
        error:
          'must be a whole number from 1 to 10, or { times: 3, backOff: 1s } with a backOff of at most 1m',
      },
    )
    .describe('Tries again if the gate fails. The evidence says how many attempts it took.')
    .optional(),
  after: z
    .string()
    .max(100)
    .describe('The gate that must pass first; cookies that its answer sets are sent along.')
    .optional(),
  expect: expectation.optional(),
})

type GateFile = z.output<typeof gateFile>

export const gate = gateFile
  .meta({
    oneOf: [...METHODS.map((method) => ({ required: [method, 'expect'] })), { required: ['run'] }],
  })
  .transform(toGate)

function toGate(file: GateFile): Gate {
  const head = {
    name: file.name,
    optional: file.optional,
    timeoutMs: file.timeout ?? (file.run === undefined ? DEFAULT_TIMEOUT_MS : DEFAULT_COMMAND_TIMEOUT_MS),
    retries: toRetries(file.retries),
    after: file.after ?? null,
  }
  if (file.run !== undefined) return { kind: 'command', ...head, command: file.run }
  const answered = { ...head, request: toRequest(file), expect: toExpectation(file.expect ?? {}) }
  if (file.burst !== undefined) {
    const { requests, concurrency } = file.burst
    return { kind: 'burst', ...answered, requests, concurrency: concurrency ?? Math.min(10, requests) }
  }
  return file.expect?.corsDenied === true
    ? { kind: 'cors', ...answered, origin: file.origin ?? '' }
    : { kind: 'http', ...answered }
}

function toRetries(file: GateFile['retries']): Gate['retries'] {
  if (file === undefined) return null
  const { times, backOff } = typeof file === 'number' ? { times: file } : { ...file }
  return { times, backOffMs: backOff ?? DEFAULT_BACK_OFF_MS }
}

function toRequest(file: GateFile): GateRequest {
  const method = METHODS.find((candidate) => file[candidate] !== undefined) ?? 'get'
  const body = file.json !== undefined ? JSON.stringify(file.json) : (toValue(file.body) ?? null)
  const type =
    file.contentType ?? (file.json !== undefined ? 'application/json' : 'text/plain; charset=utf-8')
  return {
    method: method.toUpperCase() as GateRequest['method'],
    path: file[method] ?? '/',
    headers: Object.fromEntries([
      ...Object.entries(toHeaders(file.headers)),
      ...(file.origin === undefined ? [] : [['origin', file.origin]]),
      ...(body === null ? [] : [['content-type', type]]),
    ]),
    body,
    redirects: file.redirects,
  }
}

export function toHeaders(file: GateFile['headers']): Record<string, string | Secret> {
  return Object.fromEntries(
    Object.entries(file ?? {}).map(([name, value]) => [name.toLowerCase(), toValue(value)]),
  )
}

/** A gate as the environment sends it: with the environment's headers, unless it has its own of the name. */
export function withHeaders(gate: Gate, headers: Environment['headers']): Gate {
  if (gate.kind === 'command') return gate
  return { ...gate, request: { ...gate.request, headers: { ...headers, ...gate.request.headers } } }
}

function toValue<T extends string | undefined>(value: T | z.output<typeof secret>) {
  return typeof value === 'object' ? { env: value.env, prefix: value.prefix ?? '' } : value
}
