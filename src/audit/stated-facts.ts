/** What an authorization says about its circumstances, held against the record that it stands in and the policy in force. */

import { canonicalJson, sha256 } from '../core/canonical-json.ts'
import { printable } from '../core/printable.ts'
import { releaseRef } from '../core/refs.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import type { LedgerRecord } from '../ledger/ledger.ts'

/** Whether a move was judged by what it brings back. Older records do not state that: there was no such rule. */
export function statesBars({ statement }: LedgerRecord, { statesKeys }: PolicyInForce): boolean {
  if (statement.kind !== 'authorization') return false
  return statesKeys === true || Object.hasOwn(statement.predicate['urn:headgate:move'].facts, 'broughtBack')
}

/** What differs, in words; null where it is as it must be. */
export function differenceOf(what: string, said: unknown, is: unknown): string | null {
  if (canonicalJson(said ?? null) === canonicalJson(is ?? null)) return null
  return `it says ${what} ${show(said)}, and it was ${show(is)}`
}

/** What is the same for every authorization: who decided what, when, by which policy. */
export function wrongCircumstances(
  record: LedgerRecord,
  { policy, version, files, statesKeys }: PolicyInForce,
): string[] {
  if (record.statement.kind !== 'authorization') return []
  const { commit, repository, predicate } = record.statement
  const move = predicate['urn:headgate:move']
  return [
    differenceOf('about the repository', repository, policy.repository),
    differenceOf('about the commit', commit, move.to),
    differenceOf('the ref', move.ref, releaseRef(policy)),
    differenceOf('verified by', predicate.verifier.id, 'urn:headgate:server:v1'),
    differenceOf('verified at', Date.parse(predicate.timeVerified), Date.parse(record.at)),
    differenceOf('the resource', predicate.resourceUri, `git+https://${policy.repository}`),
    differenceOf('guarded by', move.facts.guard, policy.guard),
    differenceOf('the policy version', move.facts.policyVersion, version),
    differenceOf('the policy file is', predicate.policy.uri, '.headgate/policy.yaml'),
    differenceOf('the policy has the digest', predicate.policy.digest.sha256, sha256(files.policy)),
    // Older records do not say which keys were trusted.
    statesKeys === true || Object.hasOwn(move.facts, 'allowedSigners')
      ? differenceOf(
          'allowed_signers has the digest',
          move.facts.allowedSigners,
          sha256(files.allowedSigners),
        )
      : null,
    differenceOf('the pusher', move.pusher, record.by),
    differenceOf('enforcement', move.enforcement, policy.enforcement),
    ...FACTS.map((name) => (Object.hasOwn(move.facts, name) ? null : `it does not say ${name}`)),
    move.pushCertificate === undefined ? 'it does not say whether there was a push certificate' : null,
  ].filter((difference) => difference !== null)
}

/** What the server always says, also where it is null: a fact that was taken out afterwards is none. */
const FACTS = [
  'policyVersion',
  'staging',
  'onStaging',
  'fastForward',
  'identitySource',
  'signedBy',
  'approvedBy',
]

/** No rules decided a baseline: it rests on nothing, and the ledger does not say where it came from. */
export function wrongBaseline(record: LedgerRecord, inForce: PolicyInForce): string[] {
  if (record.statement.kind !== 'authorization') return []
  const { predicate } = record.statement
  const { facts, ...move } = predicate['urn:headgate:move']
  return [
    ...wrongCircumstances(record, inForce),
    differenceOf('the result', predicate.verificationResult, 'PASSED'),
    differenceOf('the levels', predicate.verifiedLevels, []),
    differenceOf('that it rests on', predicate.inputAttestations, []),
    differenceOf('the objections', move.objections, []),
    differenceOf('the push options', move.pushOptions, []),
    differenceOf('the push certificate', move.pushCertificate, null),
    differenceOf('the staging branch', facts.staging, null),
    differenceOf('on staging:', facts.onStaging, false),
    differenceOf('fast-forward:', facts.fastForward, true),
    differenceOf('the identity source', facts.identitySource, null),
    differenceOf('signed by', facts.signedBy, null),
    differenceOf('approved by', facts.approvedBy, []),
    differenceOf('that it brings back', facts.broughtBack ?? [], []),
    differenceOf('keys of the pusher', facts.pusherKeys ?? [], []),
  ].filter((difference) => difference !== null)
}

export function show(value: unknown): string {
  if (typeof value === 'number' && value > 1e12) return new Date(value).toISOString()
  return typeof value === 'string' ? printable(value, 100) : printable(JSON.stringify(value ?? null), 100)
}
