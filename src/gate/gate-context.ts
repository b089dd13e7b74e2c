import type { Oid } from '../core/oid.ts'
import type { BaseUrl } from './base-url.ts'
import type { CookieJar } from './cookie-jar.ts'
import type { Secrets } from './secrets.ts'

/** What a gate needs besides its own description. */
export type GateContext = {
  readonly base: BaseUrl
  readonly environment: 'staging' | 'production'
  readonly commit: Oid
  /** Where commands run. */
  readonly folder: string
  /** The process environment, for commands. */
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly secrets: Secrets
  /** Of the gates before this one; the gate's own jar begins as a copy of it. */
  readonly cookies: CookieJar
  readonly signal: AbortSignal
  /** Told of every line that a command prints. */
  readonly onOutput: (line: string) => void
}

/** How one try of a gate went. */
export type Attempt = {
  /** Everything that does not hold; empty if the gate passed. */
  readonly objections: readonly string[]
  /** Of the one answer; null where none came or where there is more than one. */
  readonly status: number | null
  /** How many answers had which status, of a burst; the key `none` counts requests without an answer. */
  readonly statuses: Readonly<Record<string, number>> | null
  /** False where no connection came about, which says nothing about the environment; null where none was needed. */
  readonly reached: boolean | null
  /** What the gates after this one begin with. */
  readonly cookies: CookieJar
}
