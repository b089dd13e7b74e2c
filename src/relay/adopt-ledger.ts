/**
 * A ledger that somebody else keeps, on a host whose administrators can write anything, is believed as far as it can be
 * made again: every record by its link and its seal, and every file by making all of them from the records.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid, shortOid } from '../core/oid.ts'
import { policyJson } from '../core/policy/policy-json.ts'
import { parsePolicy } from '../core/policy/policy-yaml.ts'
import { LEDGER_REF } from '../core/refs.ts'
import { advanceState } from '../core/state.ts'
import type { GitRepository } from '../git/repository.ts'
import { checkSeal, parseSeal } from '../guard/seal-check.ts'
import type { SealKey } from '../guard/seal-key.ts'
import { commitStream, type NextRecord } from '../ledger/commit-stream.ts'
import { GitLedger } from '../ledger/git-ledger.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'
import { parseKeyLine } from '../signing/key-line.ts'
import { FETCHED_LEDGER } from './cache.ts'

const BATCH = 500

/**
 * Takes over what the host's ledger has beyond what was found whole before; `tip` is fetched already. Throws HeadgateError
 * 'data' where the ledger was rewritten, or says what its records do not.
 */
export async function adoptLedger(repository: GitRepository, tip: Oid, sealKey: SealKey): Promise<void> {
  const known = (await repository.refs([LEDGER_REF])).get(LEDGER_REF)?.oid ?? null
  if (known === tip) return
  if (known !== null && !(await repository.isAncestor(known, tip))) {
    throw new HeadgateError(
      'data',
      `the ledger was rewritten on the host: it was at ${shortOid(known)}, which ${shortOid(tip)} does not contain`,
      {
        hint: `put it back, from here or from any clone: git push --force URL ${known}:LEDGER; then find out who moved it`,
      },
    )
  }
  const before = await new GitLedger(repository, undefined, { ref: LEDGER_REF }).snapshot()
  const after = await new GitLedger(repository, undefined, { ref: FETCHED_LEDGER }).snapshot()
  const own = parseKeyLine(sealKey.publicKeyLine).blob
  let [state, { hash }, made] = [before.state, before.head, known]
  let next: NextRecord[] = []
  const make = async () => {
    if (next.length === 0) return
    made = (await repository.importObjects(commitStream(made, next))).trim()
    next = []
  }
  for await (const record of after.read(before.head.seq + 1)) {
    requireSealed(record, hash, own)
    state = advanceState(state, record)
    hash = record.hash
    next.push({ record, state, policyJson: policyJsonOf(record) })
    if (next.length === BATCH) await make()
  }
  await make()
  if (made === null || !isOid(made) || (await treeOf(repository, made)) !== (await treeOf(repository, tip))) {
    throw new HeadgateError('data', "the ledger's files on the host are not what its records say", {
      hint: 'headgate verify, in a clone, says what is wrong; nothing is moved until it is put right',
    })
  }
  await repository.moveRef(LEDGER_REF, known, tip)
}

function requireSealed(record: LedgerRecord, previous: string, own: Buffer): void {
  const { key, problem } = checkSeal(parseSeal(record))
  const why =
    record.previous !== previous
      ? 'it is not linked to the record before'
      : (problem ??
        (key?.blob.equals(own) === true ? null : 'another key than the one of this relay sealed it'))
  if (why === null) return
  throw new HeadgateError('data', `record ${record.seq} of the ledger on the host does not hold: ${why}`, {
    hint: 'headgate verify, in a clone, says more; a ledger that hooks kept before stays theirs: begin a new one',
  })
}

function policyJsonOf({ statement }: LedgerRecord): string | undefined {
  return statement.kind === 'policy' ? policyJson(parsePolicy(statement.predicate.policy.text)) : undefined
}

async function treeOf(repository: GitRepository, commit: Oid): Promise<Oid> {
  return (await repository.run(['rev-parse', '--verify', `${commit}^{tree}`])).stdout
    .toString('latin1')
    .trim()
}
