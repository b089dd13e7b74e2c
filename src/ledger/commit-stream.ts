/** New records as commits on top of one another: the stream from which `git fast-import` makes their objects. */
import { randomBytes } from 'node:crypto'
import type { Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { summarizeRecord } from '../core/record-summary.ts'
import type { LedgerState } from '../core/state.ts'
import {
  entryPath,
  POLICY_FILE,
  POLICY_JSON_FILE,
  policyPath,
  SIGNERS_FILE,
  STATE_PATH,
  stateFile,
} from './ledger-tree.ts'
import type { LedgerRecord } from './record.ts'

/** A record and the ledger's state after it; of a policy also what it says. */
export type NextRecord = {
  readonly record: LedgerRecord
  readonly state: LedgerState
  readonly policyJson?: string | undefined
}

/** A name inside of git's process. It is cleared in the end, so that no ref of this name is ever written. */
const BRANCH = 'refs/headgate/append'

/** Commits on `tip`, null for a new ledger. What git prints is the id of the last. */
export function commitStream(tip: Oid | null, next: readonly NextRecord[]): Buffer {
  const parts: (string | Buffer)[] = []
  const data = (bytes: string | Buffer) => {
    parts.push(`data ${Buffer.byteLength(bytes)}\n`, bytes, '\n')
  }
  const file = (path: string, bytes: string | Buffer) => {
    parts.push(`M 100644 inline ${path}\n`)
    data(bytes)
  }
  for (const [index, { record, state, policyJson }] of next.entries()) {
    const { statement } = record
    const seconds = Math.floor(Date.parse(record.at) / 1000)
    parts.push(`commit ${BRANCH}\nmark :1\ncommitter headgate <headgate@localhost> ${seconds} +0000\n`)
    data(commitMessage({ record, state }, randomBytes(8).toString('hex')))
    if (index === 0 && tip !== null) parts.push(`from ${tip}\n`)
    file(entryPath(record), Buffer.from(record.bytes))
    if (statement.kind === 'policy') {
      const { version, policy, allowedSigners } = statement.predicate
      file(policyPath(version, POLICY_FILE), policy.text)
      file(policyPath(version, SIGNERS_FILE), allowedSigners.text)
      if (policyJson !== undefined) file(policyPath(version, POLICY_JSON_FILE), policyJson)
      file(POLICY_FILE, policy.text)
      file(SIGNERS_FILE, allowedSigners.text)
    }
    file(STATE_PATH, stateFile({ seq: record.seq, hash: record.hash }, state))
  }
  parts.push(`get-mark :1\nreset ${BRANCH}\ndone\n`)
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
}

/**
 * For people who read `git log`; nothing but an audit parses it. `append` is random, 16 hex digits: two processes that append the very same record in
 * the same millisecond would otherwise make the same commit, and neither could tell whose append moved the ref.
 */
export function commitMessage(
  { record: { seq, by, hash, statement }, state }: NextRecord,
  append: string,
): string {
  return [
    summarizeRecord(by, statement, state),
    '',
    `seq: ${seq}`,
    `by: ${printable(by, 1024)}`,
    `record: ${hash}`,
    `append: ${append}`,
    '',
  ].join('\n')
}
