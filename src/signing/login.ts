/**
 * How a connection logged in, as sshd tells it in the file that SSH_USER_AUTH names (sshd_config(5), ExposeAuthInfo): a
 * line for each method that succeeded.
 *
 *     publickey ssh-ed25519 AAAA...
 *     keyboard-interactive/pam
 *     hostbased ssh-ed25519 AAAA... client user "alice", client host "pc.example.com"
 *
 * A certificate stands where the key does. With `AuthenticationMethods publickey,publickey` there are two keys.
 */
import { HeadgateError } from '../core/errors.ts'
import type { AllowedSigner } from './allowed-signers.ts'
import { decodePaddedBase64 } from './base64.ts'
import { type PresentedKey, parsePresentedKey } from './ssh-certificate.ts'
import { nameLogin } from './trust.ts'

/** The largest certificate has 16 KiB in base64, and hardly anybody logs in with two. */
export const MAX_LOGIN_BYTES = 32768
/** sshd's MaxAuthTries is 6. */
const MAX_LINES = 16

/** All that sshd has; their submethods (`/pam`) and what follows are of no interest, but for a public key. */
const METHODS =
  /^(publickey|password|keyboard-interactive|hostbased|gssapi-with-mic|gssapi-keyex|none)(?:\/[a-z0-9_.-]+)?(?: (\P{Cc}+))?$/u

/** Whose keys push: the namespace in which git signs pushes. */
const LOGIN_NAMESPACE = 'git'

/** The keys that a connection logged in with; none if it used other methods only. Throws HeadgateError 'data'. */
export function parseLogin(lines: readonly string[]): PresentedKey[] {
  const length = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
  if (lines.length > MAX_LINES || length > MAX_LOGIN_BYTES) throw malformed('is too large')
  return lines.flatMap((line) => {
    // One line that sshd would not write makes all of them doubtful.
    const [, method, rest] = METHODS.exec(line) ?? []
    if (method === undefined) throw malformed('has a line that sshd does not write')
    return method === 'publickey' ? [parseKey(rest ?? '')] : []
  })
}

function parseKey(text: string): PresentedKey {
  const [type, base64, ...more] = text.split(' ')
  if (base64 === undefined || more.length > 0) throw malformed('has a line with no key where one belongs')
  const key = parsePresentedKey(decodePaddedBase64(base64, 'the key that logged in'))
  if (key.keyType !== type) throw malformed('names another type than its key has')
  return key
}

/** Who logged in. Every key must be somebody's, and all of them the same person's. `at`: ms since the epoch. */
export function judgeLogin(
  keys: readonly PresentedKey[],
  signers: readonly AllowedSigner[],
  at: number,
): { readonly principal: string } | { readonly reason: string } {
  let principal: string | undefined
  for (const key of keys) {
    const trust = nameLogin(signers, key, LOGIN_NAMESPACE, at)
    if (trust.verdict !== 'trusted') return { reason: `${key.fingerprint} logged in, and ${trust.reason}` }
    if (principal !== undefined && trust.principal !== principal)
      return { reason: 'the connection logged in with keys of two people' }
    principal = trust.principal
  }
  return principal === undefined ? { reason: 'the connection did not log in with a key' } : { principal }
}

function malformed(reason: string): HeadgateError {
  return new HeadgateError('data', `the file of the login ${reason}`)
}
