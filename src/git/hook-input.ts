/**
 * What receive-pack tells a hook: `<old> SP <new> SP <ref> LF` for each update. Ref names arrive as the client sent
 * them, before git has looked at them, so they are data here and nothing else.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'

export type RefUpdate = { readonly from: Oid; readonly to: Oid; readonly ref: string }

/** Far above any push that names refs one by one, and small enough to hold. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024

/** Parses a hook's standard input. A line that is not an update is an error: git writes no others. */
export function parseUpdates(input: Uint8Array): RefUpdate[] {
  if (input.length > MAX_INPUT_BYTES) throw new HeadgateError('data', 'the push names too many refs to judge')
  // latin1 keeps every byte: ref names are bytes to git, and two different names must not become one.
  const text = Buffer.from(input).toString('latin1')
  if (text === '') return []
  if (!text.endsWith('\n'))
    throw new HeadgateError('data', 'the list of ref updates ends in the middle of a line')
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const [from = '', to = '', ...rest] = line.split(' ')
      const ref = rest.join(' ')
      if (!isOid(from) || !isOid(to) || from.length !== to.length || ref === '') {
        throw new HeadgateError('data', 'the list of ref updates has a malformed line')
      }
      return { from, to, ref: Buffer.from(ref, 'latin1').toString('utf8') }
    })
}
