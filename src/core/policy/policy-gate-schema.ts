/** How a gate must be shaped in the file of a policy, and what it means. What needs two keys is in policy-relations.ts. */
import * as z from '../zod-mini.ts'
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
  env: z.string().check(
    z.maxLength(100),
    z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable'),
    z.refine(
      (name) => !/^(?:HEADGATE_(?!GATE_.).*|MODE|BASE|PATH|HOME)$/.test(name),
      'is a variable with another meaning',
    ),
    z.describe('The environment variable that holds it.'),
  ),
  prefix: z.optional(
    z
      .string()
      .check(
        z.maxLength(100),
        z.regex(/^[ -~]*$/, 'must be printable ASCII on one line'),
        z.describe('What goes before it, such as "Bearer ".'),
      ),
  ),
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
  .check(z.refine(namesHeadersOnce, 'names a header twice'))

/** No system starts a program whose words have a NUL in them. */
const word = z.string().check(z.maxLength(2000), z.regex(/^[^\0]*$/, 'must not have a NUL character'))
const commandLine = word.check(z.minLength(1))

const methods = Object.fromEntries(
  METHODS.map((method) => [
    method,
    z.optional(
      requestPath.check(
        z.describe(`Send ${method.toUpperCase()} to this path below the url of the environment.`),
      ),
    ),
  ]),
) as Record<(typeof METHODS)[number], z.ZodMiniOptional<typeof requestPath>>

const gateFile = section('One check: a request and what must hold of the answer, or a program.', {
  name: z
    .string()
    .check(
      z.maxLength(100),
      z.regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]*$/, 'must be letters, digits and . _ : / - only'),
      z.describe('The name under which evidence reports this gate; once in an environment.'),
    ),
  ...methods,
  run: z.optional(
    z
      .union([commandLine, z.array(word).check(z.minLength(1), z.maxLength(50))], {
        error: 'must be a command line, or a list of a program and its arguments',
      })
      .check(
        z.describe(
          'A command line for the shell, or a program and its arguments; passes with exit code 0. It runs at the top of the working tree.',
        ),
      ),
  ),
  json: z.optional(z.unknown().check(z.describe('The body of the request, sent as JSON.'))),
  body: z.optional(
    z
      .union([z.string(), secret], { error: 'must be a text, or { env: VARIABLE }' })
      .check(z.describe('The body of the request, sent as it is.')),
  ),
  contentType: z.optional(
    headerValue.check(
      z.describe(
        'Content type of the body. Default: application/json with json, text/plain; charset=utf-8 with body.',
      ),
    ),
  ),
  headers: z.optional(
    sentHeaders.check(
      z.describe(
        'Headers of the request. Secrets by the name of an environment variable only: the policy is public to everyone who can fetch.',
      ),
    ),
  ),
  origin: z.optional(
    z
      .string()
      .check(
        z.maxLength(300),
        z.regex(
          /^(?:https?:\/\/[A-Za-z0-9.[\]:-]+|null)$/,
          'must be an origin like https://not-allowed.example, without a path, or "null" in quotes',
        ),
        z.describe(
          'The Origin header of the request: as a page of that origin would send it; "null", as a sandboxed frame would.',
        ),
      ),
  ),
  redirects: z._default(
    z.int().check(z.minimum(0), z.maximum(10), z.describe('How many redirects are followed.')),
    0,
  ),
  burst: z.optional(
    section('The same request many times.', {
      requests: z
        .int()
        .check(z.minimum(2), z.maximum(MAX_BURST_REQUESTS), z.describe('How often the request is sent.')),
      concurrency: z.optional(
        z
          .int()
          .check(
            z.minimum(1),
            z.maximum(MAX_BURST_CONCURRENCY),
            z.describe('How many are under way at any time. Default: 10, or all where there are fewer.'),
          ),
      ),
    }),
  ),
  optional: z._default(
    z.boolean().check(z.describe('If true, a failure of this gate makes the run WARNED, not FAILED.')),
    false,
  ),
  timeout: z.optional(
    duration(
      'Bound on each exchange, from connecting to the last byte; on the whole of a command. Default: 10s, and 5m for run.',
      '10m',
    ),
  ),
  retries: z.optional(
    z
      .union(
        [
          z.int().check(z.minimum(1), z.maximum(10)),
          section('How often, and how long after.', {
            times: z.int().check(z.minimum(1), z.maximum(10), z.describe('How often at most.')),
            backOff: z.optional(
              duration('Pause before the first retry; each further one is twice as long.', '1m'),
            ),
          }),
        ],
        {
          error:
            'must be a whole number from 1 to 10, or { times: 3, backOff: 1s } with a backOff of at most 1m',
        },
      )
      .check(z.describe('Tries again if the gate fails. The evidence says how many attempts it took.')),
  ),
  after: z.optional(
    z
      .string()
      .check(
        z.maxLength(100),
        z.describe('The gate that must pass first; cookies that its answer sets are sent along.'),
      ),
  ),
  expect: z.optional(expectation),
})

type GateFile = z.output<typeof gateFile>

export const gate = z.pipe(
  gateFile.check(
    z.meta({
      oneOf: [...METHODS.map((method) => ({ required: [method, 'expect'] })), { required: ['run'] }],
    }),
  ),
  z.transform(toGate),
)

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
