/** What a gate may expect of an answer, as the file of a policy writes it. */
import * as z from '../zod-mini.ts'
import type { HttpExpectation, Match, Status } from './policy.ts'
import { duration, headerName, jsonPath, namesHeadersOnce, section } from './policy-words.ts'

/** What only `expect` knows, but people write beside it. */
export const EXPECTATIONS = ['status', 'statusIn', 'bodyIncludes', 'bodyExcludes', 'maxTime', 'corsDenied']

const pattern = z
  .string()
  .check(
    z.minLength(1),
    z.maxLength(500),
    z.refine(isRegExp, 'is not a regular expression'),
    z.describe(
      'A JavaScript regular expression (flag u), found anywhere in the text unless it uses ^ and $.',
    ),
  )

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
  [
    scalar,
    section('One of these values.', { oneOf: z.array(scalar).check(z.minLength(1), z.maxLength(100)) }),
    matches,
    absent,
  ],
  { error: matchProblem('a single value, { oneOf: [...] }, { matches: ... } or { absent: true }') },
)
const headerMatch = z.union(
  [
    z.string(),
    section('One of these texts.', { oneOf: z.array(z.string()).check(z.minLength(1), z.maxLength(100)) }),
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

const statusProblem = 'must be a number from 200 to 599, or one of 2xx, 3xx, 4xx and 5xx'
const status = z.union(
  [z.int().check(z.minimum(200), z.maximum(599)), z.string().check(z.regex(/^[2-5]xx$/, statusProblem))],
  {
    error: statusProblem,
  },
)

export const expectation = section('What must hold of the answer; all of it.', {
  status: z.optional(status.check(z.describe('The status, or its class: 200, 2xx.'))),
  statusIn: z.optional(
    z
      .array(status)
      .check(
        z.minLength(1),
        z.maxLength(50),
        z.describe('The status is one of these. With neither status nor statusIn it must be 200 to 299.'),
      ),
  ),
  json: z.optional(
    z.record(jsonPath, jsonMatch).check(
      z.refine((paths) => Object.keys(paths).length > 0, 'must not be empty'),
      z.describe('Dotted paths into the JSON of the answer, and what must stand there.'),
    ),
  ),
  headers: z.optional(
    z.record(headerName, headerMatch).check(
      z.refine((headers) => Object.keys(headers).length > 0, 'must not be empty'),
      z.refine(namesHeadersOnce, 'names a header twice'),
      z.describe('Headers of the answer, and what they must be.'),
    ),
  ),
  bodyIncludes: z.optional(
    z
      .array(z.string().check(z.minLength(1)))
      .check(z.minLength(1), z.maxLength(50), z.describe('Texts that the body contains.')),
  ),
  bodyExcludes: z.optional(
    z
      .array(z.string().check(z.minLength(1)))
      .check(z.minLength(1), z.maxLength(50), z.describe('Texts that the body must not contain.')),
  ),
  maxTime: z.optional(
    duration('The whole answer is there by then, counted from before the connection.', '10m'),
  ),
  corsDenied: z.optional(
    z
      .literal(true, { error: 'must be true, or left out' })
      .check(
        z.describe(
          'The foreign origin of the gate gets neither * nor itself allowed, on the request and on its preflight.',
        ),
      ),
  ),
}).check(z.meta({ minProperties: 1 }))

/** The expectation of a gate with its defaults. `corsDenied` is no part of it: that is another kind of gate. */
export function toExpectation(file: z.output<typeof expectation>): HttpExpectation {
  const statuses = file.statusIn ?? (file.status === undefined ? null : [file.status])
  return {
    statuses: statuses as readonly Status[] | null,
    json: Object.entries(file.json ?? {}).map(([path, match]) => ({ path, match: toMatch(match) })),
    headers: Object.entries(file.headers ?? {}).map(([name, match]) => ({
      name: name.toLowerCase(),
      match: toMatch(match),
    })),
    bodyIncludes: file.bodyIncludes ?? [],
    bodyExcludes: file.bodyExcludes ?? [],
    maxTimeMs: file.maxTime ?? null,
  }
}
