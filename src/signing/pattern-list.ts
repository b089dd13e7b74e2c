/**
 * Pattern lists as in ssh_config(5), PATTERNS: `*` is any text, `?` any one byte, a leading `!` excludes. Matching is
 * by bytes and minds case, as OpenSSH does it for allowed signers.
 */
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'

/** OpenSSH silently ignores patterns of 1023 bytes and more. */
const MAX_PATTERN_LENGTH = 255

/** The patterns of a comma-separated list. Throws HeadgateError 'data' for what no one could mean. */
export function parsePatternList(list: string, what: string): string[] {
  const patterns = list.split(',')
  for (const pattern of patterns) {
    const name = pattern.replace(/^!/, '')
    if (name === '') throw new HeadgateError('data', `${what} has an empty pattern`)
    if (name.length > MAX_PATTERN_LENGTH)
      throw new HeadgateError('data', `${what} has a pattern with over ${MAX_PATTERN_LENGTH} characters`)
    if (name !== name.trim()) throw new HeadgateError('data', `${what} has a space beside a comma or a quote`)
    if (printable(name, MAX_PATTERN_LENGTH) !== name)
      throw new HeadgateError('data', `${what} has invisible characters`)
  }
  if (patterns.every((pattern) => pattern.startsWith('!')))
    throw new HeadgateError('data', `${what} only excludes`)
  return patterns
}

/** Whether some pattern matches and no excluding pattern does. */
export function matchesPatternList(text: string, patterns: readonly string[]): boolean {
  let matched = false
  for (const pattern of patterns) {
    const excludes = pattern.startsWith('!')
    if (!matchesPattern(text, excludes ? pattern.slice(1) : pattern)) continue
    if (excludes) return false
    matched = true
  }
  return matched
}

/** Whether the pattern is a plain name: it matches one text, itself. */
export function isLiteral(pattern: string): boolean {
  return !pattern.startsWith('!') && !/[*?]/.test(pattern)
}

/** The name that a line without cert-authority gives to the signer with its key. */
export function literalPrincipal(principals: readonly string[]): string | undefined {
  return principals.find((pattern) => isLiteral(pattern) && matchesPatternList(pattern, principals))
}

function matchesPattern(text: string, pattern: string): boolean {
  const subject = Buffer.from(text)
  const wanted = Buffer.from(pattern)
  let at = 0
  let star = -1
  let starAt = 0
  let index = 0
  // Goes back only to the last star, so that time is at most the product of the lengths, never exponential.
  while (at < subject.length) {
    if (wanted[index] === STAR) {
      star = index
      starAt = at
      index += 1
    } else if (index < wanted.length && (wanted[index] === QUESTION_MARK || wanted[index] === subject[at])) {
      index += 1
      at += 1
    } else if (star >= 0) {
      starAt += 1
      at = starAt
      index = star + 1
    } else return false
  }
  while (wanted[index] === STAR) index += 1
  return index === wanted.length
}

const STAR = 0x2a
const QUESTION_MARK = 0x3f
