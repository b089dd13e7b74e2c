/**
 * DSSE envelopes (https://github.com/secure-systems-lab/dsse): a payload, its type, and signatures over both.
 *
 *     {"payloadType": "application/vnd.in-toto+json", "payload": "<base64>",
 *      "signatures": [{"keyid": "SHA256:...", "sig": "<base64 of an SSHSIG blob>"}]}
 */
import { type Envelope, type EnvelopeSignature, MAX_SIGNATURES } from '../core/envelope.ts'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { PAYLOAD_TYPE } from '../core/statement.ts'
import { parseUniqueJson } from '../core/unique-json.ts'
import { decodeBase64 } from './base64.ts'

/** The limit of a submission: a statement with a thousand gates fits, and a hook reads it at once. */
export const MAX_ENVELOPE_BYTES = 65536
/** A fingerprint has 50 characters. */
const MAX_KEYID_LENGTH = 255

/**
 * Parses an envelope from outside. White space is free, everything else has one form: no unknown or repeated key, and
 * base64 is returned as standard base64 with padding. So two envelopes with the same content are deeply equal.
 * Throws HeadgateError 'data'.
 */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > MAX_ENVELOPE_BYTES) {
    throw malformed(`has ${bytes.length} bytes, at most ${MAX_ENVELOPE_BYTES} are accepted`)
  }
  const { payloadType, payload, signatures } = fieldsOf(parseUniqueJson(bytes, 'envelope'), ENVELOPE_KEYS)
  if (payloadType !== PAYLOAD_TYPE) throw malformed(`payloadType must be ${PAYLOAD_TYPE}`)
  if (!Array.isArray(signatures) || signatures.length < 1 || signatures.length > MAX_SIGNATURES) {
    throw malformed(`must have 1 to ${MAX_SIGNATURES} signatures`)
  }
  return {
    payloadType,
    payload: normalBase64(payload, 'payload'),
    signatures: signatures.map(parseSignature),
  }
}

/** The bytes that were signed and are to be parsed; never parse anything else after verifying. */
export function payloadBytes(envelope: Envelope): Buffer {
  return decodeBase64(envelope.payload, 'envelope: payload')
}

/** DSSE v1's pre-authentication encoding: what a signature of an envelope covers. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const header = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(header), payload])
}

const ENVELOPE_KEYS = ['payloadType', 'payload', 'signatures']
const SIGNATURE_KEYS = ['keyid', 'sig']

function parseSignature(value: unknown): EnvelopeSignature {
  const { keyid, sig } = fieldsOf(value, SIGNATURE_KEYS)
  const signature = { sig: normalBase64(sig, 'sig') }
  if (keyid === undefined) return signature
  // It is kept in the ledger and printed: what nobody could have meant as a key's name is refused.
  if (
    typeof keyid !== 'string' ||
    keyid.length > MAX_KEYID_LENGTH ||
    printable(keyid, MAX_KEYID_LENGTH) !== keyid
  ) {
    throw malformed('keyid must be a short printable string')
  }
  return { keyid, ...signature }
}

function fieldsOf(value: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('must hold objects')
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw malformed(`has the unknown key ${JSON.stringify(printable(unknown, 60))}`)
  return value as Record<string, unknown>
}

function normalBase64(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw malformed(`${name} must be a base64 string`)
  return decodeBase64(value, `envelope: ${name}`).toString('base64')
}

function malformed(reason: string): HeadgateError {
  return new HeadgateError('data', `envelope: ${reason}`)
}
