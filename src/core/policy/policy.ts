/**
 * What a policy says. How its file must be shaped is in policy-schema.ts, reading the text in policy-yaml.ts, what needs
 * two keys to see in policy-relations.ts; every key is described in docs/policy-reference.md.
 */

/** What of a policy decides whether something may move: all but how gates are run. policy-json.ts has it as data. */
export type Terms = {
  readonly repository: string
  /** Short branch names. */
  readonly staging: string
  readonly release: string
  /** Absent where the host runs headgate's hooks. */
  readonly guard?: 'relay'
  readonly enforcement: 'enforce' | 'evaluate'
  readonly releaseLog: string
  readonly evidence: { readonly maxAgeMs: number; readonly servedCommit: ServedCommitMode }
  readonly promotion: {
    readonly operators: readonly string[]
    readonly signedPush: 'required' | 'if-offered' | 'ignore'
    readonly notes: 'required' | 'optional'
  }
  readonly rollback: {
    readonly approvers: readonly string[]
    readonly approvals: number
    readonly approverMayPush: boolean
    readonly approvalMaxAgeMs: number
    readonly target: 'smoke-passed' | 'landed'
    readonly bar: 'commit' | 'descendants'
  }
  readonly environments: { readonly staging: ProvingEnvironment; readonly production?: ProvingEnvironment }
}

export type ServedCommitMode = 'required' | 'if-reported' | 'ignore'

/** What evidence from an environment is held to. */
export type ProvingEnvironment = {
  readonly name: 'staging' | 'production'
  /** Every base URL that is this environment, in its one spelling. */
  readonly urls: readonly string[]
  readonly gates: readonly { readonly name: string; readonly optional: boolean }[]
  /** SHA-256 of the RFC 8785 JSON of this environment's value as the file writes it, before defaults. */
  readonly configurationDigest: string
}

export type Policy = Omit<Terms, 'environments'> & {
  readonly version: 1
  readonly environments: { readonly staging: Environment; readonly production?: Environment }
}

export type Environment = Omit<ProvingEnvironment, 'gates'> & {
  /** The first of `urls`, as the file writes it. */
  readonly url: string
  /** Where the environment reports the commit it runs: a path, and a dotted path into the JSON that answers there. */
  readonly servedCommit: { readonly get: string; readonly json: string } | null
  /** Sent with every request, the one for the served commit included; the gates' own headers have them already. */
  readonly headers: Readonly<Record<string, string | Secret>>
  readonly gates: readonly Gate[]
}

/** One check against an environment. */
export type Gate = HttpGate | BurstGate | CorsGate | CommandGate

type GateHead = {
  readonly name: string
  /** A gate that may fail: the run is then WARNED, not FAILED. */
  readonly optional: boolean
  /** Bound on one request, connecting and body included; on the whole of a command. */
  readonly timeoutMs: number
  /** How often a gate that fails is tried again, and how long after; each further time after twice as long. */
  readonly retries: { readonly times: number; readonly backOffMs: number } | null
  /** The gate that must have passed before this one starts, and whose cookies this one sends. */
  readonly after: string | null
}

/** One request. */
export type HttpGate = GateHead & {
  readonly kind: 'http'
  readonly request: GateRequest
  readonly expect: HttpExpectation
}

/** The same request many times, so many at once; the expectation holds for every answer. */
export type BurstGate = GateHead & {
  readonly kind: 'burst'
  readonly request: GateRequest
  readonly expect: HttpExpectation
  readonly requests: number
  readonly concurrency: number
}

/** A request from a foreign origin, and its preflight; neither may let that origin in. */
export type CorsGate = GateHead & {
  readonly kind: 'cors'
  /** Carries the origin among its headers. */
  readonly request: GateRequest
  readonly origin: string
  /** Of the request. */
  readonly expect: HttpExpectation
}

/** A program; its exit code is the outcome. */
export type CommandGate = GateHead & {
  readonly kind: 'command'
  /** A command line for the shell, or a program and its arguments. */
  readonly command: string | readonly string[]
}

export type GateRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS'
  readonly path: string
  /** Names in lower case, content-type included. */
  readonly headers: Readonly<Record<string, string | Secret>>
  readonly body: string | Secret | null
  /** How many redirects are followed. */
  readonly redirects: number
}

/** A text that the policy only names: the value of an environment variable, after a prefix that is no secret. */
export type Secret = { readonly env: string; readonly prefix: string }

/** A status, or every status of a class. */
export type Status = number | '2xx' | '3xx' | '4xx' | '5xx'

/** All of it must hold. */
export type HttpExpectation = {
  /** Null where the policy names none: any 2xx. */
  readonly statuses: readonly Status[] | null
  readonly json: readonly { readonly path: string; readonly match: Match }[]
  /** Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly match: Match }[]
  readonly bodyIncludes: readonly string[]
  readonly bodyExcludes: readonly string[]
  /** From before the connection to the last byte; null for as long as the timeout allows. */
  readonly maxTimeMs: number | null
}

export type Scalar = string | number | boolean | null

/** What a JSON value or a header must be. */
export type Match =
  | { readonly kind: 'equals'; readonly value: Scalar }
  | { readonly kind: 'one-of'; readonly values: readonly Scalar[] }
  | { readonly kind: 'matches'; readonly pattern: string }
  | { readonly kind: 'absent' }

/** The names of the gates that must pass. */
export function requiredGates(environment: ProvingEnvironment): readonly string[] {
  return environment.gates.filter((gate) => !gate.optional).map((gate) => gate.name)
}
