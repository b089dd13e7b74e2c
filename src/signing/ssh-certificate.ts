/**
 * OpenSSH certificates (PROTOCOL.certkeys): a key, and what a certificate authority says about whose it is.
 *
 *     string type ("ssh-ed25519-cert-v01@openssh.com"), string nonce, the key's own fields,
 *     uint64 serial, uint32 type, string key id, string principals (strings), uint64 valid after, uint64 valid before,
 *     string critical options (name, data), string extensions (name, data), string reserved,
 *     string authority's key, string authority's signature over all before it
 */
import { HeadgateError } from '../core/errors.ts'
import type { SshKey } from './ssh-key.ts'
import {
  isKeyType,
  type KeySignature,
  keySigned,
  parseKeySignature,
  parseSshKey,
  readKeyFields,
} from './ssh-key.ts'
import { WireReader } from './ssh-wire.ts'

export type SshCertificate = {
  readonly key: SshKey
  readonly authority: SshKey
  readonly keyId: string
  readonly serial: bigint
  readonly kind: 'user' | 'host'
  readonly principals: readonly string[]
  /** Seconds since the epoch; valid from `validAfter` on and before `validBefore`. */
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly criticalOptions: readonly string[]
  readonly signed: Buffer
  readonly signature: KeySignature
}

/** A key as people use it: by itself, or in a certificate. */
export type PresentedKey = {
  /** The wire form of the key or certificate. */
  readonly publicKey: Buffer
  /** Its type, for certificates `...-cert-v01@openssh.com`. */
  readonly keyType: string
  /** Of the key; for a certificate, as ssh-keygen prints it, of the plain key in it. */
  readonly fingerprint: string
  /** For a certificate, the plain key in it. */
  readonly key: SshKey
  readonly certificate?: SshCertificate
}

/** OpenSSH's own limit. */
const MAX_PRINCIPALS = 256

/** The type of the certified key, or undefined where `type` is not a certificate's. */
export function certifiedKeyType(type: string): string | undefined {
  const plain = type.replace(/-cert-v01@openssh\.com$/, '')
  if (plain === type) return undefined
  // sk-ssh-ed25519@openssh.com has the certificate type sk-ssh-ed25519-cert-v01@openssh.com.
  const candidate = plain.startsWith('sk-') ? `${plain}@openssh.com` : plain
  return isKeyType(candidate) ? candidate : undefined
}

/** Parses a key or a certificate, by the type that it names. Proves nothing. Throws HeadgateError 'data'. */
export function parsePresentedKey(publicKey: Buffer): PresentedKey {
  const keyType = new WireReader(publicKey).text()
  const certificate = certifiedKeyType(keyType) === undefined ? undefined : parseCertificate(publicKey)
  const key = certificate?.key ?? parseSshKey(publicKey)
  const { fingerprint } = key
  return { publicKey, keyType, fingerprint, key, ...(certificate === undefined ? {} : { certificate }) }
}

/** Parses a certificate; says nothing yet about who signed it. Throws HeadgateError 'data'. */
export function parseCertificate(blob: Uint8Array): SshCertificate {
  const reader = new WireReader(blob)
  const type = certifiedKeyType(reader.text())
  if (type === undefined) throw new HeadgateError('data', 'not a supported certificate')
  reader.string() // The nonce: it only makes what is signed unpredictable.
  const key = readKeyFields(type, reader)
  const serial = reader.uint64()
  const kind = certificateKind(reader.uint32())
  const keyId = reader.text()
  const principals = readPrincipals(reader.string())
  const validAfter = reader.uint64()
  const validBefore = reader.uint64()
  const criticalOptions = readOptionNames(reader.string())
  readOptionNames(reader.string()) // Extensions permit things in a shell session; nothing here depends on them.
  reader.string() // Reserved: signed by the authority, and without a meaning so far.
  // A certificate's key must be a plain one: no chains.
  const authority = parseSshKey(reader.string())
  const signed = reader.since(0)
  const signature = parseKeySignature(authority, reader.string())
  reader.end()
  return {
    key,
    authority,
    keyId,
    serial,
    kind,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    signed,
    signature,
  }
}

/** Whether the authority that the certificate names made it. */
export function authorityCertified(certificate: SshCertificate): boolean {
  return keySigned(certificate.authority, certificate.signature, certificate.signed)
}

function certificateKind(code: number): 'user' | 'host' {
  if (code === 1) return 'user'
  if (code === 2) return 'host'
  throw new HeadgateError('data', 'certificate is neither for a user nor for a host')
}

function readPrincipals(bytes: Buffer): string[] {
  const reader = new WireReader(bytes)
  const principals: string[] = []
  while (!reader.atEnd) {
    if (principals.length === MAX_PRINCIPALS) {
      throw new HeadgateError('data', `certificate has more than ${MAX_PRINCIPALS} principals`)
    }
    principals.push(reader.text())
  }
  return principals
}

function readOptionNames(bytes: Buffer): string[] {
  const reader = new WireReader(bytes)
  const names: string[] = []
  while (!reader.atEnd) {
    names.push(reader.text())
    reader.string()
  }
  return names
}
