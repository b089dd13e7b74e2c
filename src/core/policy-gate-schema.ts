/** How a gate must be shaped in the file of a policy, and the words that the rest of the schema is made of. */
import * as z from 'zod'
import { DURATION_PATTERN, parseDuration } from './duration.ts'
import { HeadgateError } from './errors.ts'
import type { Gate, HttpGate, Match } from './policy.ts'

/** What only `expect` knows, but people write beside it. */
export const EXPECTATIONS = ['status', 'statusIn', 'bodyIncludes', 'bodyExcludes']

export const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head'] as const

/** Words of the policy language that a later version will run: told apart from misspelt ones. */
export const NOT_YET = ['burst', 'corsDenied', 'origin', 'run', 'retries']

/** Headers that headgate or HTTP itself sets, and those that would put a secret into a file that everyone can read. */
const OWN_HEADERS =
  /^(?:host|connection|content-length|content-type|transfer-encoding|accept-encoding|expect|keep-alive|te|trailer|upgrade)$/i
const SECRET_HEADERS = /^(?:authorization|proxy-authorization|cookie)$/i

/** What is wrong with a base URL, for people, without repeating the URL; null if nothing. */
export function baseUrlProblem(text: string): string | null {
  // Printable ASCII only: the URL parser silently drops line breaks and tabs, and reads "\" as "/".
  if (
    text.length > 2000 ||
    !/^https?:\/\/[^\s\\/?#]/i.test(text) ||
    !/^[!-~]+$/.test(text) ||
    !URL.canParse(text)
  ) {
    return 'must be a URL like https://staging.example.com'
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return 'must not carry a user name or password'
  if (text.includes('?') || text.includes('#')) return 'must have neither query nor fragment'
  return null
}

/** Why a short branch name is none (git check-ref-format --branch, and what headgate itself can't do); null if fine. */
export function branchProblem(name: string): string | null {
  if (/^refs\//.test(name)) return 'must be a short branch name: write "main", not "refs/heads/main"'
  const bad =
    /[\p{C}\p{Z}~^:?*[\\]|\.\.|@\{|^-|^\/|\/$|\/\/|\.$|(?:^|\/)\.|\.lock(?:\/|$)|^@$|^HEAD$/u.test(name) ||
    name.length > 200
  return bad || name === '' ? 'is not a branch name that git allows' : null
}

export const problem = (check: (text: string) => string | null) =>
  z.string().check((context) => {
    const message = check(context.value)
    if (message !== null) context.issues.push({ code: 'custom', input: context.value, message })
  })

/** A map with known keys only. The message of the issue about unknown keys lists the known ones, for suggestions. */
export function section<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape) {
  const known = Object.keys(shape).join(' ')
  return z
    .strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? known : undefined) })
    .describe(description)
}

export function duration(description: string, longest?: string) {
  const error = 'must be a duration like 90s, 15m, 24h, 7d or 1h30m'
  return z
    .string({ error })
    .regex(DURATION_PATTERN, { abort: true, error })
    .describe(description)
    .transform((text, context) => {
      try {
        const ms = parseDuration(text)
        if (ms > 0 && (longest === undefined || ms <= parseDuration(longest))) return ms
        context.addIssue(ms === 0 ? 'must be longer than nothing' : `must be at most ${longest}`)
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
        context.addIssue(error.message)
      }
      return z.NEVER
    })
}

const principalError = 'must be a name as allowed_signers writes it, without blanks or wildcards'
const principal = z
  .string()
  .max(128)
  // The pattern is published: not every JSON Schema validator knows \p.
  .regex(/^[^\s,"'*?!#-][^\s,"'*?!#]*$/, { abort: true, error: principalError })
  .refine((name) => !/\p{C}/u.test(name), { error: principalError })
export const principals = z
  .array(principal)
  .min(1)
  .max(100)
  .refine((names) => new Set(names).size === names.length, { error: 'names somebody twice' })
  .meta({ uniqueItems: true })

export const requestPath = z
  .string()
  .max(2000)
  .regex(/^\/(?:(?!#)[!-~])*$/, {
    error: ({ input }) =>
      /^https?:/i.test(String(input))
        ? 'must be a path below the url of the environment, like /health, not a URL'
        : 'must be a path that starts with "/", in printable ASCII, without "#"',
  })

export const jsonPath = z
  .string()
  .max(200)
  .regex(/^[^.]+(?:\.[^.]+)*$/, 'must be a dotted path like database.host')

const headerName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'is not the name of an HTTP header')
const sentHeaderName = headerName.check((context) => {
  const reason = OWN_HEADERS.test(context.value)
    ? /^content-type$/i.test(context.value)
      ? 'is set by `contentType`'
      : 'is set by headgate itself'
    : SECRET_HEADERS.test(context.value)
      ? 'would put a secret into the policy, which everyone who can fetch can read'
      : null
  if (reason !== null) context.issues.push({ code: 'custom', input: context.value, message: reason })
})
const headerValue = z
  .string()
  .max(4096)
  .regex(/^[!-~](?:[ -~]*[!-~])?$/, 'must be printable ASCII on one line, without blanks around it')
const caseInsensitiveOnce = (headers: object) =>
  new Set(Object.keys(headers).map((name) => name.toLowerCase())).size === Object.keys(headers).length

const pattern = z
  .string()
  .min(1)
  .max(500)
  .refine(isRegExp, 'is not a regular expression')
  .describe('A JavaScript regular expression (flag u), found anywhere in the text unless it uses ^ and $.')

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp
  } catch {
    return false
  }
}

const matches = section('A text that the pattern finds something in.', { matches: pattern })
const absent = section('Nothing may stand there.', { absent: z.literal(true) })
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()], {
  error: 'must be a text, a number, true, false or null',
})

/** Nested maps and lists are what people write who expect another grammar; tell them this one. */
function matchProblem(alternatives: string) {
  return ({ input }: { input?: unknown }) => {
    if (Array.isArray(input)) return 'must not be a list: write { oneOf: [...] } for alternatives'
    if (typeof input !== 'object' || input === null) return `must be ${alternatives}`
    return Object.keys(input).some((word) => /^(?:one_?of|matches|absent)$/i.test(word))
      ? `must be ${alternatives}, with exactly one of these words`
      : `must be ${alternatives}; what is further inside is named by a dotted path, like database.host`
  }
}

const jsonMatch = z.union(
  [scalar, section('One of these values.', { oneOf: z.array(scalar).min(1).max(100) }), matches, absent],
  { error: matchProblem('a single value, { oneOf: [...] }, { matches: ... } or { absent: true }') },
)
const headerMatch = z.union(
  [
    z.string(),
    section('One of these texts.', { oneOf: z.array(z.string()).min(1).max(100) }),
    matches,
    absent,
  ],
  { error: matchProblem('a text, { oneOf: [...] }, { matches: ... } or { absent: true }') },
)

function toMatch(match: z.output<typeof jsonMatch>): Match {
  if (typeof match !== 'object' || match === null) return { kind: 'equals', value: match }
  if ('oneOf' in match) return { kind: 'one-of', values: match.oneOf }
  return 'matches' in match ? { kind: 'matches', pattern: match.matches } : { kind: 'absent' }
}

const expectation = section('What must hold of the answer; all of it.', {
  status: z.int().min(200).max(599).describe('The status.').optional(),
  statusIn: z
    .array(z.int().min(200).max(599))
    .min(1)
    .max(50)
    .describe('The status is one of these. With neither status nor statusIn it must be 200 to 299.')
    .optional(),
  json: z
    .record(jsonPath, jsonMatch)
    .refine((paths) => Object.keys(paths).length > 0, 'must not be empty')
    .describe('Dotted paths into the JSON of the answer, and what must stand there.')
    .optional(),
  headers: z
    .record(headerName, headerMatch)
    .refine((headers) => Object.keys(headers).length > 0, 'must not be empty')
    .refine(caseInsensitiveOnce, 'names a header twice')
    .describe('Headers of the answer, and what they must be.')
    .optional(),
  bodyIncludes: z
    .array(z.string().min(1))
    .min(1)
    .max(50)
    .describe('Texts that the body contains.')
    .optional(),
  bodyExcludes: z
    .array(z.string().min(1))
    .min(1)
    .max(50)
    .describe('Texts that the body must not contain.')
    .optional(),
}).meta({ minProperties: 1 })

const methods = Object.fromEntries(
  METHODS.map((method) => [
    method,
    requestPath
      .describe(`Send ${method.toUpperCase()} to this path below the url of the environment.`)
      .optional(),
  ]),
) as Record<(typeof METHODS)[number], z.ZodOptional<typeof requestPath>>

export const gate = section('One check: a request, and what must hold of the answer.', {
  name: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]*$/, 'must be letters, digits and . _ : / - only')
    .describe('The name under which evidence reports this gate; once in an environment.'),
  ...methods,
  json: z.unknown().describe('The body of the request, sent as JSON.').optional(),
  body: z.string().describe('The body of the request, sent as it is.').optional(),
  contentType: headerValue
    .describe(
      'Content type of the body. Default: application/json with json, text/plain; charset=utf-8 with body.',
    )
    .optional(),
  headers: z
    .record(sentHeaderName, headerValue)
    .refine(caseInsensitiveOnce, 'names a header twice')
    .describe('Headers of the request. No secrets: the policy is public to everyone who can fetch.')
    .optional(),
  optional: z
    .boolean()
    .describe('If true, a failure of this gate makes the run WARNED, not FAILED.')
    .default(false),
  timeout: duration('Bound on the whole exchange: connecting, headers and body.', '10m').prefault('10s'),
  expect: expectation,
})
  .meta({ oneOf: METHODS.map((method) => ({ required: [method] })) })
  .transform(toGate)

function toGate(file: GateFile): Gate {
  const method = METHODS.find((candidate) => file[candidate] !== undefined) ?? 'get'
  const body = file.json !== undefined ? JSON.stringify(file.json) : (file.body ?? null)
  const headers = Object.entries(file.headers ?? {}).map(
    ([name, value]) => [name.toLowerCase(), value] as const,
  )
  const type =
    file.contentType ?? (file.json !== undefined ? 'application/json' : 'text/plain; charset=utf-8')
  return {
    kind: 'http',
    name: file.name,
    optional: file.optional,
    timeoutMs: file.timeout,
    request: {
      method: method.toUpperCase() as HttpGate['request']['method'],
      path: file[method] ?? '/',
      headers: Object.fromEntries(body === null ? headers : [...headers, ['content-type', type] as const]),
      body,
    },
    expect: {
      statuses: file.expect.statusIn ?? (file.expect.status === undefined ? null : [file.expect.status]),
      json: Object.entries(file.expect.json ?? {}).map(([path, match]) => ({ path, match: toMatch(match) })),
      headers: Object.entries(file.expect.headers ?? {}).map(([name, match]) => ({
        name: name.toLowerCase(),
        match: toMatch(match),
      })),
      bodyIncludes: file.expect.bodyIncludes ?? [],
      bodyExcludes: file.expect.bodyExcludes ?? [],
    },
  }
}

type GateFile = { readonly [K in (typeof METHODS)[number]]?: string | undefined } & {
  readonly name: string
  readonly json?: unknown
  readonly body?: string | undefined
  readonly contentType?: string | undefined
  readonly headers?: Record<string, string> | undefined
  readonly optional: boolean
  readonly timeout: number
  readonly expect: z.output<typeof expectation>
}
