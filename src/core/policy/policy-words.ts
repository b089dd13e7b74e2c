/** The small words that the schema of a policy is made of: names, durations, paths, URLs. */
import { HeadgateError } from '../errors.ts'
import * as z from '../zod-mini.ts'
import { DURATION_PATTERN, parseDuration } from './duration.ts'

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
    .check(z.describe(description))
}

export function duration(description: string, longest?: string) {
  const error = 'must be a duration like 90s, 15m, 24h, 7d or 1h30m'
  return z.pipe(
    z.string({ error }).check(z.regex(DURATION_PATTERN, { abort: true, error }), z.describe(description)),
    z.transform((text: string, context) => {
      const refuse = (message: string) => {
        context.issues.push({ code: 'custom', input: text, message })
        return z.NEVER
      }
      try {
        const ms = parseDuration(text)
        if (ms > 0 && (longest === undefined || ms <= parseDuration(longest))) return ms
        return refuse(ms === 0 ? 'must be longer than nothing' : `must be at most ${longest}`)
      } catch (error) {
        if (error instanceof HeadgateError) return refuse(error.message)
        throw error
      }
    }),
  )
}

const principalError = 'must be a name as allowed_signers writes it, without blanks or wildcards'
const principal = z.string().check(
  z.maxLength(128),
  // The pattern is published: not every JSON Schema validator knows \p.
  z.regex(/^[^\s,"'*?!#-][^\s,"'*?!#]*$/, { abort: true, error: principalError }),
  z.refine((name) => !/\p{C}/u.test(name), { error: principalError }),
)
export const principals = z.array(principal).check(
  z.minLength(1),
  z.maxLength(100),
  z.refine((names) => new Set(names).size === names.length, { error: 'names somebody twice' }),
  z.meta({ uniqueItems: true }),
)

export const requestPath = z.string().check(
  z.maxLength(2000),
  z.regex(/^\/(?:(?!#)[!-~])*$/, {
    error: ({ input }) =>
      /^https?:/i.test(String(input))
        ? 'must be a path below the url of the environment, like /health, not a URL'
        : 'must be a path that starts with "/", in printable ASCII, without "#"',
  }),
)

export const jsonPath = z
  .string()
  .check(z.maxLength(200), z.regex(/^[^.]+(?:\.[^.]+)*$/, 'must be a dotted path like database.host'))

export const headerName = z
  .string()
  .check(z.maxLength(100), z.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'is not the name of an HTTP header'))

export const headerValue = z
  .string()
  .check(
    z.maxLength(4096),
    z.regex(/^[!-~](?:[ -~]*[!-~])?$/, 'must be printable ASCII on one line, without blanks around it'),
  )

export const namesHeadersOnce = (headers: object) =>
  new Set(Object.keys(headers).map((name) => name.toLowerCase())).size === Object.keys(headers).length
