/**
 * SSH signatures of data: OpenSSH's PROTOCOL.sshsig, what `ssh-keygen -Y sign` makes.
 *
 *     "SSHSIG", uint32 version (1), string public key, string namespace, string reserved, string hash algorithm,
 *     string signature
 *
 * The signature covers "SSHSIG", string namespace, string reserved, string hash algorithm, string H(message).
 *
 * Stricter than OpenSSH where that leaves one form of a signature: version 0 and a `reserved` that is not empty
 * (OpenSSH ignores it, unsigned) are refused.
 */
import { createHash, type KeyObject, sign } from 'node:crypto'
import { HeadgateError } from '../core/errors.ts'
import { decodePaddedBase64 } from './base64.ts'
import { type PresentedKey, parsePresentedKey } from './ssh-certificate.ts'
import {
  ed25519Blob,
  isValid,
  type KeySignature,
  keyVerification,
  parseKeySignature,
  type Verification,
} from './ssh-key.ts'
import { WireReader, wireString, wireUint32 } from './ssh-wire.ts'

const MAGIC = Buffer.from('SSHSIG')
const VERSION = 1

/** A 16384-bit RSA key, its signature and a certificate with a long list of principals fit. */
export const MAX_SIGNATURE_BYTES = 16384
/** Namespaces are words of a program; those of headgate have less than 20 characters. */
const MAX_NAMESPACE_LENGTH = 255

export type HashAlgorithm = 'sha256' | 'sha512'

export type ParsedSignature = PresentedKey & {
  readonly namespace: string
  readonly hashAlgorithm: HashAlgorithm
  readonly signature: KeySignature
}

/** Parses a blob (the decoded body of the armor). Proves nothing yet. Throws HeadgateError 'data'. */
export function parseSshsig(blob: Uint8Array): ParsedSignature {
  if (blob.length > MAX_SIGNATURE_BYTES) throw new HeadgateError('data', 'SSH signature is too large')
  const reader = new WireReader(blob)
  if (!reader.bytes(MAGIC.length).equals(MAGIC)) throw new HeadgateError('data', 'not an SSH signature')
  const version = reader.uint32()
  if (version !== VERSION) throw new HeadgateError('data', `SSH signature has unknown version ${version}`)
  const presented = parsePresentedKey(reader.string())
  const namespace = readNamespace(reader)
  if (reader.string().length > 0) throw new HeadgateError('data', 'SSH signature uses its reserved field')
  const hashAlgorithm = parseHashAlgorithm(reader.text())
  const signature = parseKeySignature(presented.key, reader.string())
  reader.end()
  return { ...presented, namespace, hashAlgorithm, signature }
}

function readNamespace(reader: WireReader): string {
  const namespace = reader.text()
  if (namespace !== '' && namespace.length <= MAX_NAMESPACE_LENGTH) return namespace
  throw new HeadgateError('data', 'SSH signature has no usable namespace')
}

/** Whether the key in a signature signed a message, in the signature's own namespace. */
export type IsGenuine = (parsed: ParsedSignature, message: Uint8Array) => boolean

/**
 * Whether the key in the signature signed `message` in the signature's own namespace. It says nothing about whose key
 * that is, and does not look at a certificate: see verifyBy.
 */
export const verifySshsig: IsGenuine = (parsed, message) => isValid(sshsigVerification(parsed, message))

/** What must hold for that. */
export function sshsigVerification(parsed: ParsedSignature, message: Uint8Array): Verification {
  const { key, signature, namespace, hashAlgorithm } = parsed
  return keyVerification(key, signature, signedData(namespace, hashAlgorithm, message))
}

/**
 * Signs in this process with an Ed25519 key, as `ssh-keygen -Y sign` would. For the server's own key; people's keys
 * stay with ssh-keygen and the agent.
 */
export function createSshsig(input: {
  readonly privateKey: KeyObject
  readonly namespace: string
  readonly message: Uint8Array
}): Buffer {
  const { privateKey, namespace, message } = input
  readNamespace(new WireReader(wireString(namespace))) // Nobody gets a signature that nobody would accept.
  const signature = sign(null, signedData(namespace, 'sha512', message), privateKey)
  return Buffer.concat([
    MAGIC,
    wireUint32(VERSION),
    wireString(ed25519Blob(privateKey)),
    wireString(namespace),
    wireString(''),
    wireString('sha512'),
    wireString(Buffer.concat([wireString('ssh-ed25519'), wireString(signature)])),
  ])
}

function signedData(namespace: string, hashAlgorithm: HashAlgorithm, message: Uint8Array): Buffer {
  return Buffer.concat([
    MAGIC,
    wireString(namespace),
    wireString(''),
    wireString(hashAlgorithm),
    wireString(createHash(hashAlgorithm).update(message).digest()),
  ])
}

function parseHashAlgorithm(name: string): HashAlgorithm {
  if (name === 'sha256' || name === 'sha512') return name
  throw new HeadgateError('data', 'SSH signature is not over sha256 or sha512')
}

const ARMOR_BEGIN = '-----BEGIN SSH SIGNATURE-----\n'
const ARMOR_END = '\n-----END SSH SIGNATURE-----'
/** The width that OpenSSH writes. */
const ARMOR_WIDTH = 70

export function armor(blob: Uint8Array): string {
  const lines =
    Buffer.from(blob)
      .toString('base64')
      .match(new RegExp(`.{1,${ARMOR_WIDTH}}`, 'g')) ?? []
  return `${ARMOR_BEGIN}${lines.join('\n')}${ARMOR_END}\n`
}

/**
 * The blob in the armor, which must be all of the text. Lines end in LF as OpenSSH requires (CRLF is refused there
 * too) and may have any width. Throws HeadgateError 'data'.
 */
export function dearmor(text: string): Buffer {
  // Base64 and line ends make it larger; anything beyond twice the limit cannot be a signature.
  if (text.length > 2 * MAX_SIGNATURE_BYTES) throw new HeadgateError('data', 'SSH signature is too large')
  const end = text.endsWith('\n') ? text.length - 1 : text.length
  const bodyEnd = end - ARMOR_END.length
  if (
    !text.startsWith(ARMOR_BEGIN) ||
    bodyEnd <= ARMOR_BEGIN.length ||
    text.slice(bodyEnd, end) !== ARMOR_END
  ) {
    throw new HeadgateError('data', 'not an armored SSH signature')
  }
  return decodePaddedBase64(text.slice(ARMOR_BEGIN.length, bodyEnd).replaceAll('\n', ''), 'SSH signature')
}
