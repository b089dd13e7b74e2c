/** What a gate may expect of an answer, as the file of a policy writes it. */
import * as z from 'zod'
import type { HttpExpectation, Match, Status } from './policy.ts'
import { duration, headerName, jsonPath, namesHeadersOnce, section } from './policy-words.ts'

/** What only `expect` knows, but people write beside it. */
export const EXPECTATIONS = ['status', 'statusIn', 'bodyIncludes', 'bodyExcludes', 'maxTime', 'corsDenied']

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

const statusProblem = 'must be a number from 200 to 599, or one of 2xx, 3xx, 4xx and 5xx'
const status = z.union([z.int().min(200).max(599), z.string().regex(/^[2-5]xx$/, statusProblem)], {
  error: statusProblem,
})

export const expectation = section('What must hold of the answer; all of it.', {
  status: status.describe('The status, or its class: 200, 2xx.').optional(),
  statusIn: z
    .array(status)
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
    .refine(namesHeadersOnce, 'names a header twice')
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
  maxTime: duration(
    'The whole answer is there by then, counted from before the connection.',
    '10m',
  ).optional(),
  corsDenied: z
    .literal(true, { error: 'must be true, or left out' })
    .describe(
      'The foreign origin of the gate gets neither * nor itself allowed, on the request and on its preflight.',
    )
    .optional(),
}).meta({ minProperties: 1 })

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
