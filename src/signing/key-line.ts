/**
 * A public key as OpenSSH writes it in a line: its type, its wire form in base64, and a comment that nobody checks.
 *
 *     ssh-ed25519 AAAA... alice@example.com
 */
import type { KeyObject } from 'node:crypto'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { decodePaddedBase64 } from './base64.ts'
import { ed25519Blob, parseSshKey, type SshKey } from './ssh-key.ts'
import { WireReader } from './ssh-wire.ts'

/** What stands before the comment, as it is written; empty where there is nothing. */
export function splitKeyLine(line: string): { readonly type: string; readonly base64: string } {
  const [type = '', base64 = ''] = line.split(/[ \t]+/, 2)
  return { type, base64 }
}

/** The plain key of a line. `what` names it in the error, HeadgateError 'data'. */
export function parseKeyLine(line: string, what = 'the key'): SshKey {
  const { type, base64 } = splitKeyLine(line)
  const blob = decodePaddedBase64(base64, what)
  if (new WireReader(blob).text() !== type)
    throw new HeadgateError('data', `${what} is of another type than the line says`)
  return parseSshKey(blob)
}

/** The line of a key, which parses again. */
export function keyLine({ type, blob }: Pick<SshKey, 'type' | 'blob'>, comment = ''): string {
  if (printable(comment, 1000) !== comment) {
    throw new HeadgateError('usage', 'the comment of a key must be one line of printable text')
  }
  return `${type} ${blob.toString('base64')} ${comment}`.trimEnd()
}

/** That of a public or private Ed25519 key. */
export function ed25519PublicKeyLine(key: KeyObject, comment: string): string {
  return keyLine({ type: 'ssh-ed25519', blob: ed25519Blob(key) }, comment)
}
