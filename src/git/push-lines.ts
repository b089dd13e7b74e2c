/** What git tells a pre-push hook: `<local ref> SP <local oid> SP <remote ref> SP <remote oid> LF` for each ref. */
import { HeadgateError } from '../core/errors.ts'
import { isOid, zeroOidLike } from '../core/oid.ts'
import { REF_NAME, type RefUpdate } from './hook-input.ts'

export type PushLine = Omit<RefUpdate, 'from'> & {
  /** Where the remote says the ref is; null where the hook runner does not tell (pre-commit). */
  readonly from: string | null
}

/** Far above any push that names refs one by one. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024

/** Parses a pre-push hook's standard input. A line that is not a ref is an error: git writes no others. */
export function parsePushLines(input: Uint8Array): PushLine[] {
  if (input.length > MAX_INPUT_BYTES) throw new HeadgateError('data', 'the push names too many refs to judge')
  const lines = Buffer.from(input).toString('utf8').split('\n')
  // A wrapper of the hook may have trimmed the end of the last line.
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => {
    // What is pushed can be named by any expression, with spaces in it; the other three have none.
    const [, to = '', ref = '', from = ''] = /^.+ (\S+) (\S+) (\S+)$/.exec(line) ?? []
    if (
      !isOid(to) ||
      !REF_NAME.test(ref) ||
      (from !== 'unknown' && (!isOid(from) || from.length !== to.length))
    )
      throw new HeadgateError('data', 'the list of refs has a malformed line')
    return { to, ref, from: from === 'unknown' ? null : from }
  })
}

/** The update of a line, seen from where its ref is now. */
export function updateOf(line: PushLine, current: string | undefined): RefUpdate {
  const { ref, to } = line
  return { ref, to, from: line.from ?? current ?? zeroOidLike(to) }
}
