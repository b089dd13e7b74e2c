/**
 * A ledger record is canonical JSON (RFC 8785), without a line break at the end:
 *
 *     {"at": "2026-01-31T12:00:00.000Z", "by": "alice", "envelope": {...}, "previous": "<64 hex>", "seal": "<base64>",
 *      "seq": 42}
 *
 * `previous` is the SHA-256 of the bytes of the record before it, zeros in the first. `seal` is the server's SSHSIG blob
 * in base64, over the canonical JSON of the record without `seal`. A record's hash is the SHA-256 of its bytes.
 */
import { canonicalJson, sha256 } from '../core/canonical-json.ts'
import { type Envelope, MAX_SIGNATURES } from '../core/envelope.ts'
import { HeadgateError } from '../core/errors.ts'
import { PAYLOAD_TYPE, parseStatement, type Statement } from '../core/statement.ts'
import * as z from '../core/zod-mini.ts'

export type RecordFields = {
  readonly seq: number
  readonly previous: string
  readonly at: string
  readonly by: string
  readonly envelope: Envelope
}

export type LedgerRecord = RecordFields & {
  readonly seal: string
  /** SHA-256 of `bytes`: what the next record calls `previous`. */
  readonly hash: string
  readonly bytes: Buffer
  /** What the envelope says. Nobody has checked the envelope's signature for you. */
  readonly statement: Statement
}

/** Submissions are at most 64 KiB; a policy with its keys, or a move with a push certificate, may be larger. */
export const MAX_RECORD_BYTES = 1024 * 1024

const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/, 'must be 64 lowercase hex digits'))
const base64 = z.string().check(z.minLength(1), z.refine(isBase64, 'must be standard base64 with padding'))
const text = (maximum: number) =>
  z.string().check(z.maxLength(maximum), z.refine(isWellFormed, 'must be well-formed Unicode'))

const envelopeSchema = z.strictObject({
  payloadType: z.literal(PAYLOAD_TYPE),
  payload: base64,
  signatures: z
    .array(z.strictObject({ keyid: z.exactOptional(text(256)), sig: base64 }))
    .check(z.minLength(1), z.maxLength(MAX_SIGNATURES)),
})

const fields = {
  seq: z.int().check(z.positive()),
  previous: hash,
  at: z.string().check(z.refine(isUtcMilliseconds, 'must be a UTC time with milliseconds')),
  by: text(256).check(z.minLength(1)),
  envelope: envelopeSchema,
}
const unsealedSchema = z.strictObject(fields)
const recordSchema = z.strictObject({ ...fields, seal: base64 })

/**
 * Parses a record's bytes. There is one encoding of each record, and no other is accepted. Throws HeadgateError 'data'.
 * Neither seal nor signature is checked.
 */
export function parseRecord(bytes: Uint8Array): LedgerRecord {
  if (bytes.length > MAX_RECORD_BYTES) throw malformed(`is larger than ${MAX_RECORD_BYTES} bytes`)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    throw new HeadgateError('data', 'a ledger record is not JSON in UTF-8', { cause })
  }
  const record = check(recordSchema, value)
  const own = Buffer.from(bytes)
  if (!own.equals(Buffer.from(canonicalJson(record)))) throw malformed('is not in canonical form')
  return {
    ...record,
    hash: sha256(own),
    bytes: own,
    statement: parseStatement(Buffer.from(record.envelope.payload, 'base64')),
  }
}

/**
 * Makes a record's bytes: `seal` gets the bytes to sign and returns the base64 of the signature. Throws HeadgateError
 * 'data' if the result would not be a record.
 */
export function sealRecord(
  unsealed: RecordFields,
  seal: (bytes: Uint8Array) => string,
): { bytes: Buffer; hash: string } {
  const checked = check(unsealedSchema, unsealed)
  const record = check(recordSchema, { ...checked, seal: seal(Buffer.from(canonicalJson(checked))) })
  const bytes = Buffer.from(canonicalJson(record))
  if (bytes.length > MAX_RECORD_BYTES) throw malformed(`is larger than ${MAX_RECORD_BYTES} bytes`)
  return { bytes, hash: sha256(bytes) }
}

/** The bytes that a record's seal is over. */
export function sealedBytes({ seq, previous, at, by, envelope }: RecordFields): Buffer {
  return Buffer.from(canonicalJson({ seq, previous, at, by, envelope }))
}

/** The same, cut from the bytes of a record that was parsed: its text is canonical, and only `seq` comes after the seal. */
export function sealedPart({ bytes, seal }: LedgerRecord): Buffer {
  const part = `"seal":"${seal}",`
  const at = bytes.lastIndexOf(part)
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + part.length)])
}

/** The canonical JSON of the envelope, cut from the record: a quote within a string has a backslash before it. */
export function envelopePart({ bytes }: LedgerRecord): Buffer {
  const start = bytes.indexOf('"envelope":') + '"envelope":'.length
  return bytes.subarray(start, bytes.lastIndexOf(',"previous":"'))
}

/** Buffer passes over what is not base64, and over bits that are left over: encoding again and comparing does not. */
function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text
}

function check<S extends z.ZodMiniType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = issue?.path.map(String).join('.') ?? ''
  throw malformed(`is malformed: ${path === '' ? '' : `${path}: `}${issue?.message ?? ''}`)
}

function isUtcMilliseconds(time: string): boolean {
  const ms = Date.parse(time)
  // git has no dates before 1970, and neither has headgate.
  return ms >= 0 && /^\d{4}-/.test(time) && new Date(ms).toISOString() === time
}

function isWellFormed(value: string): boolean {
  return value.isWellFormed()
}

function malformed(what: string): HeadgateError {
  return new HeadgateError('data', `a ledger record ${what}`)
}
