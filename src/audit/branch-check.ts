import { shortRef } from '../core/explain.ts'
import { isZeroOid, type Oid, shortOid } from '../core/oid.ts'
import { printable, shellWord } from '../core/printable.ts'
import { releaseRef } from '../core/refs.ts'
import type { LedgerState } from '../core/state.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { Findings } from './finding.ts'
import type { Branches } from './verify-ledger.ts'

/** Whether the release branch is where the ledger's last landed move put it. */
export function checkReleaseRef(
  findings: Findings,
  state: LedgerState,
  { policy }: PolicyInForce,
  { release, isFresh }: Branches,
): void {
  const ref = releaseRef(policy)
  const landed = state.landed[ref]
  for (const move of state.open) {
    const isThere = move.ref === ref && (release ?? '') === move.to
    findings.add({
      grade: 'note',
      rule: 'outcome',
      record: move.seq,
      at: move.at,
      commit: move.to,
      found: isThere
        ? 'it has landed, and nobody has recorded that yet'
        : `it has no outcome yet; ${printable(policy.release)} is at ${release === null ? 'nothing' : shortOid(release)}`,
      fix: 'the next push of the branch settles it, or the start of the service',
    })
    if (isThere) return
  }
  const expected = landed === undefined || isZeroOid(landed.to) ? null : landed.to
  if (expected === release) return
  const is = release === null ? 'does not exist' : `is at ${shortOid(release)}`
  const should =
    expected === null
      ? 'no move of it ever landed'
      : `its last landed move (record ${landed?.seq}) put it at ${shortOid(expected)}`
  findings.add({
    grade: isFresh ? 'violation' : 'note',
    rule: 'release-ref',
    record: landed?.seq ?? null,
    at: landed?.at ?? null,
    commit: release ?? expected,
    found: `${printable(policy.release)} ${is}, but ${should}`,
    fix: isFresh
      ? 'it was moved behind the guard: find out who and why; then an operator: headgate drift --reason TEXT --key FILE'
      : 'this clone may be behind: fetch, or verify without --offline',
  })
}

type FormerRelease = {
  readonly ref: string
  readonly tip: Oid | null
  readonly isFresh: boolean
  /** Whether, from the last policy that named it on, policies only evaluated: then the server let anybody move it. */
  readonly onlyEvaluated: boolean
}

/** A release branch of an earlier policy must be where the ledger left it. */
export function checkFormerRelease(
  findings: Findings,
  { landed }: LedgerState,
  { ref, tip, isFresh, onlyEvaluated }: FormerRelease,
): void {
  const last = landed[ref]
  const expected = last === undefined || isZeroOid(last.to) ? null : last.to
  if (expected === tip) return
  const place = (oid: Oid | null) => (oid === null ? 'nowhere' : `at ${shortOid(oid)}`)
  const refused = onlyEvaluated ? 'exception' : 'violation'
  findings.add({
    grade: isFresh ? refused : 'note',
    rule: 'release-ref',
    record: last?.seq ?? null,
    at: last?.at ?? null,
    commit: tip ?? expected,
    found: `${printable(ref, 200)}, the release branch of an earlier policy, is ${place(tip)}, and the ledger left it ${place(expected)}`,
    fix: isFresh
      ? `find out who moved it and why; then an operator: headgate retire ${shellWord(shortRef(ref))} --reason TEXT --key FILE`
      : 'this clone may be behind: fetch, or verify without --offline',
  })
}
