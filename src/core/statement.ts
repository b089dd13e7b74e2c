/**
 * The statements that people, CI and the server sign: in-toto Statement v1 as DSSE payload.
 *
 *     {"_type": "https://in-toto.io/Statement/v1",
 *      "subject": [{"name": "<policy.repository>", "digest": {"gitCommit": "<full oid>"}}],
 *      "predicateType": "...", "predicate": {...}}
 *
 * Unknown fields are ignored, as in-toto asks of consumers; what headgate reads is checked here, once.
 */
import { sha256 } from './canonical-json.ts'
import { HeadgateError } from './errors.ts'
import { isOid, isZeroOid, type Oid } from './oid.ts'
import { printable, showValue } from './printable.ts'
import { parseUniqueJson } from './unique-json.ts'
import * as z from './zod-mini.ts'

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1'
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json'

export const PREDICATE_TYPES = {
  evidence: 'https://in-toto.io/attestation/test-result/v0.1',
  approval: 'urn:headgate:approval:v1',
  override: 'urn:headgate:override:v1',
  invalidation: 'urn:headgate:invalidation:v1',
  freeze: 'urn:headgate:freeze:v1',
  drift: 'urn:headgate:drift:v1',
  retire: 'urn:headgate:retire:v1',
  request: 'urn:headgate:request:v1',
  authorization: 'https://slsa.dev/verification_summary/v1',
  outcome: 'urn:headgate:outcome:v1',
  policy: 'urn:headgate:policy:v1',
} as const

export type StatementKind = keyof typeof PREDICATE_TYPES

/** The SSH signature namespace of the server's own key: seals of records, and the statements that it makes. */
export const SEAL_NAMESPACE = 'headgate-ledger'

/** The SSH signature namespaces that each statement may be signed in. */
export const NAMESPACES: { readonly [K in StatementKind]: readonly string[] } = {
  evidence: ['headgate-evidence'],
  approval: ['headgate-approval'],
  override: ['headgate-approval'],
  invalidation: ['headgate-evidence', 'headgate-approval'],
  freeze: ['headgate-approval'],
  drift: ['headgate-approval'],
  retire: ['headgate-approval'],
  request: ['headgate-approval'],
  authorization: [SEAL_NAMESPACE],
  outcome: [SEAL_NAMESPACE],
  policy: [SEAL_NAMESPACE],
}

/** The statements that arrive by push; the others only the server makes. */
export const SUBMITTED_KINDS = [
  'evidence',
  'approval',
  'override',
  'invalidation',
  'freeze',
  'drift',
  'retire',
  'request',
] as const
export type SubmittedKind = (typeof SUBMITTED_KINDS)[number]

const oid = z
  .string()
  .check(z.refine((text) => isOid(text) && !isZeroOid(text), 'must be a full lowercase object id'))
const oidOrZeros = z.string().check(z.refine(isOid, 'must be a full lowercase object id'))
/** RFC 3339 with any offset. */
const time = z.iso.datetime({ offset: true })
/** Free text by people: long enough for a paragraph, short enough for a terminal. */
const prose = z.string().check(z.maxLength(4096))
const reason = prose.check(z.refine((text) => text.trim() !== '', 'must say why'))
/** Text that a push would carry as an option. */
const line = upTo(2048).check(z.refine((text) => !/[\r\n\0]/.test(text), 'must be one line'))
const branchRef = z
  .string()
  .check(z.regex(/^refs\/heads\/\S+$/, 'must be a full branch name, refs/heads/...'), z.maxLength(1024))
const gateName = named(200)
const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be 64 lowercase hex digits'))
const digest = z.object({ sha256: hash })

/** Text of 1 to so many characters. */
function named(maximum: number) {
  return z.string().check(z.minLength(1), z.maxLength(maximum))
}

function upTo(maximum: number) {
  return z.string().check(z.maxLength(maximum))
}

/** A schema is made when it is first asked for: a process that decides once needs few of them. */
function lazily<S extends z.ZodMiniType>(make: () => S): () => S {
  let made: S | undefined
  return () => {
    made ??= make()
    return made
  }
}

function makeEvidence() {
  const gateNames = z.pipe(
    z.nullish(z.array(gateName).check(z.maxLength(1000))),
    z.transform((names) => names ?? []),
  )
  const predicate = z.object({
    result: z.enum(['PASSED', 'WARNED', 'FAILED']),
    configuration: z
      // Other tools describe other things here, with other digests or none; headgate looks for its own entry.
      .array(
        z.object({
          name: z.nullish(upTo(1024)),
          digest: z.nullish(z.object({ sha256: z.nullish(hash) })),
        }),
      )
      .check(z.minLength(1), z.maxLength(16)),
    passedTests: gateNames,
    warnedTests: gateNames,
    failedTests: gateNames,
    url: z.nullish(upTo(2048)),
    headgate: z.object({
      environment: named(100),
      baseUrl: z.nullish(upTo(2048)),
      startedAt: time,
      finishedAt: time,
      servedCommit: z.nullish(z.object({ before: z.nullish(upTo(200)), after: z.nullish(upTo(200)) })),
      gates: z
        .array(
          z.object({
            name: gateName,
            outcome: z.enum(['passed', 'failed', 'skipped']),
            status: z.nullish(z.int()),
            /** Of a burst: how many answers had which status. */
            statuses: z.nullish(z.record(upTo(20), z.int().check(z.nonnegative()))),
            attempts: z.nullish(z.int().check(z.nonnegative())),
            durationMs: z.nullish(z.number().check(z.nonnegative())),
            reason: z.nullish(prose),
          }),
        )
        .check(z.maxLength(1000)),
      runner: z.nullish(prose),
    }),
  })
  return predicate.check(
    z.superRefine((predicate, context) => {
      const complain = (message: string) => context.addIssue({ code: 'custom', message })
      const lists = [...predicate.passedTests, ...predicate.warnedTests, ...predicate.failedTests]
      const twice = duplicate(lists) ?? duplicate(predicate.headgate.gates.map((gate) => gate.name))
      if (twice !== undefined) complain(`gate "${twice}" is reported twice`)
      if (predicate.result === 'PASSED' && predicate.failedTests.length > 0) {
        complain('result is PASSED although failedTests names a gate')
      }
      const passed = new Set(predicate.passedTests)
      const failed = new Set(predicate.failedTests)
      for (const gate of predicate.headgate.gates) {
        if (passed.has(gate.name) && gate.outcome !== 'passed') {
          complain(`gate "${gate.name}" stands in passedTests but its outcome is ${gate.outcome}`)
        }
        if (failed.has(gate.name) && gate.outcome === 'passed') {
          complain(`gate "${gate.name}" stands in failedTests but its outcome is passed`)
        }
      }
      if (Date.parse(predicate.headgate.finishedAt) < Date.parse(predicate.headgate.startedAt)) {
        complain('finishedAt is before startedAt')
      }
    }),
  )
}

function permission() {
  return {
    ref: branchRef,
    from: oidOrZeros,
    to: oid,
    trigger: z.nullish(prose),
    reason,
    symptoms: z.nullish(prose),
    issuedAt: time,
    expiresAt: time,
    nonce: z.string().check(z.minLength(8), z.maxLength(200)),
  }
}

const predicates = {
  evidence: lazily(makeEvidence),
  approval: lazily(() => z.object(permission())),
  override: lazily(() =>
    z.object({ ...permission(), waives: z.array(upTo(100)).check(z.minLength(1), z.maxLength(32)) }),
  ),
  invalidation: lazily(() => z.object({ reason, issuedAt: time })),
  freeze: lazily(() => z.object({ until: time, reason, issuedAt: time })),
  drift: lazily(() =>
    z.object({ ref: branchRef, expected: oidOrZeros, found: oidOrZeros, reason, issuedAt: time }),
  ),
  retire: lazily(() =>
    z.object({
      role: z.enum(['staging', 'release']),
      ref: branchRef,
      found: oidOrZeros,
      reason,
      issuedAt: time,
    }),
  ),
  request: lazily(() =>
    z.object({
      ref: branchRef,
      from: oidOrZeros,
      to: oid,
      note: z.nullish(line),
      plan: z.nullish(line),
      trigger: z.nullish(line),
      symptoms: z.nullish(line),
      /** Barred commits that may come back with the move. */
      despiteBar: z.nullish(z.array(z.string().check(z.regex(/^[0-9a-f]{7,64}$/))).check(z.maxLength(8))),
      issuedAt: time,
      expiresAt: time,
      nonce: z.string().check(z.minLength(8), z.maxLength(200)),
    }),
  ),
  authorization: lazily(() =>
    z.object({
      verifier: z.object({ id: named(2048) }),
      timeVerified: time,
      resourceUri: named(2048),
      policy: z.object({ uri: z.optional(upTo(2048)), digest }),
      inputAttestations: z.array(z.object({ digest })),
      verificationResult: z.enum(['PASSED', 'FAILED']),
      verifiedLevels: z.array(upTo(200)),
      'urn:headgate:move': z.object({
        kind: z.enum(['promotion', 'rollback', 'override', 'bootstrap']),
        ref: branchRef,
        from: oidOrZeros,
        to: oidOrZeros,
        pusher: z.string(),
        enforcement: z.enum(['enforce', 'evaluate']),
        facts: z.record(z.string(), z.json()),
        objections: z.array(z.object({ rule: z.string(), found: z.string(), waived: z.boolean() })),
        pushOptions: z.array(z.string()),
        pushCertificate: z.nullish(z.string()),
      }),
    }),
  ),
  outcome: lazily(() =>
    z.object({
      authorization: z.int().check(z.positive()),
      result: z.enum(['landed', 'not-landed']),
      observed: oidOrZeros,
    }),
  ),
  policy: lazily(() =>
    z.object({
      version: z.int().check(z.positive()),
      policy: z.object({ text: z.string(), digest }),
      allowedSigners: z.object({ text: z.string(), digest }),
      sealKey: upTo(1024),
      /** Older records do not say. */
      former: z.optional(
        z.array(z.object({ role: z.enum(['staging', 'release']), ref: branchRef })).check(z.maxLength(1000)),
      ),
    }),
  ),
} as const

export type Predicates = { readonly [K in StatementKind]: z.output<ReturnType<(typeof predicates)[K]>> }

/** A statement that has been parsed; `payloadDigest` is the SHA-256 of the signed payload bytes. */
export type Statement<K extends StatementKind = StatementKind> = {
  [P in K]: {
    readonly kind: P
    readonly repository: string
    readonly commit: Oid
    readonly predicate: Predicates[P]
    readonly payloadDigest: string
  }
}[K]

const header = z.object({
  _type: z.literal(STATEMENT_TYPE),
  // Exactly one subject: a statement about two commits could be filed under one and believed for the other.
  subject: z.tuple([z.object({ name: named(1024), digest: z.object({ gitCommit: oidOrZeros }) })]),
  predicateType: upTo(1024),
  predicate: z.unknown(),
})

/**
 * Parses the payload of a DSSE envelope. Call it only on bytes whose signature is checked over the same bytes.
 * Throws HeadgateError 'data' that names the first thing that is wrong.
 */
export function parseStatement(payload: Uint8Array): Statement {
  const head = check(header, parseUniqueJson(payload, 'statement'), 'statement')
  const kind = KIND_OF.get(head.predicateType)
  if (kind === undefined) {
    const type = showValue(head.predicateType)
    throw new HeadgateError('data', `statement: predicateType ${type} is not one of headgate's`)
  }
  const [subject] = head.subject
  return {
    kind,
    repository: subject.name,
    commit: subject.digest.gitCommit,
    predicate: check(predicates[kind](), head.predicate, `${kind} statement`),
    payloadDigest: sha256(payload),
  } as Statement
}

/** The JSON text to sign for a statement. It is checked first, so that nobody signs what nobody accepts. */
export function statementPayload<K extends StatementKind>(
  kind: K,
  repository: string,
  commit: Oid,
  predicate: z.input<ReturnType<(typeof predicates)[K]>>,
): string {
  check(predicates[kind](), predicate, `${kind} statement`)
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name: repository, digest: { gitCommit: commit } }],
    predicateType: PREDICATE_TYPES[kind],
    predicate,
  }
  check(header, statement, 'statement')
  return JSON.stringify(statement)
}

const KIND_OF = new Map(
  Object.entries(PREDICATE_TYPES).map(([kind, type]) => [type as string, kind as StatementKind]),
)

function check<S extends z.ZodMiniType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = issue?.path.map(String).join('.') ?? ''
  // Keys and gate names are whatever the sender wrote.
  const where = path === '' ? '' : `${printable(path)}: `
  throw new HeadgateError('data', `${what}: ${where}${printable(issue?.message ?? 'is malformed', 400)}`)
}

function duplicate(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index)
}
