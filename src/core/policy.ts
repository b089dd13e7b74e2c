/**
 * What a policy says. How its file must be shaped is in policy-schema.ts, reading the text in policy-yaml.ts, what needs
 * two keys to see in policy-relations.ts; every key is described in docs/policy-reference.md.
 */

export type Policy = {
  readonly version: 1
  readonly repository: string
  /** Short branch names. */
  readonly staging: string
  readonly release: string
  readonly enforcement: 'enforce' | 'evaluate'
  readonly releaseLog: string
  readonly evidence: { readonly maxAgeMs: number; readonly servedCommit: ServedCommitMode }
  readonly promotion: {
    readonly operators: readonly string[]
    readonly signedPush: 'required' | 'if-offered' | 'ignore'
  }
  readonly rollback: {
    readonly approvers: readonly string[]
    readonly approvals: number
    readonly approverMayPush: boolean
    readonly approvalMaxAgeMs: number
    readonly target: 'smoke-passed' | 'landed'
  }
  readonly environments: { readonly staging: Environment; readonly production?: Environment }
}

export type ServedCommitMode = 'required' | 'if-reported' | 'ignore'

export type Environment = {
  readonly name: 'staging' | 'production'
  readonly url: string
  /** Where the environment reports the commit it runs: a path, and a dotted path into the JSON that answers there. */
  readonly servedCommit: { readonly get: string; readonly json: string } | null
  readonly gates: readonly Gate[]
  /** SHA-256 of the RFC 8785 JSON of this environment's value as the file writes it, before defaults. */
  readonly configurationDigest: string
}

/** One check against an environment. The tag leaves room for gates that are no single request. */
export type Gate = HttpGate

export type HttpGate = {
  readonly kind: 'http'
  readonly name: string
  /** A gate that may fail: the run is then WARNED, not FAILED. */
  readonly optional: boolean
  readonly timeoutMs: number
  readonly request: {
    readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
    readonly path: string
    /** Names in lower case, content-type included. */
    readonly headers: Readonly<Record<string, string>>
    readonly body: string | null
  }
  readonly expect: HttpExpectation
}

/** All of it must hold. */
export type HttpExpectation = {
  /** Null where the policy names none: any 2xx. */
  readonly statuses: readonly number[] | null
  readonly json: readonly { readonly path: string; readonly match: Match }[]
  /** Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly match: Match }[]
  readonly bodyIncludes: readonly string[]
  readonly bodyExcludes: readonly string[]
}

export type Scalar = string | number | boolean | null

/** What a JSON value or a header must be. */
export type Match =
  | { readonly kind: 'equals'; readonly value: Scalar }
  | { readonly kind: 'one-of'; readonly values: readonly Scalar[] }
  | { readonly kind: 'matches'; readonly pattern: string }
  | { readonly kind: 'absent' }

/** The names of the gates that must pass. */
export function requiredGates(environment: Environment): readonly string[] {
  return environment.gates.filter((gate) => !gate.optional).map((gate) => gate.name)
}
