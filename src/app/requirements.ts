/** What signing commands are told on the command line, and must be before anything is signed. */
import { existsSync } from 'node:fs'
import { HeadgateError } from '../core/errors.ts'
import { parseDuration } from '../core/policy/duration.ts'
import { printable, shellWord } from '../core/printable.ts'
import { saysSomething } from '../core/push-option.ts'
import { parseBaseUrl } from '../gate/base-url.ts'
import type { Environment } from './caller.ts'

/** The key that the user names, or HEADGATE_KEY. */
export function requireKey(key: string | undefined, { HEADGATE_KEY }: Environment): string {
  const file = key ?? HEADGATE_KEY
  if (file !== undefined && file !== '') {
    if (existsSync(file) || existsSync(`${file}.pub`)) return file
    // Found before the gates have run and anything has gone over a network, not after.
    throw new HeadgateError('configuration', `key file ${shellWord(file)} does not exist`, {
      hint: 'name the file of an SSH key, such as ~/.ssh/id_ed25519',
    })
  }
  throw new HeadgateError('usage', 'no key to sign with', {
    hint: 'name it with --key FILE or HEADGATE_KEY; headgate key generate makes one',
  })
}

/** The reason of a statement, as the statement takes it. */
export function requireReason(reason: string): string {
  if (reason.trim() !== '' && reason.length <= MAX_REASON_LENGTH) return reason
  const problem = reason.trim() === '' ? 'says nothing' : `is longer than ${MAX_REASON_LENGTH} characters`
  throw new HeadgateError('usage', `--reason ${problem}`, { hint: 'say why in a sentence or two' })
}

const MAX_REASON_LENGTH = 4096

/** A duration that an option names, in milliseconds. */
export function requireDuration(option: string, text: string): number {
  let durationMs: number
  try {
    durationMs = parseDuration(text)
  } catch (cause) {
    if (!(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError('usage', `--${option}: ${cause.message}`, {
      hint: `for example --${option} 1h30m`,
      cause,
    })
  }
  if (durationMs > 0) return durationMs
  throw new HeadgateError('usage', `--${option} must be longer than zero`, {
    hint: `for example --${option} 1h30m`,
  })
}

/** Free text that travels as a push option: git allows no line break there, and the server keeps 4096 bytes. */
export function requireLine(option: string, text: string): string {
  const line = text.replace(/\s*[\r\n]+\s*/g, ' ').trim()
  if (saysSomething(line) && Buffer.byteLength(line) <= MAX_LINE_BYTES && !line.includes('\0')) return line
  const problem = !saysSomething(line) ? 'says nothing' : `is longer than ${MAX_LINE_BYTES} bytes`
  throw new HeadgateError('usage', `--${option} ${problem}`, {
    hint: 'say it in a sentence or two, or name a page that does',
  })
}

const MAX_LINE_BYTES = 1000

/** The link that evidence keeps to where it comes from. It stays in the ledger, and everyone who can fetch reads it. */
export function requireCiUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const url = text.length <= MAX_URL_LENGTH && URL.canParse(text) ? new URL(text) : null
  const problem =
    url === null || !/^https?:$/.test(url.protocol)
      ? `is no http or https URL of at most ${MAX_URL_LENGTH} characters`
      : url.username !== '' || url.password !== ''
        ? 'must not carry a user name or password: it would be in the ledger for ever'
        : null
  if (problem === null) return text
  throw new HeadgateError('usage', `--ci-url ${problem}`, {
    hint: 'name the page of the CI run, such as https://ci.example.com/runs/7',
  })
}

/** As long as a statement takes it. */
const MAX_URL_LENGTH = 2048

/** A number of things that an option names. */
export function requireCount(option: string, count: number): number {
  if (Number.isSafeInteger(count) && count >= 1 && count <= 10_000) return count
  throw new HeadgateError('usage', `--${option} takes a number from 1 to 10000`, {
    hint: `for example --${option} 20`,
  })
}

/** The base URL without what it must not hold; a password in it is never printed. */
/** `source` is where the text comes from, which itself is not repeated: it may hold a password. */
export function requireBaseUrl(source: '--url' | 'BASE', text: string): string {
  try {
    return parseBaseUrl(text).text
  } catch (cause) {
    if (!(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError('usage', `${source}: ${cause.message}`, {
      hint: '--url goes before BASE, and both before the url of the policy',
      cause,
    })
  }
}

/** A day or a moment that an option names, in milliseconds since the epoch. */
export function requireDate(text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)?$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (Number.isFinite(ms)) return ms
  throw new HeadgateError('usage', `"${printable(text, 60)}" is no date`, {
    hint: 'such as 2026-01-31, or 2026-01-31T12:00:00Z',
  })
}
