/** Records to append in tests. Envelopes carry real statements; their signatures are nobody's, since the ledger asks none. */
import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import { sha256 } from '../../src/core/canonical-json.ts'
import { PAYLOAD_TYPE, statementPayload } from '../../src/core/statement.ts'
import type { NewRecord } from '../../src/ledger/ledger.ts'
import { type LedgerRecord, sealedBytes } from '../../src/ledger/record.ts'

const REPOSITORY = 'git.example.com/app'
const START = Date.parse('2026-01-31T12:00:00.000Z')
export const ZEROS = '0'.repeat(40)

const key = generateKeyPairSync('ed25519')

export function seal(bytes: Uint8Array): string {
  return sign(null, bytes, key.privateKey).toString('base64')
}

export function isSealed(record: LedgerRecord): boolean {
  return verify(null, sealedBytes(record), key.publicKey, Buffer.from(record.seal, 'base64'))
}

/** A commit id for a word. */
export function oidOf(word: string, hash: 'sha1' | 'sha256' = 'sha1'): string {
  return createHash(hash).update(word).digest('hex')
}

export function time(minutes: number): string {
  return new Date(START + minutes * 60_000).toISOString()
}

function newRecord(payload: string, by = 'alice', minutes = 0): NewRecord {
  const envelope = {
    payloadType: PAYLOAD_TYPE,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: 'SHA256:nobody', sig: 'c2ln' }],
  }
  return { at: time(minutes), by, envelope }
}

export function invalidation(
  commit: string,
  reason = 'wrong base URL',
  by = 'alice',
  minutes = 0,
): NewRecord {
  return newRecord(
    statementPayload('invalidation', REPOSITORY, commit, { reason, issuedAt: time(minutes) }),
    by,
    minutes,
  )
}

export function evidence(
  commit: string,
  minutes = 0,
  gates: readonly string[] = ['health', 'chat'],
): NewRecord {
  const payload = statementPayload('evidence', REPOSITORY, commit, {
    result: 'PASSED',
    configuration: [
      { name: '.headgate/policy.yaml#environments.staging', digest: { sha256: sha256('gates') } },
    ],
    passedTests: [...gates],
    headgate: {
      environment: 'staging',
      startedAt: time(minutes),
      finishedAt: time(minutes),
      servedCommit: { before: commit, after: commit },
      gates: gates.map((name) => ({ name, outcome: 'passed', status: 200, durationMs: 12 })),
    },
  })
  return newRecord(payload, 'ci@example.com', minutes)
}

export function policy(version: number, text: string, allowedSigners: string, digestOf = text): NewRecord {
  const payload = statementPayload('policy', REPOSITORY, ZEROS, {
    version,
    policy: { text, digest: { sha256: sha256(digestOf) } },
    allowedSigners: { text: allowedSigners, digest: { sha256: sha256(allowedSigners) } },
    sealKey: 'ssh-ed25519 AAAA',
  })
  return newRecord(payload, 'admin', version)
}

export function authorization(from: string, to: string, fastForward = true, minutes = 0): NewRecord {
  const payload = statementPayload('authorization', REPOSITORY, to, {
    verifier: { id: 'urn:headgate:server:v1' },
    timeVerified: time(minutes),
    resourceUri: `git+https://${REPOSITORY}`,
    policy: { digest: { sha256: sha256('policy') } },
    inputAttestations: [],
    verificationResult: 'PASSED',
    verifiedLevels: [],
    'urn:headgate:move': {
      kind: fastForward ? 'promotion' : 'rollback',
      ref: 'refs/heads/release',
      from,
      to,
      pusher: 'alice',
      enforcement: 'enforce',
      facts: { fastForward },
      objections: [],
      pushOptions: [],
    },
  })
  return newRecord(payload, 'alice', minutes)
}

export function outcome(commit: string, authorizationSeq: number, minutes = 0): NewRecord {
  const predicate = { authorization: authorizationSeq, result: 'landed' as const, observed: commit }
  return newRecord(statementPayload('outcome', REPOSITORY, commit, predicate), 'alice', minutes)
}

export function freeze(commit: string, minutes = 0): NewRecord {
  const predicate = { until: time(minutes + 60), reason: 'launch day', issuedAt: time(minutes) }
  return newRecord(statementPayload('freeze', REPOSITORY, commit, predicate), 'bob', minutes)
}

/** A record whose envelope holds whatever is said. */
export function rawRecord(payload: string): NewRecord {
  return newRecord(payload)
}
