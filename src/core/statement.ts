/**
 * The statements that people, CI and the server sign: in-toto Statement v1 as DSSE payload.
 *
 *     {"_type": "https://in-toto.io/Statement/v1",
 *      "subject": [{"name": "<policy.repository>", "digest": {"gitCommit": "<full oid>"}}],
 *      "predicateType": "...", "predicate": {...}}
 *
 * Unknown fields are ignored, as in-toto asks of consumers; what headgate reads is checked here, once.
 */
import * as z from 'zod'
import { sha256 } from './canonical-json.ts'
import { HeadgateError } from './errors.ts'
import { isOid, isZeroOid, type Oid } from './oid.ts'
import { printable, showValue } from './printable.ts'
import { parseUniqueJson } from './unique-json.ts'

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1'
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json'

export const PREDICATE_TYPES = {
  evidence: 'https://in-toto.io/attestation/test-result/v0.1',
  approval: 'urn:headgate:approval:v1',
  override: 'urn:headgate:override:v1',
  invalidation: 'urn:headgate:invalidation:v1',
  freeze: 'urn:headgate:freeze:v1',
  drift: 'urn:headgate:drift:v1',
  authorization: 'https://slsa.dev/verification_summary/v1',
  outcome: 'urn:headgate:outcome:v1',
  policy: 'urn:headgate:policy:v1',
} as const

export type StatementKind = keyof typeof PREDICATE_TYPES

/** The SSH signature namespaces that each statement may be signed in. */
export const NAMESPACES: { readonly [K in StatementKind]: readonly string[] } = {
  evidence: ['headgate-evidence'],
  approval: ['headgate-approval'],
  override: ['headgate-approval'],
  invalidation: ['headgate-evidence', 'headgate-approval'],
  freeze: ['headgate-approval'],
  drift: ['headgate-approval'],
  authorization: ['headgate-ledger'],
  outcome: ['headgate-ledger'],
  policy: ['headgate-ledger'],
}

/** The statements that arrive by push; the others only the server makes. */
export const SUBMITTED_KINDS = [
  'evidence',
  'approval',
  'override',
  'invalidation',
  'freeze',
  'drift',
] as const
export type SubmittedKind = (typeof SUBMITTED_KINDS)[number]

const oid = z.string().refine((text) => isOid(text) && !isZeroOid(text), 'must be a full lowercase object id')
const oidOrZeros = z.string().refine(isOid, 'must be a full lowercase object id')
/** RFC 3339 with any offset. */
const time = z.iso.datetime({ offset: true })
/** Free text by people: long enough for a paragraph, short enough for a terminal. */
const prose = z.string().max(4096)
const reason = prose.refine((text) => text.trim() !== '', 'must say why')
const branchRef = z
  .string()
  .regex(/^refs\/heads\/\S+$/, 'must be a full branch name, refs/heads/...')
  .max(1024)
const gateName = z.string().min(1).max(200)
const gateNames = z
  .array(gateName)
  .max(1000)
  .nullish()
  .transform((names) => names ?? [])
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lowercase hex digits')
const digest = z.object({ sha256: hash })

const evidencePredicate = z
  .object({
    result: z.enum(['PASSED', 'WARNED', 'FAILED']),
    configuration: z
      // Other tools describe other things here, with other digests or none; headgate looks for its own entry.
      .array(
        z.object({
          name: z.string().max(1024).nullish(),
          digest: z.object({ sha256: hash.nullish() }).nullish(),
        }),
      )
      .min(1)
      .max(16),
    passedTests: gateNames,
    warnedTests: gateNames,
    failedTests: gateNames,
    url: z.string().max(2048).nullish(),
    headgate: z.object({
      environment: z.string().min(1).max(100),
      baseUrl: z.string().max(2048).nullish(),
      startedAt: time,
      finishedAt: time,
      servedCommit: z
        .object({ before: z.string().max(200).nullish(), after: z.string().max(200).nullish() })
        .nullish(),
      gates: z
        .array(
          z.object({
            name: gateName,
            outcome: z.enum(['passed', 'failed', 'skipped']),
            status: z.number().int().nullish(),
            /** Of a burst: how many answers had which status. */
            statuses: z.record(z.string().max(20), z.number().int().nonnegative()).nullish(),
            attempts: z.number().int().nonnegative().nullish(),
            durationMs: z.number().nonnegative().nullish(),
            reason: prose.nullish(),
          }),
        )
        .max(1000),
      runner: prose.nullish(),
    }),
  })
  .superRefine((predicate, context) => {
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
  })

const permission = {
  ref: branchRef,
  from: oidOrZeros,
  to: oid,
  trigger: prose.nullish(),
  reason,
  symptoms: prose.nullish(),
  issuedAt: time,
  expiresAt: time,
  nonce: z.string().min(8).max(200),
}

const moveKind = z.enum(['promotion', 'rollback', 'override', 'bootstrap'])

const predicates = {
  evidence: evidencePredicate,
  approval: z.object(permission),
  override: z.object({ ...permission, waives: z.array(z.string().max(100)).min(1).max(32) }),
  invalidation: z.object({ reason, issuedAt: time }),
  freeze: z.object({ until: time, reason, issuedAt: time }),
  drift: z.object({ ref: branchRef, expected: oidOrZeros, found: oidOrZeros, reason, issuedAt: time }),
  authorization: z.object({
    verifier: z.object({ id: z.string().min(1).max(2048) }),
    timeVerified: time,
    resourceUri: z.string().min(1).max(2048),
    policy: z.object({ uri: z.string().max(2048).optional(), digest }),
    inputAttestations: z.array(z.object({ digest })),
    verificationResult: z.enum(['PASSED', 'FAILED']),
    verifiedLevels: z.array(z.string().max(200)),
    'urn:headgate:move': z.object({
      kind: moveKind,
      ref: branchRef,
      from: oidOrZeros,
      to: oidOrZeros,
      pusher: z.string(),
      enforcement: z.enum(['enforce', 'evaluate']),
      facts: z.record(z.string(), z.json()),
      objections: z.array(z.object({ rule: z.string(), found: z.string(), waived: z.boolean() })),
      pushOptions: z.array(z.string()),
      pushCertificate: z.string().nullish(),
    }),
  }),
  outcome: z.object({
    authorization: z.number().int().positive(),
    result: z.enum(['landed', 'not-landed']),
    observed: oidOrZeros,
  }),
  policy: z.object({
    version: z.number().int().positive(),
    policy: z.object({ text: z.string(), digest }),
    allowedSigners: z.object({ text: z.string(), digest }),
    sealKey: z.string().max(1024),
  }),
} as const

export type Predicates = { readonly [K in StatementKind]: z.output<(typeof predicates)[K]> }

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
  subject: z.tuple([
    z.object({ name: z.string().min(1).max(1024), digest: z.object({ gitCommit: oidOrZeros }) }),
  ]),
  predicateType: z.string().max(1024),
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
    predicate: check(predicates[kind], head.predicate, `${kind} statement`),
    payloadDigest: sha256(payload),
  } as Statement
}

/** The JSON text to sign for a statement. It is checked first, so that nobody signs what nobody accepts. */
export function statementPayload<K extends StatementKind>(
  kind: K,
  repository: string,
  commit: Oid,
  predicate: z.input<(typeof predicates)[K]>,
): string {
  check(predicates[kind], predicate, `${kind} statement`)
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

function check<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
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
