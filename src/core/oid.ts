/** A full git object id: 40 (SHA-1) or 64 (SHA-256 repository) lowercase hex digits. */
export type Oid = string

const OID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
const ZEROS = /^(?:0{40}|0{64})$/

export function isOid(text: string): boolean {
  return OID.test(text)
}

/** The id that git writes where there is no object: a creation's old value, a deletion's new one. */
export function isZeroOid(oid: Oid): boolean {
  return ZEROS.test(oid)
}

export function zeroOidLike(oid: Oid): Oid {
  return '0'.repeat(oid.length)
}

/** The first seven digits, for people. Never used to look anything up. */
export function shortOid(oid: Oid): string {
  return oid.slice(0, 7)
}
