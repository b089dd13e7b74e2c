import { HeadgateError } from '../core/errors.ts'
import type { Environment, Gate, Secret } from '../core/policy/policy.ts'

/** Shorter values stand in too many innocent words to be struck out of them. */
const SHORTEST_STRUCK = 4

/** A variable with such a name is meant for gates. Any other leaves the machine only if somebody there allowed its name. */
const FOR_GATES = /^HEADGATE_GATE_./

/** Where the values come from. */
export type Variables = {
  readonly values: Readonly<Record<string, string | undefined>>
  /** Names that may leave this machine besides those that are meant for gates. */
  readonly allowed: readonly string[]
}

/**
 * The values that the policy of an environment names and only the process environment knows. They leave this object
 * in requests alone.
 */
export class Secrets {
  readonly #values: ReadonlyMap<string, string>
  /** What is struck out of a text, the longest first. */
  readonly #struck: readonly string[]

  private constructor(values: ReadonlyMap<string, string>) {
    this.#values = values
    this.#struck = [...new Set([...values.values()].flatMap(spellings))]
      .filter((text) => text.length >= SHORTEST_STRUCK)
      .sort((a, b) => b.length - a.length)
  }

  /**
   * Throws HeadgateError `configuration` where a variable may not leave this machine, is missing or cannot be sent; never
   * says a value.
   */
  static of(environment: Environment, { values: variables, allowed }: Variables): Secrets {
    const values = new Map<string, string>()
    const missing: string[] = []
    const users = [
      { name: 'every request', secrets: inHeaders(environment.headers) },
      ...environment.gates.map((gate) => ({ name: `gate ${gate.name}`, secrets: secretsOf(gate) })),
    ]
    const named = users.flatMap(({ secrets }) => secrets.map(({ env }) => env))
    requireAllowed(
      environment,
      named.filter((name) => !FOR_GATES.test(name) && !allowed.includes(name)),
    )
    for (const { name, secrets } of users) {
      for (const { env, inHeader } of secrets) {
        // Files and secret stores like to end in a line break.
        const value = (variables[env] ?? '').replace(/\s+$/, '')
        if (value === '') missing.push(env)
        else if (inHeader && !/^[!-~](?:[ -~]*[!-~])?$/.test(value)) {
          throw new HeadgateError(
            'configuration',
            `the environment variable ${env} holds what no header can carry`,
            {
              hint: `${name} sends it: it must be printable ASCII on one line`,
            },
          )
        }
        values.set(env, value)
      }
    }
    if (missing.length > 0) {
      const names = [...new Set(missing)]
      const [first = ''] = names
      throw new HeadgateError(
        'configuration',
        `the gates of ${environment.name} need environment variables that are not set: ${names.join(', ')}`,
        { hint: `set them from your CI's secret store, or by hand: read -rs ${first}; export ${first}` },
      )
    }
    return new Secrets(values)
  }

  resolve(text: string | Secret): string {
    if (typeof text === 'string') return text
    return text.prefix + (this.#values.get(text.env) ?? '')
  }

  resolveAll(headers: Environment['headers']): Record<string, string> {
    return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, this.resolve(value)]))
  }

  /** The text, which is one line, with every value struck out however programs like to spell it. */
  strike(text: string): string {
    return this.#struck.reduce((struck, value) => struck.replaceAll(value, '***'), text)
  }

  /** How many characters of a text may belong to one value. */
  get longestStruck(): number {
    return this.#struck[0]?.length ?? 0
  }
}

/** A policy can name any variable, those with the caller's passwords among them. */
function requireAllowed(environment: Environment, names: readonly string[]): void {
  if (names.length === 0) return
  const each = [...new Set(names)]
  throw new HeadgateError(
    'configuration',
    `the policy sends environment variables to ${environment.name} that nobody allowed to leave this machine: ${each.join(', ')}`,
    {
      hint: `if they are meant for it: ${each.map((name) => `git config --global --add headgate.allowEnv ${name}`).join(' && ')}   (names that begin with HEADGATE_GATE_ need no leave)`,
    },
  )
}

/** A value as it is, line by line, text by text where it is JSON, and as URLs, JSON and base64 write it. */
function spellings(value: string): string[] {
  const bytes = Buffer.from(value)
  return [
    value,
    ...value.split('\n').map((line) => line.trim()),
    ...textsInJson(value),
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
  ]
}

function textsInJson(value: string): string[] {
  const texts: string[] = []
  try {
    JSON.parse(value, (_, inner) => {
      if (typeof inner === 'string') texts.push(inner)
      return inner
    })
  } catch {
    // Most secrets are no JSON.
  }
  return texts
}

/**
 * The headers that every request to an environment carries. Throws HeadgateError `configuration` as `Secrets.of` does;
 * what single gates need need not be there.
 */
export function environmentHeaders(environment: Environment, variables: Variables): Record<string, string> {
  return Secrets.of({ ...environment, gates: [] }, variables).resolveAll(environment.headers)
}

type Use = { readonly env: string; readonly inHeader: boolean }

function inHeaders(headers: Environment['headers']): Use[] {
  return Object.values(headers).flatMap((value) =>
    typeof value === 'object' ? [{ env: value.env, inHeader: true }] : [],
  )
}

function secretsOf(gate: Gate): Use[] {
  if (gate.kind === 'command') return []
  const { headers, body } = gate.request
  const inBody = typeof body === 'object' && body !== null ? [{ env: body.env, inHeader: false }] : []
  return [...inHeaders(headers), ...inBody]
}
