/**
 * Thousands of objects through one `git cat-file --batch --buffer`, which writes whole pages and not single objects: an
 * answer each would cost a system call here, one there and a change between both.
 */
import type { GitObject, GitObjectType } from './git-object.ts'

/** Two numbers, a type and an id. */
const MAX_HEADER_BYTES = 200

/**
 * The objects in what `git cat-file --batch --buffer` prints, in the order in which they were asked for. It ends at the
 * first answer that is no object of up to `maxBytes`: a caller that asked for more asks the object reader, which says why.
 */
export async function* objectsOf(
  output: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<GitObject, void, undefined> {
  let rest: Buffer = EMPTY
  for await (const chunk of output) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      const end = rest.indexOf(0x0a)
      if (end === -1 && rest.length <= MAX_HEADER_BYTES) break
      const found = HEADER.exec(rest.toString('latin1', 0, Math.min(end, MAX_HEADER_BYTES)))
      const size = Number(found?.[3])
      if (found === null || size > maxBytes) return
      const next = end + 1 + size + 1
      if (rest.length < next) break
      if (rest[next - 1] !== 0x0a) return
      yield { oid: found[1]!, type: found[2] as GitObjectType, size, body: rest.subarray(end + 1, next - 1) }
      rest = rest.subarray(next)
    }
  }
}

const HEADER = /^([0-9a-f]{40}|[0-9a-f]{64}) (commit|tree|blob|tag) (\d{1,15})$/
const EMPTY = Buffer.alloc(0)
