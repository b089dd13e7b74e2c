import type { Oid } from '../core/oid.ts'

export type GitObjectType = 'commit' | 'tree' | 'blob' | 'tag'
export type ObjectInfo = { readonly oid: Oid; readonly type: GitObjectType; readonly size: number }
export type GitObject = ObjectInfo & { readonly body: Buffer }
