import { HeadgateError } from '../core/errors.ts'

/**
 * Decodes base64 with the standard or the URL-safe alphabet (not a mixture), with or without padding. Buffer ignores
 * characters it does not know and bits that are left over; encoding again and comparing refuses both.
 * Throws HeadgateError 'data' that starts with `what`.
 */
export function decodeBase64(text: string, what: string): Buffer {
  const body = withoutPadding(text)
  const bytes = Buffer.from(body, 'base64')
  if (withoutPadding(bytes.toString('base64')) !== body && bytes.toString('base64url') !== body) {
    throw new HeadgateError('data', `${what} is not base64`)
  }
  return bytes
}

/** The same, but only what OpenSSH writes: the standard alphabet with padding. */
export function decodePaddedBase64(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new HeadgateError('data', `${what} is not base64`)
  return bytes
}

function withoutPadding(text: string): string {
  // Padding is only padding where it fills the last group of four.
  if (text.length % 4 !== 0) return text
  if (text.endsWith('==')) return text.slice(0, -2)
  return text.endsWith('=') ? text.slice(0, -1) : text
}
