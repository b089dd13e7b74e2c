/** The statements that the server itself makes, signed with its seal key. */

import { sha256 } from '../core/canonical-json.ts'
import type { ReleaseMove } from '../core/facts.ts'
import type { Oid } from '../core/oid.ts'
import { policyJson } from '../core/policy/policy-json.ts'
import type { FormerBranch, Move } from '../core/state.ts'
import { statementPayload } from '../core/statement.ts'
import { levelsOf, type MoveVerdict, type Objection } from '../core/verdict.ts'
import type { NewRecord, PolicyFiles } from '../ledger/ledger.ts'
import type { TermsInForce } from './policy-in-force.ts'
import type { SealKey } from './seal-key.ts'

const VERIFIER = 'urn:headgate:server:v1'

export type StatementContext = {
  readonly sealKey: SealKey
  readonly inForce: TermsInForce
  readonly at: string
  readonly by: string
}

/**
 * The permission to move, recorded before git moves anything: a SLSA verification summary of the commit moved to.
 * `referenceTransaction`: whether our hook of that name was there to hold the branch to it; null on a host without hooks.
 */
export function authorizationRecord(
  context: StatementContext,
  facts: ReleaseMove,
  verdict: MoveVerdict,
  referenceTransaction: boolean | null,
): NewRecord {
  const { inForce, at, by } = context
  const passed = verdict.verdict === 'allowed'
  return record(
    context,
    statementPayload('authorization', inForce.policy.repository, facts.to, {
      verifier: { id: VERIFIER },
      timeVerified: at,
      resourceUri: `git+https://${inForce.policy.repository}`,
      policy: { uri: '.headgate/policy.yaml', digest: { sha256: sha256(inForce.files.policy) } },
      inputAttestations: verdict.inputs.map((digest) => ({ digest: { sha256: digest } })),
      verificationResult: passed ? 'PASSED' : 'FAILED',
      verifiedLevels: levelsOf(verdict),
      'urn:headgate:move': {
        kind: verdict.kind,
        ref: facts.ref,
        from: facts.from,
        to: facts.to,
        pusher: by,
        enforcement: inForce.policy.enforcement,
        facts: {
          ...(inForce.policy.guard === undefined ? {} : { guard: inForce.policy.guard }),
          policyVersion: inForce.version,
          allowedSigners: sha256(inForce.files.allowedSigners),
          staging: facts.staging,
          onStaging: facts.onStaging,
          fastForward: facts.fastForward,
          identitySource: facts.pusher.identified ? facts.pusher.source : null,
          signedBy: facts.certificate.offered && facts.certificate.good ? facts.certificate.principal : null,
          pusherKeys: [...(facts.pusherKeys ?? [])],
          approvedBy: [...verdict.approvedBy],
          ...(referenceTransaction === null ? {} : { referenceTransaction }),
          broughtBack: facts.broughtBack.map(({ commit, how }) => ({ commit, how })),
        },
        objections: [
          ...verdict.objections.map((objection) => summary(objection, false)),
          ...verdict.waived.map((objection) => summary(objection, true)),
        ],
        pushOptions: [...facts.pushOptions],
        pushCertificate: facts.certificate.offered && facts.certificate.good ? facts.certificate.text : null,
      },
    }),
  )
}

function summary(
  { rule, found }: Objection,
  waived: boolean,
): { rule: string; found: string; waived: boolean } {
  return { rule, found: found.join(' ').slice(0, 1000), waived }
}

/** What became of an authorization, as seen on the ref itself. */
export function outcomeRecord(
  context: StatementContext,
  move: Move,
  result: 'landed' | 'not-landed',
  observed: Oid,
): NewRecord {
  return record(
    context,
    statementPayload('outcome', context.inForce.policy.repository, move.to, {
      authorization: move.seq,
      result,
      observed,
    }),
  )
}

/** The policy that is in force from this record on. */
export function policyRecord(
  context: StatementContext,
  files: PolicyFiles,
  stagingTip: Oid,
  former: readonly FormerBranch[],
): NewRecord {
  const { policy } = context.inForce
  const payload = statementPayload('policy', policy.repository, stagingTip, {
    version: files.version,
    policy: { text: files.policy, digest: { sha256: sha256(files.policy) } },
    allowedSigners: { text: files.allowedSigners, digest: { sha256: sha256(files.allowedSigners) } },
    sealKey: context.sealKey.publicKeyLine,
    former: [...former],
  })
  return { ...record(context, payload), policyJson: policyJson(policy) }
}

function record({ sealKey, at, by }: StatementContext, payload: string): NewRecord {
  return { at, by, envelope: sealKey.sign(payload) }
}
