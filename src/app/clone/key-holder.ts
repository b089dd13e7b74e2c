/** Whose key a file holds, by the policy in force, before anything is signed with it. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { AllowedSigner } from '../../signing/allowed-signers.ts'
import { literalPrincipal, matchesPatternList } from '../../signing/pattern-list.ts'

export type KeyHolder = { readonly principal: string; readonly may: (namespace: string) => boolean }

/** Null where nobody can tell without signing: a certificate, a key that is locked, one that is not listed. */
export function keyHolder(keyFile: string, signers: readonly AllowedSigner[], now: number): KeyHolder | null {
  const blob = publicKey(keyFile)
  if (blob === null) return null
  const lines = signers.filter(
    ({ certAuthority, publicKey: listed, validAfter, validBefore }) =>
      !certAuthority &&
      listed.equals(blob) &&
      (validAfter === undefined || now >= validAfter) &&
      (validBefore === undefined || now <= validBefore),
  )
  const [first] = lines
  const principal = first === undefined ? undefined : literalPrincipal(first.principals)
  if (principal === undefined) return null
  const may = (namespace: string) =>
    lines.some(({ namespaces }) => namespaces === undefined || matchesPatternList(namespace, namespaces))
  return { principal, may }
}

function publicKey(keyFile: string): Buffer | null {
  for (const file of [`${keyFile}.pub`, keyFile]) {
    const blob = parseLine(readIfThere(file))
    if (blob !== null) return blob
  }
  // Without a passphrase to give it ends with an error for a key that has one.
  const made = spawnSync('ssh-keygen', ['-y', '-P', '', '-f', keyFile], { encoding: 'utf8', stdio: 'pipe' })
  return made.status === 0 ? parseLine(made.stdout) : null
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** `ssh-ed25519 AAAA... comment`; a certificate's line is not a plain key. */
function parseLine(text: string): Buffer | null {
  const [, type = '', base64 = ''] = /^((?:ssh|ecdsa|sk)-\S+) ([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(text) ?? []
  return type === '' || /-cert-/.test(type) ? null : Buffer.from(base64, 'base64')
}
