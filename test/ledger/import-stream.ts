/** New records as input for `git fast-import`: one commit each, on top of one another. */
import { randomBytes } from 'node:crypto'
import type { Oid } from '../../src/core/oid.ts'
import { printable } from '../../src/core/printable.ts'
import { summarizeRecord } from '../../src/core/record-summary.ts'
import type { LedgerState } from '../../src/core/state.ts'
import {
  entryPath,
  POLICY_FILE,
  policyPath,
  SIGNERS_FILE,
  STATE_PATH,
  stateFile,
} from '../../src/ledger/ledger-tree.ts'
import type { LedgerRecord } from '../../src/ledger/record.ts'

/** A record and the ledger's state after it. */
export type NextRecord = { readonly record: LedgerRecord; readonly state: LedgerState }

/** A name that the commits need while they are made. `reset` drops it before fast-import would write it as a ref. */
const SCRATCH_REF = 'refs/headgate/importing'

/**
 * The stream makes fast-import write objects, print the id of the last commit, and move no ref. `tip` is the commit to go
 * on from, null for a new ledger.
 */
export function importStream(tip: Oid | null, next: readonly NextRecord[]): Buffer {
  const parts: Buffer[] = []
  const write = (text: string) => parts.push(Buffer.from(text))
  const data = (bytes: string | Buffer) => {
    const content = Buffer.from(bytes as string)
    write(`data ${content.length}\n`)
    parts.push(content)
    write('\n')
  }
  const file = (path: string, bytes: string | Buffer) => {
    write(`M 100644 inline ${path}\n`)
    data(bytes)
  }
  for (const [index, { record, state }] of next.entries()) {
    const { statement } = record
    write(`commit ${SCRATCH_REF}\nmark :${index + 1}\n`)
    write(`committer headgate <headgate@localhost> ${Math.floor(Date.parse(record.at) / 1000)} +0000\n`)
    data(commitMessage({ record, state }))
    if (index === 0 && tip !== null) write(`from ${tip}\n`)
    file(entryPath(record), record.bytes)
    if (statement.kind === 'policy') {
      const { version, policy, allowedSigners } = statement.predicate
      file(policyPath(version, POLICY_FILE), policy.text)
      file(policyPath(version, SIGNERS_FILE), allowedSigners.text)
      file(POLICY_FILE, policy.text)
      file(SIGNERS_FILE, allowedSigners.text)
    }
    file(STATE_PATH, stateFile({ seq: record.seq, hash: record.hash }, state))
  }
  write(`get-mark :${next.length}\nreset ${SCRATCH_REF}\n\ndone\n`)
  return Buffer.concat(parts)
}

/**
 * For people who read `git log`; nothing parses it. `append` is random: two processes that append the very same record in
 * the same millisecond would otherwise make the same commit, and neither could tell whose append moved the ref.
 */
function commitMessage({ record: { seq, by, hash, statement }, state }: NextRecord): string {
  return [
    summarizeRecord(by, statement, state),
    '',
    `seq: ${seq}`,
    `by: ${printable(by, 1024)}`,
    `record: ${hash}`,
    `append: ${randomBytes(8).toString('hex')}`,
    '',
  ].join('\n')
}
