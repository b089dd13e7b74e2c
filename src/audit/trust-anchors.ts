/**
 * What an auditor knows from elsewhere, one line each; empty lines and lines with `#` are skipped:
 *
 *     ssh-ed25519 AAAA... headgate-seal        the server's seal key, its seal-key.pub. Later lines are later keys
 *     record 1 <hash>                          a record that the ledger must hold, with its SHA-256
 *     record 120 <hash>
 */
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { parseKeyLine } from '../signing/key-line.ts'
import type { SshKey } from '../signing/ssh-key.ts'
import type { Findings } from './finding.ts'

export type TrustAnchors = {
  /** In the order in which they came into use. */
  readonly sealKeys: readonly SshKey[]
  readonly records: ReadonlyMap<number, string>
}

/** A key a year and a record a day, for decades. */
export const MAX_TRUST_BYTES = 1024 * 1024

/** Throws HeadgateError 'configuration' that names the line. */
export function parseTrustAnchors(text: string): TrustAnchors {
  if (text.length > MAX_TRUST_BYTES)
    throw new HeadgateError('configuration', `the trust file has more than ${MAX_TRUST_BYTES} bytes`)
  const sealKeys: SshKey[] = []
  const records = new Map<number, string>()
  for (const [index, whole] of text.split('\n').entries()) {
    const line = whole.trim()
    if (line === '' || line.startsWith('#')) continue
    const pinned = /^record ([1-9]\d{0,14}) ([0-9a-f]{64})$/.exec(line)
    if (pinned !== null) {
      const [, number, hash = ''] = pinned
      const other = records.get(Number(number))
      if (other !== undefined && other !== hash)
        throw new HeadgateError('configuration', `line ${index + 1}: record ${number} has another hash above`)
      records.set(Number(number), hash)
    } else sealKeys.push(parseSealKey(line, index + 1))
  }
  if (sealKeys.length === 0 && records.size === 0) {
    throw new HeadgateError('configuration', 'the trust file has no line', {
      hint: "it takes the server's seal-key.pub, and lines such as: record 1 HASH",
    })
  }
  return { sealKeys, records }
}

/** Says of each pinned record that it is not in a ledger which ends with record `last`. */
export function missingRecords(pinned: TrustAnchors['records'], last: number, findings: Findings): void {
  for (const [seq, hash] of pinned) {
    findings.add({
      grade: 'violation',
      rule: 'copy',
      record: seq,
      found: `the trust file names record ${seq} (${hash}), and the ledger, which ends with ${last}, does not have it`,
      fix: REWRITTEN,
    })
  }
}

/** What to do about a ledger that is not the one which it was. */
export const REWRITTEN =
  'the ledger was changed after it was written: compare with the copies of others, and ask the server admin'

/** `ssh-ed25519 AAAA... comment`, on this line of a trust file or elsewhere. Throws HeadgateError 'configuration'. */
export function parseSealKey(line: string, number: number | null = null): SshKey {
  const where = number === null ? '' : `line ${number}: `
  try {
    return parseKeyLine(line)
  } catch (cause) {
    if (!(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError(
      'configuration',
      `${where}"${printable(line, 60)}" is no public key and no record: ${cause.message}`,
      { hint: 'a line is an OpenSSH public key, or: record NUMBER HASH', cause },
    )
  }
}
