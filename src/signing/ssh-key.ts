/**
 * SSH public keys and the signatures that they make, in SSH's wire form: RFC 4253 and RFC 8332 (RSA), RFC 5656
 * (ECDSA), RFC 8709 (Ed25519), and OpenSSH's PROTOCOL.u2f (hardware keys, `sk-`).
 *
 * DSA keys, RSA keys under 2048 bits and SHA-1 signatures do not exist here.
 */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { WireReader, wireString } from './ssh-wire.ts'

export type SshKey = {
  /** The name on the wire, `ssh-ed25519`. */
  readonly type: string
  /** The wire form. A key has exactly one, so equal bytes are equal keys. */
  readonly blob: Buffer
  /** `SHA256:...`, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string
  readonly object: KeyObject
  /** What a hardware key was made for, `ssh:`; it is part of what such a key signs. */
  readonly application?: string
}

/** A signature of one key whose form is checked, and nothing else. */
export type KeySignature = {
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly bytes: Buffer
  /** What a hardware key says about its user, as it signed it. */
  readonly presence?: { readonly flags: number; readonly counter: number }
}

type Family =
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'rsa' }
  | {
      readonly kind: 'ecdsa'
      readonly curve: string
      readonly jwkCurve: string
      readonly coordinateBytes: number
      readonly hash: 'sha256' | 'sha384' | 'sha512'
    }

const ED25519: Family = { kind: 'ed25519' }
const P256: Family = {
  kind: 'ecdsa',
  curve: 'nistp256',
  jwkCurve: 'P-256',
  coordinateBytes: 32,
  hash: 'sha256',
}
const P384: Family = {
  kind: 'ecdsa',
  curve: 'nistp384',
  jwkCurve: 'P-384',
  coordinateBytes: 48,
  hash: 'sha384',
}
const P521: Family = {
  kind: 'ecdsa',
  curve: 'nistp521',
  jwkCurve: 'P-521',
  coordinateBytes: 66,
  hash: 'sha512',
}

const KEY_TYPES = new Map<string, { readonly family: Family; readonly hardware: boolean }>([
  ['ssh-ed25519', { family: ED25519, hardware: false }],
  ['ssh-rsa', { family: { kind: 'rsa' }, hardware: false }],
  ['ecdsa-sha2-nistp256', { family: P256, hardware: false }],
  ['ecdsa-sha2-nistp384', { family: P384, hardware: false }],
  ['ecdsa-sha2-nistp521', { family: P521, hardware: false }],
  ['sk-ssh-ed25519@openssh.com', { family: ED25519, hardware: true }],
  ['sk-ecdsa-sha2-nistp256@openssh.com', { family: P256, hardware: true }],
])

const RSA_HASHES = new Map([
  ['rsa-sha2-256', 'sha256'],
  ['rsa-sha2-512', 'sha512'],
] as const)

/** NIST SP 800-131A allows nothing shorter; OpenSSH still takes 1024. */
const MIN_RSA_BITS = 2048
/** OpenSSL's and OpenSSH's own limit. It bounds the time that one verification takes. */
const MAX_RSA_BITS = 16384
/** OpenSSL's own limit for large keys; real keys use 65537. */
const MAX_RSA_EXPONENT_BYTES = 8

export function isKeyType(type: string): boolean {
  return KEY_TYPES.has(type)
}

/** A ledger is signed by a handful of keys, and taking one apart costs half as much as a verification. */
const PARSED_KEYS = new Map<string, SshKey>()
const MAX_PARSED_KEYS = 64

/** Parses a plain public key (not a certificate). Throws HeadgateError 'data'. */
export function parseSshKey(blob: Uint8Array): SshKey {
  const name = Buffer.from(blob).toString('latin1')
  const known = PARSED_KEYS.get(name)
  if (known !== undefined) return known
  const reader = new WireReader(blob)
  const key = readKeyFields(reader.text(), reader)
  reader.end()
  // A signer who takes a new key each time shall not make it grow.
  if (PARSED_KEYS.size >= MAX_PARSED_KEYS) PARSED_KEYS.clear()
  PARSED_KEYS.set(name, key)
  return key
}

/** Reads what follows the type name of a key, or the nonce of a certificate: the fields are the same. */
export function readKeyFields(type: string, reader: WireReader): SshKey {
  const known = KEY_TYPES.get(type)
  if (known === undefined) {
    throw new HeadgateError('data', `key type ${JSON.stringify(printable(type, 60))} is not supported`)
  }
  const start = reader.offset
  const object = importKey(readPublicNumbers(known.family, reader))
  const application = known.hardware ? { application: reader.text() } : {}
  const blob = Buffer.concat([wireString(type), reader.since(start)])
  const fingerprint = `SHA256:${createHash('sha256').update(blob).digest('base64').replace('=', '')}`
  return { type, blob, fingerprint, object, ...application }
}

function readPublicNumbers(family: Family, reader: WireReader): JsonWebKey {
  switch (family.kind) {
    case 'ed25519': {
      const point = reader.string()
      if (point.length !== 32) throw new HeadgateError('data', 'Ed25519 key must have 32 bytes')
      return { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }
    }
    case 'rsa': {
      const exponent = reader.mpint()
      const modulus = reader.mpint()
      const bits = modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24)
      if (bits < MIN_RSA_BITS) {
        throw new HeadgateError('data', `RSA key has ${bits} bits, at least ${MIN_RSA_BITS} are needed`)
      }
      if (bits > MAX_RSA_BITS || exponent.length > MAX_RSA_EXPONENT_BYTES) {
        throw new HeadgateError('data', 'RSA key is too large')
      }
      // With e = 1 every message is its own signature; an even e or n belongs to no RSA key.
      const even = (number: Buffer) => (number.at(-1) ?? 0) % 2 === 0
      if (even(exponent) || even(modulus) || (exponent.length === 1 && exponent[0] === 1)) {
        throw new HeadgateError('data', 'RSA key is not valid')
      }
      return { kty: 'RSA', e: exponent.toString('base64url'), n: modulus.toString('base64url') }
    }
    case 'ecdsa': {
      if (reader.text() !== family.curve) throw new HeadgateError('data', 'ECDSA key names another curve')
      const point = reader.string()
      const size = family.coordinateBytes
      // 4 is the only form that SSH uses: uncompressed. The point at infinity has another length.
      if (point.length !== 1 + 2 * size || point[0] !== 4) {
        throw new HeadgateError('data', 'ECDSA key is not an uncompressed point')
      }
      return {
        kty: 'EC',
        crv: family.jwkCurve,
        x: point.toString('base64url', 1, 1 + size),
        y: point.toString('base64url', 1 + size),
      }
    }
  }
}

function importKey(jwk: JsonWebKey): KeyObject {
  try {
    // OpenSSL refuses points that are not on the curve, and coordinates beyond the field.
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch (cause) {
    throw new HeadgateError('data', 'key is not valid', { cause })
  }
}

/** Checks the form of a signature blob against the key that it claims to be by. Throws HeadgateError 'data'. */
export function parseKeySignature(key: SshKey, blob: Uint8Array): KeySignature {
  const known = KEY_TYPES.get(key.type)
  if (known === undefined) throw new TypeError(`not a key type: ${key.type}`)
  const reader = new WireReader(blob)
  const algorithm = reader.text()
  const signature = readSignature(known.family, algorithm, key, reader)
  const presence = known.hardware ? { presence: { flags: reader.byte(), counter: reader.uint32() } } : {}
  reader.end()
  return { ...signature, ...presence }
}

function readSignature(family: Family, algorithm: string, key: SshKey, reader: WireReader): KeySignature {
  if (family.kind === 'rsa') {
    const hash = RSA_HASHES.get(algorithm as 'rsa-sha2-256')
    if (hash === undefined)
      throw new HeadgateError('data', 'RSA signature is not rsa-sha2-256 or rsa-sha2-512')
    const bytes = reader.string()
    // OpenSSH pads what is too short. Here a signature has one length, and one form.
    if (bytes.length !== Math.ceil((key.object.asymmetricKeyDetails?.modulusLength ?? 0) / 8)) {
      throw new HeadgateError('data', 'RSA signature must be as long as its key')
    }
    return { hash, bytes }
  }
  if (algorithm !== key.type) throw new HeadgateError('data', 'signature is of another type than its key')
  if (family.kind === 'ed25519') {
    const bytes = reader.string()
    if (bytes.length !== 64) throw new HeadgateError('data', 'Ed25519 signature must have 64 bytes')
    return { hash: null, bytes }
  }
  const numbers = new WireReader(reader.string())
  // Neither can be zero (mpint refuses it); that both are below the curve's order is checked by OpenSSL.
  const bytes = Buffer.concat(
    [numbers.mpint(), numbers.mpint()].map((n) => leftPad(n, family.coordinateBytes)),
  )
  numbers.end()
  return { hash: family.hash, bytes }
}

function leftPad(number: Buffer, length: number): Buffer {
  if (number.length > length) throw new HeadgateError('data', 'ECDSA signature is out of range')
  return Buffer.concat([Buffer.alloc(length - number.length), number])
}

/** Whether `key` signed `data`. */
export function keySigned(key: SshKey, signature: KeySignature, data: Uint8Array): boolean {
  return isValid(keyVerification(key, signature, data))
}

/** What OpenSSL is asked about one signature. */
export type Verification = {
  readonly hash: KeySignature['hash']
  readonly data: Uint8Array
  readonly key: KeyObject
  readonly signature: Uint8Array
}

/**
 * What must hold if `key` signed `data`. A hardware key signs its own view: the hash of its application, the flags and
 * counter in the signature, the hash of the data. Like `ssh-keygen -Y verify`, and unlike sshd, this asks neither for a
 * touch (flag 1) nor for a PIN (flag 4): the person who made the key chose that, and the flags are in the signature.
 */
export function keyVerification(
  key: SshKey,
  { hash, bytes, presence }: KeySignature,
  data: Uint8Array,
): Verification {
  const signed = presence === undefined ? data : hardwareSigned(key.application ?? '', presence, data)
  return { hash, data: signed, key: key.object, signature: bytes }
}

export function isValid({ hash, data, key, signature }: Verification): boolean {
  try {
    return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    // OpenSSL throws at some numbers that are no signature at all. That is a no.
    return false
  }
}

function hardwareSigned(
  application: string,
  presence: { readonly flags: number; readonly counter: number },
  data: Uint8Array,
): Buffer {
  const state = Buffer.alloc(5)
  state.writeUInt8(presence.flags, 0)
  state.writeUInt32BE(presence.counter, 1)
  const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()
  return Buffer.concat([sha256(application), state, sha256(data)])
}

/** The server seals every record with one key; taking it apart each time costs as much as signing. */
const ED25519_BLOBS = new WeakMap<KeyObject, Buffer>()

/** The wire form of a public or private Ed25519 key. */
export function ed25519Blob(key: KeyObject): Buffer {
  const known = ED25519_BLOBS.get(key)
  if (known !== undefined) return known
  if (key.asymmetricKeyType !== 'ed25519') throw new HeadgateError('configuration', 'not an Ed25519 key')
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.from(x ?? '', 'base64url'))])
  ED25519_BLOBS.set(key, blob)
  return blob
}
