/**
 * OpenSSH's allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS): who may sign, with which key, as what.
 *
 *     alice,alice@example.com namespaces="git,headgate-*",valid-before="20300101Z" ssh-ed25519 AAAA... comment
 *     *@example.com cert-authority ssh-ed25519 AAAA...
 *
 * ssh-keygen prints an error for a line that it cannot read and goes on. Here any such line is a problem, and whoever
 * uses the file refuses it when there is one. What is accepted means the same as in ssh-keygen, with these differences:
 *
 * - A time without `Z` is UTC, not the reader's local time: one file must mean one thing on every machine.
 * - A line that could never match is a problem: an empty list of namespaces, only excluding patterns.
 * - A line that is no cert-authority must have a principal without wildcards. That name is who signed; "somebody at
 *   example.com" is not an identity. The further patterns of the line give no further names.
 * - Certificates as keys, RSA keys under 2048 bits and short names of key types ("ED25519") are problems.
 */
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { type LineOptions, parseLineOptions } from './allowed-signers-options.ts'
import { parseKeyLine, splitKeyLine } from './key-line.ts'
import { literalPrincipal, parsePatternList } from './pattern-list.ts'
import { certifiedKeyType } from './ssh-certificate.ts'
import { isKeyType } from './ssh-key.ts'

export { type Trust, verifyBy } from './trust.ts'

export type AllowedSigner = LineOptions & {
  /** 1 for the first line of the file. */
  readonly line: number
  /** The patterns as written, at least one. */
  readonly principals: readonly string[]
  readonly keyType: string
  /** The wire form of the key; equal bytes are equal keys. */
  readonly publicKey: Buffer
  readonly fingerprint: string
}

export type AllowedSignersProblem = { readonly line: number; readonly message: string }

/** A thousand people with three keys each fit. The file is in every decision's way. */
export const MAX_ALLOWED_SIGNERS_BYTES = 256 * 1024
const MAX_LINES = 8192
/** The longest RSA key takes 2.8 KiB. */
const MAX_LINE_LENGTH = 8192

/** Reads the whole file and reports all problems, in the order of the lines. Never throws. */
export function parseAllowedSigners(text: string): {
  signers: AllowedSigner[]
  problems: AllowedSignersProblem[]
} {
  if (Buffer.byteLength(text) > MAX_ALLOWED_SIGNERS_BYTES) {
    return {
      signers: [],
      problems: [{ line: 1, message: `the file has more than ${MAX_ALLOWED_SIGNERS_BYTES} bytes` }],
    }
  }
  const lines = text.split('\n')
  if (lines.length > MAX_LINES) {
    return {
      signers: [],
      problems: [{ line: MAX_LINES, message: `the file has more than ${MAX_LINES} lines` }],
    }
  }
  const signers: AllowedSigner[] = []
  const problems: AllowedSignersProblem[] = []
  for (const [index, line] of lines.entries()) {
    try {
      const signer = parseLine(line.replace(/\r$/, ''), index + 1)
      if (signer !== undefined) signers.push(signer)
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      problems.push({ line: index + 1, message: error.message })
    }
  }
  return { signers, problems }
}

function parseLine(line: string, number: number): AllowedSigner | undefined {
  if (line.length > MAX_LINE_LENGTH) throw problem(`the line is longer than ${MAX_LINE_LENGTH} characters`)
  // A NUL ends the line for OpenSSH, a carriage return hides text from people: neither belongs here.
  if (/[^\P{Cc}\t]/u.test(line)) throw problem('the line has control characters')
  if (line.startsWith('\ufeff')) throw problem('the file starts with a byte order mark')
  const rest = line.replace(/^[ \t]+/, '')
  if (rest === '' || rest.startsWith('#')) return undefined

  const [principalField, afterPrincipals] = splitPrincipals(rest)
  const principals = parsePatternList(principalField, 'the list of principals')
  const optionsField = startsWithKey(afterPrincipals) ? '' : optionsOf(afterPrincipals)
  const options = parseLineOptions(optionsField)
  const key = parseKey(afterPrincipals.slice(optionsField.length))
  if (!options.certAuthority && literalPrincipal(principals) === undefined) {
    throw problem('no principal is a plain name, and only a cert-authority can do without one')
  }
  return { line: number, principals, ...options, ...key }
}

/** The principals without their quotes, and what follows. The field is quoted as a whole or not at all. */
function splitPrincipals(text: string): [string, string] {
  const match = /^(?:"([^"]*)"|([^" \t]+))[ \t]+(.*)$/s.exec(text)
  if (match === null) {
    throw problem(
      text.includes('"') ? 'the quotes around the principals do not match' : 'the line has no key',
    )
  }
  const principals = match[1] ?? match[2] ?? ''
  if (isKeyType(principals)) throw problem('the line starts with a key; the name of the signer comes first')
  return [principals, match[3] ?? '']
}

/** A key has no options before it. Every key's base64 starts with AAAA: that tells an unknown type from an option. */
function startsWithKey(text: string): boolean {
  const first = /^[^ \t]*/.exec(text)?.[0] ?? ''
  return isKeyType(first) || certifiedKeyType(first) !== undefined || /^[^ \t"]+[ \t]+AAAA/.test(text)
}

/** Everything up to the first white space outside of quotes. */
function optionsOf(text: string): string {
  const options = /^(?:"[^"\\]*"|[^"\\ \t])*/.exec(text)?.[0] ?? ''
  const next = text[options.length]
  // OpenSSH reads \" in a value as a quote. No namespace and no time needs it.
  if (next === '"' || next === '\\') throw problem('the options have an unclosed quote or a backslash')
  return options
}

function parseKey(text: string): Pick<AllowedSigner, 'keyType' | 'publicKey' | 'fingerprint'> {
  const line = text.replace(/^[ \t]+/, '')
  const { type, base64 } = splitKeyLine(line)
  if (type === '') throw problem('the line has no key')
  if (certifiedKeyType(type) !== undefined) {
    throw problem('the key is a certificate; list its authority with cert-authority, or the plain key')
  }
  if (!isKeyType(type)) throw problem(`key type ${JSON.stringify(printable(type, 60))} is not supported`)
  if (base64 === '') throw problem('the line has no key')
  const key = usable(() => parseKeyLine(line, 'it'))
  return { keyType: type, publicKey: key.blob, fingerprint: key.fingerprint }
}

function usable<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    throw problem(`the key is not usable: ${error.message}`)
  }
}

/** The line of one key, which may sign in these namespaces; `key` is the line of a .pub file. */
export function allowedSignersLine(principal: string, namespaces: readonly string[], key: string): string {
  const { type, base64 } = splitKeyLine(key)
  return `${principal} namespaces="${namespaces.join(',')}" ${type} ${base64}`
}

function problem(message: string): HeadgateError {
  return new HeadgateError('data', message)
}
