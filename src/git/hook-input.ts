/**
 * What receive-pack tells a hook: `<old> SP <new> SP <ref> LF` for each update. Ref names arrive as the client sent
 * them, before git has looked at them, so they are data here and nothing else.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'

export type RefUpdate = {
  readonly from: Oid
  readonly to: Oid
  readonly ref: string
  /** In a transaction, since git 2.46: the ref whose name it becomes. `to` is zeros then, as `from` is of what was one. */
  readonly symref?: string
}

/** No name of a ref holds a blank or a control character: git creates none, and refuses the push of one. */
export const REF_NAME = /^[!-~\u0080-\u{10ffff}]+$/u
const SYMBOLIC = /^ref:(?=.)/

/** Two ids and a name that is longer than a file system takes as one of its own. */
const MAX_LINE_BYTES = 2048
/** Far above any push that names refs one by one, and small enough to hold. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024

/**
 * Parses a hook's standard input. A line that is not an update is an error: git writes no others. Symbolic refs are in those
 * of transactions only, `ref:refs/heads/main` in the place of an id.
 */
export function parseUpdates(
  input: Uint8Array,
  { symbolic }: { symbolic: boolean } = { symbolic: false },
): RefUpdate[] {
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
      const [former = '', latter = '', ...rest] = line.split(' ')
      const ref = rest.join(' ')
      const [from, to] = symbolic ? withoutTargets(former, latter) : [former, latter]
      if (
        !isOid(from) ||
        !isOid(to) ||
        from.length !== to.length ||
        !REF_NAME.test(ref) ||
        line.length > MAX_LINE_BYTES
      )
        throw new HeadgateError(
          'data',
          `the list of ref updates has a malformed line: ${printable(decoded(line.slice(0, 200)), 120)}`,
          { hint: "git writes no such line: whatever calls headgate's hooks must pass on what git gave it" },
        )
      const update = { from, to, ref: decoded(ref) }
      return to === latter ? update : { ...update, symref: decoded(latter.replace(SYMBOLIC, '')) }
    })
}

/** Zeros for what is a name of another ref. */
function withoutTargets(...values: [string, string]): [string, string] {
  const zeros = '0'.repeat(values.find((value) => !SYMBOLIC.test(value))?.length ?? 40)
  const [from, to] = values.map((value) => (SYMBOLIC.test(value) ? zeros : value))
  return [from ?? '', to ?? '']
}

function decoded(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8')
}
