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
import * as z from 'zod'
import { HeadgateError } from '../core/errors.ts'
import { isOid } from '../core/oid.ts'
import { AUDIT_RULES, type AuditRule } from './finding.ts'

const oid = z.string().refine(isOid)
const hash = z.string().regex(/^[0-9a-f]{64}$/)
const text = z.string().max(8192)

const schema = z.strictObject({
  version: z.literal(1),
  tip: oid,
  head: z.strictObject({ seq: z.int().positive(), hash }),
  stateDigest: hash,
  sealKeys: z.array(text).max(1000),
  sealKey: z.int().nonnegative(),
  /** Whether somebody vouched for the seal keys, at this audit or before. */
  isVouched: z.boolean().default(false),
  /** When the ledger was asked for that ended with `head`, or with an earlier one, ms since the epoch. */
  seenAt: z.number().nullable().default(null),
  latest: z.number(),
  afterPolicy: z.boolean(),
  /** Whether the last move was made under the weaker form of the guard. What older versions remember does not say. */
  isWeaker: z.boolean().default(false),
  /** Of older versions, which did not know of branches that earlier policies named. */
  staging: z.unknown().optional(),
  /** Where it is missing, nobody has looked: then the next audit begins anew. */
  branches: z
    .strictObject({
      statesKeys: z.boolean(),
      former: z.array(z.strictObject({ role: z.enum(['staging', 'release']), ref: text })),
      /** Those of them that a policy kept which refused. What older versions remember does not say. */
      enforced: z.array(text).default([]),
      seen: z.array(
        z.strictObject({ branch: text, tip: oid, seq: z.int().nonnegative(), onlyEvaluated: z.boolean() }),
      ),
    })
    .exactOptional(),
  /** The staging branch up to which the release log was looked at. */
  stagingTip: oid.nullable(),
  /** Exceptions and notes: an audit that goes on from here still tells of them. */
  findings: z.array(
    z.strictObject({
      grade: z.enum(['exception', 'note']),
      rule: z.string().refine((name): name is AuditRule => Object.hasOwn(AUDIT_RULES, name)),
      record: z.number().nullable(),
      at: text.nullable(),
      commit: text.nullable(),
      key: text.nullable(),
      found: text,
      fix: text,
      more: z.int().positive().exactOptional(),
    }),
  ),
  counts: z.strictObject({ moves: z.int().nonnegative() }),
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
