/** Keys for CI and for operators, and the lines of allowed_signers that let them sign. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { allowedSignersLine, parseAllowedSigners } from '../signing/allowed-signers.ts'
import { makeKeyPair } from '../signing/ssh-keygen.ts'

export type KeyOptions = {
  /** Path of the private key of `generateKey`, of the public one of `lineOfKey`. */
  readonly file: string
  /** Roles with commas between them, as the user names them. */
  readonly roles: string
  readonly principal: string
}

export type KeyLine = {
  readonly publicKey: string
  readonly principal: string
  readonly namespaces: readonly string[]
  /** For allowed_signers. */
  readonly line: string
}

const ROLES: Readonly<Record<string, string>> = {
  evidence: 'headgate-evidence',
  approval: 'headgate-approval',
  push: 'git',
}

/** Makes a pair; `passphrase`: whether ssh-keygen asks for one at the terminal. No file is ever overwritten. */
export function generateKey(options: KeyOptions & { readonly passphrase: boolean }): KeyLine {
  const { file, principal, passphrase } = options
  const namespaces = requireNamespaces(options)
  const publicKey = `${file}.pub`
  for (const taken of [file, publicKey]) {
    if (existsSync(taken)) {
      throw new HeadgateError('usage', `${taken} exists already, and a key is never overwritten`, {
        hint: 'choose another file',
      })
    }
  }
  makeKeyPair(file, principal, passphrase)
  const line = allowedSignersLine(principal, namespaces, readPublicKey(publicKey))
  return { publicKey, principal, namespaces, line }
}

/** The line of a key that is there already. */
export function lineOfKey(options: KeyOptions): KeyLine {
  const { file, principal } = options
  const namespaces = requireNamespaces(options)
  const line = allowedSignersLine(principal, namespaces, readPublicKey(file))
  const [problem] = parseAllowedSigners(line).problems
  if (problem !== undefined) {
    throw new HeadgateError(
      'data',
      `${printable(file, 300)} is no public key for headgate: ${problem.message}`,
      {
        hint: 'name the .pub file of an SSH key; its private key stays where it is',
      },
    )
  }
  return { publicKey: file, principal, namespaces, line }
}

/** Throws HeadgateError 'usage'. */
function requireNamespaces({ roles, principal }: KeyOptions): string[] {
  const namespaces = roles.split(',').map((role) => {
    const namespace = ROLES[role.trim()]
    if (namespace !== undefined) return namespace
    throw new HeadgateError('usage', `--for ${JSON.stringify(role)} is not a role`, {
      hint: `use ${Object.keys(ROLES).join(', ')}, or several with commas`,
    })
  })
  if (!/^[^\s"#,*?!\p{Cc}]+$/u.test(principal)) {
    throw new HeadgateError(
      'usage',
      `--principal ${JSON.stringify(principal)} cannot stand in allowed_signers`,
      {
        hint: 'a name or an e-mail address without spaces, quotes, commas and wildcards',
      },
    )
  }
  return namespaces
}

/** The largest RSA key, with a comment. */
const MAX_PUBLIC_KEY_BYTES = 16 * 1024

function readPublicKey(file: string): string {
  const no = (what: string, cause?: unknown) =>
    new HeadgateError('usage', `${printable(file, 300)} ${what}`, {
      hint: 'name the .pub file of an SSH key; its private key stays where it is',
      cause,
    })
  let text: string
  try {
    const status = statSync(file)
    if (!status.isFile()) throw no('is no file')
    if (status.size > MAX_PUBLIC_KEY_BYTES) throw no('is larger than 16 KiB')
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof HeadgateError) throw cause
    throw no('cannot be read', cause)
  }
  if (text.includes('PRIVATE KEY')) throw no('is a private key')
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const [line = '', ...more] = lines
  if (more.length > 0 || line === '') throw no('is not one public key')
  return line.trim()
}
