import { createHash } from 'node:crypto'
import type { Oid } from '../core/oid.ts'

/** The id that git gives an object, in a repository whose ids have `oidLength` digits. */
export function objectId(type: 'commit' | 'tree' | 'blob', body: Uint8Array, oidLength: 40 | 64): Oid {
  return createHash(oidLength === 40 ? 'sha1' : 'sha256')
    .update(`${type} ${body.length}\0`)
    .update(body)
    .digest('hex')
}
