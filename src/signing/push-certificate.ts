/**
 * git's push certificate (gitprotocol-pack(5), "Push Certificate"), as the blob that GIT_PUSH_CERT names:
 *
 *     certificate version 0.1
 *     pusher <key or name> <seconds> <zone>
 *     pushee <url>            where git knows it
 *     nonce <nonce>           where the server gave one
 *     push-option <option>    any number
 *     <empty line>
 *     <old> <new> <ref>       one or more
 *     -----BEGIN SSH SIGNATURE----- ...
 *
 * The signature covers everything before it, in the namespace "git". git itself finds headers anywhere and takes the
 * last signature; here every line is accounted for, so there is nothing to find in two ways.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { dearmor, type ParsedSignature, parseSshsig } from './sshsig.ts'
import { type Trust, verifyBy } from './trust.ts'

export type PushCertificate = {
  readonly version: string
  /** As the client wrote it: the key's fingerprint or a name, and a time. A claim, not an identity. */
  readonly pusher: string
  readonly pushee?: string
  readonly nonce?: string
  readonly pushOptions: readonly string[]
  readonly updates: readonly PushUpdate[]
  readonly signedBytes: Buffer
  readonly signature: ParsedSignature
}

export type PushUpdate = { readonly from: string; readonly to: string; readonly ref: string }

/** The namespace in which git signs. */
export const PUSH_NAMESPACE = 'git'

/** A push of ten thousand refs has a certificate of about this size. */
const MAX_CERTIFICATE_BYTES = 4 * 1024 * 1024
const SIGNATURE_START = '\n-----BEGIN SSH SIGNATURE-----\n'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws HeadgateError 'data'. */
export function parsePushCertificate(bytes: Buffer): PushCertificate {
  if (bytes.length > MAX_CERTIFICATE_BYTES) throw malformed('is too large')
  const signatureAt = bytes.indexOf(SIGNATURE_START) + 1
  if (signatureAt === 0) throw malformed('has no SSH signature')
  const signedBytes = Buffer.from(bytes.subarray(0, signatureAt))
  const signature = parseSshsig(dearmor(decode(bytes.subarray(signatureAt))))

  const [head = '', body, ...more] = decode(signedBytes).split('\n\n')
  if (body === undefined || more.length > 0) throw malformed('must have one empty line')
  return { ...parseHead(head), updates: parseUpdates(body), signedBytes, signature }
}

/** What signed a certificate that has no SSH signature, as git's own formats begin. */
export function otherFormat(bytes: Buffer): 'OpenPGP' | 'X.509' | null {
  if (bytes.includes(SIGNATURE_START)) return null
  if (/^-----BEGIN PGP (?:SIGNATURE|MESSAGE)-----$/m.test(bytes.toString('latin1'))) return 'OpenPGP'
  return bytes.includes('\n-----BEGIN SIGNED MESSAGE-----\n') ? 'X.509' : null
}

/** `at`: milliseconds since the epoch. The nonce and the updates are for the caller to compare. */
export function verifyPushCertificate(
  certificate: PushCertificate,
  signers: readonly AllowedSigner[],
  at: number,
): Trust {
  const { signature, signedBytes: message } = certificate
  return verifyBy(signers, { signature, message, namespace: PUSH_NAMESPACE, at })
}

function parseHead(
  head: string,
): Pick<PushCertificate, 'version' | 'pusher' | 'pushee' | 'nonce' | 'pushOptions'> {
  const lines = head.split('\n')
  const take = (name: string): string | undefined => {
    if (!lines[0]?.startsWith(`${name} `)) return undefined
    return lines.shift()?.slice(name.length + 1)
  }
  // In git's order, each at most once: with a second nonce, one could be checked and the other believed.
  const version = take('certificate version')
  if (version !== '0.1') throw malformed('is not of version 0.1')
  const pusher = take('pusher')
  if (pusher === undefined || pusher === '') throw malformed('names no pusher')
  const pushee = take('pushee')
  const nonce = take('nonce')
  const pushOptions: string[] = []
  for (let option = take('push-option'); option !== undefined; option = take('push-option'))
    pushOptions.push(option)
  const [unknown] = lines
  if (unknown !== undefined)
    throw malformed(`has the unexpected line ${JSON.stringify(printable(unknown, 60))}`)
  return {
    version,
    pusher,
    ...(pushee === undefined ? {} : { pushee }),
    ...(nonce === undefined ? {} : { nonce }),
    pushOptions,
  }
}

function parseUpdates(body: string): PushUpdate[] {
  if (!body.endsWith('\n')) throw malformed('does not end its last line')
  const refs = new Set<string>()
  return body
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const [, from = '', to = '', ref = ''] = /^([^ ]*) ([^ ]*) (refs\/[^ ]+)$/.exec(line) ?? []
      if (!isOid(from) || !isOid(to) || from.length !== to.length || /\p{Cc}/u.test(ref)) {
        throw malformed(`has the line ${JSON.stringify(printable(line, 60))}, which is no update of a ref`)
      }
      if (refs.has(ref)) throw malformed(`names ${JSON.stringify(printable(ref, 60))} twice`)
      refs.add(ref)
      return { from, to, ref }
    })
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw malformed('is not UTF-8', cause)
  }
}

function malformed(reason: string, cause?: unknown): HeadgateError {
  return new HeadgateError('data', `push certificate ${reason}`, { cause })
}
