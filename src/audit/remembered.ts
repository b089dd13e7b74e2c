/**
 * What an auditor remembers of the ledger that was verified last, in a file that no fetch writes to:
 *
 *     {"version": 1, "tip": "<ledger commit>", "head": {...}, "stateDigest": "<sha256>", "sealKeys": ["ssh-ed25519 AAAA..."],
 *      "sealKey": 0, "isVouched": true, "seenAt": <ms>, "latest": <ms>, "afterPolicy": false, "isWeaker": false, "branches": {...}, "stagingTip": "<oid>",
 *      "findings": [...], "counts": {...}, "verifiedAt": "..."}
 *
 * The tip names everything before it by hash, so that this is all that must be kept. Only a ledger without a violation
 * is remembered: what was found once is found again.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid } from '../core/oid.ts'
import * as z from '../core/zod-mini.ts'
import { AUDIT_RULES, type AuditRule } from './finding.ts'

const oid = z.string().check(z.refine(isOid))
const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/))
const text = z.string().check(z.maxLength(8192))

const schema = z.strictObject({
  version: z.literal(1),
  tip: oid,
  head: z.strictObject({ seq: z.int().check(z.positive()), hash }),
  stateDigest: hash,
  sealKeys: z.array(text).check(z.maxLength(1000)),
  sealKey: z.int().check(z.nonnegative()),
  /** Whether the auditor named the seal keys, at this audit or before. */
  isVouched: z._default(z.boolean(), false),
  /** When the ledger was asked for that ended with `head`, or with an earlier one, ms since the epoch. */
  seenAt: z._default(z.nullable(z.number()), null),
  latest: z.number(),
  afterPolicy: z.boolean(),
  /** Whether the last move was made under the weaker form of the guard. What older versions remember does not say. */
  isWeaker: z._default(z.boolean(), false),
  /** Written by older versions, which did not know of branches that earlier policies named. */
  staging: z.optional(z.unknown()),
  /** Where it is missing, no audit has looked: then the next one begins anew. */
  branches: z.exactOptional(
    z.strictObject({
      statesKeys: z.boolean(),
      former: z.array(z.strictObject({ role: z.enum(['staging', 'release']), ref: text })),
      /** Those of them that a policy with enforcement kept. Older versions did not write it. */
      enforced: z._default(z.array(text), []),
      seen: z.array(
        z.strictObject({
          branch: text,
          tip: oid,
          seq: z.int().check(z.nonnegative()),
          onlyEvaluated: z.boolean(),
        }),
      ),
    }),
  ),
  /** The staging branch up to which the release log was looked at. */
  stagingTip: z.nullable(oid),
  /** Exceptions and notes: an audit that goes on from here still tells of them. */
  findings: z.array(
    z.strictObject({
      grade: z.enum(['exception', 'note']),
      rule: z.enum(Object.keys(AUDIT_RULES) as AuditRule[]),
      record: z.nullable(z.number()),
      at: z.nullable(text),
      commit: z.nullable(text),
      key: z.nullable(text),
      found: text,
      fix: text,
      more: z.exactOptional(z.int().check(z.positive())),
    }),
  ),
  counts: z.strictObject({ moves: z.int().check(z.nonnegative()) }),
  verifiedAt: text,
})

export type Remembered = z.output<typeof schema>

/** Findings of fifty for each rule and grade are far below. */
export const MAX_REMEMBERED_BYTES = 16 * 1024 * 1024

/** Throws HeadgateError 'data'; the caller names the file. */
export function parseRemembered(bytes: Uint8Array): Remembered {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw new HeadgateError('data', 'it is not JSON', { cause })
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new HeadgateError('data', `it is malformed: ${issue?.path.map(String).join('.')}: ${issue?.message}`)
}
