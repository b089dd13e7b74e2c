/**
 * Whether `after` is `before` with something appended: every byte of `before` stays, and what is new begins on a line
 * of its own, so that the last entry cannot be changed by lengthening it.
 */
export function isAppend(before: Uint8Array, after: Uint8Array): boolean {
  if (after.length < before.length) return false
  if (Buffer.compare(before, after.subarray(0, before.length)) !== 0) return false
  if (after.length === before.length || before.length === 0) return true
  return before.at(-1) === NEWLINE || after[before.length] === NEWLINE
}

const NEWLINE = 0x0a
