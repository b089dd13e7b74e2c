/** A ledger of any size as a server would have written it, with real signatures, as input for `git fast-import`. */
import type { KeyObject } from 'node:crypto'
import { canonicalJson, sha256 } from '../src/core/canonical-json.ts'
import type { Envelope } from '../src/core/envelope.ts'
import { parsePolicy } from '../src/core/policy/policy-yaml.ts'
import { advanceState, emptyState, type LedgerState } from '../src/core/state.ts'
import { PAYLOAD_TYPE, statementPayload } from '../src/core/statement.ts'
import { commitMessage } from '../src/ledger/commit-stream.ts'
import { entryPath, stateFile } from '../src/ledger/ledger-tree.ts'
import { parseRecord, sealRecord } from '../src/ledger/record.ts'
import { preAuthEncoding } from '../src/signing/dsse.ts'
import { ed25519PublicKeyLine } from '../src/signing/key-line.ts'
import { createSshsig } from '../src/signing/sshsig.ts'

type Write = (text: string | Buffer) => Promise<void>
type Keys = { readonly ci: KeyObject; readonly alice: KeyObject; readonly seal: KeyObject }

const NAME = 'git.example.com/app'
const REF = 'refs/heads/release'
const GATES = ['health', 'chat', 'db-health', 'whoami']
const POLICY = `version: 1
repository: ${NAME}
staging: main
release: release
promotion: { operators: [alice] }
rollback: { approvers: [alice], target: landed }
environments:
  staging:
    url: http://127.0.0.1:9
    servedCommit: { get: /health, json: commit }
    gates:
${GATES.map((name) => `      - { name: ${name}, get: /${name}, expect: { status: 200 } }\n`).join('')}`
const POLICY_TEXT_DIGEST = sha256(POLICY)
/** After the commits, which begin in November 2023, as records are: git walks by dates. And none of the future. */
const START = Date.parse('2024-01-01T00:00:00.000Z')

/** Commits at the end of the branch that are proved and not promoted. */
const WAITING = 997

export function makeLedger(options: {
  readonly records: number
  readonly moves: number
  readonly commits: readonly string[]
  readonly keys: Keys
  readonly more: number
}) {
  const { records, moves, commits, keys } = options
  const signers = [
    `ci namespaces="headgate-evidence" ${ed25519PublicKeyLine(keys.ci, '')}`,
    `alice namespaces="headgate-approval,git" ${ed25519PublicKeyLine(keys.alice, '')}`,
  ].join('\n')
  const { configurationDigest } = parsePolicy(POLICY).environments.staging
  const sealed = (payload: Buffer | string, key: KeyObject, namespace: string): Envelope => {
    const bytes = Buffer.from(payload as string)
    const message = preAuthEncoding(PAYLOAD_TYPE, bytes)
    const sig = createSshsig({ privateKey: key, namespace, message }).toString('base64')
    return { payloadType: PAYLOAD_TYPE, payload: bytes.toString('base64'), signatures: [{ sig }] }
  }

  let state: LedgerState = emptyState
  let head = { seq: 0, hash: '0'.repeat(64) }
  let minutes = 0
  let release: string | null = null
  let write: Write
  const ledgerRef = 'refs/headgate/ledger'
  const now = () => new Date(START + minutes * 60_000).toISOString()

  const append = async (by: string, envelope: Envelope): Promise<void> => {
    const fields = { seq: head.seq + 1, previous: head.hash, at: now(), by, envelope }
    const seal = (bytes: Uint8Array) =>
      createSshsig({ privateKey: keys.seal, namespace: 'headgate-ledger', message: bytes }).toString('base64')
    const record = parseRecord(sealRecord(fields, seal).bytes)
    state = advanceState(state, record)
    head = { seq: record.seq, hash: record.hash }
    const files: [string, string | Buffer][] = [
      [entryPath(record), record.bytes],
      ['state.json', stateFile(head, state)],
    ]
    if (record.statement.kind === 'policy') {
      for (const folder of ['policies/1/', ''])
        files.push([`${folder}policy.yaml`, POLICY], [`${folder}allowed_signers`, `${signers}\n`])
    }
    const seconds = Math.floor(Date.parse(fields.at) / 1000)
    const message = commitMessage({ record, state }, String(head.seq).padStart(16, '0'))
    const parts = [
      `commit ${ledgerRef}\ncommitter headgate <headgate@localhost> ${seconds} +0000\n`,
      `data ${Buffer.byteLength(message)}\n${message}\n`,
    ]
    if (head.seq > 1 && isFirst) parts.push(`from ${ledgerRef}^0\n`)
    isFirst = false
    for (const [path, content] of files)
      parts.push(`M 100644 inline ${path}\ndata ${Buffer.byteLength(content)}\n${content}\n`)
    await write(parts.join(''))
  }
  let isFirst = true
  const serverStates = (payload: string) => sealed(payload, keys.seal, 'headgate-ledger')

  const prove = async (commit: string): Promise<string> => {
    const payload = statementPayload('evidence', NAME, commit, {
      result: 'PASSED',
      configuration: [
        { name: '.headgate/policy.yaml#environments.staging', digest: { sha256: configurationDigest } },
      ],
      passedTests: GATES,
      url: `https://ci.example.com/runs/${head.seq}`,
      headgate: {
        environment: 'staging',
        startedAt: now(),
        finishedAt: now(),
        servedCommit: { before: commit, after: commit },
        gates: GATES.map((name) => ({ name, outcome: 'passed', status: 200, durationMs: 12 })),
      },
    })
    const envelope = sealed(payload, keys.ci, 'headgate-evidence')
    await append('ci', envelope)
    return sha256(canonicalJson(envelope))
  }

  const promote = async (to: string, staging: string, input: string): Promise<void> => {
    const from = release ?? '0'.repeat(40)
    const payload = statementPayload('authorization', NAME, to, {
      verifier: { id: 'urn:headgate:server:v1' },
      timeVerified: now(),
      resourceUri: `git+https://${NAME}`,
      policy: { uri: '.headgate/policy.yaml', digest: { sha256: POLICY_TEXT_DIGEST } },
      inputAttestations: [{ digest: { sha256: input } }],
      verificationResult: 'PASSED',
      verifiedLevels: ['ORG_SOURCE_STAGING_PROVED'],
      'urn:headgate:move': {
        kind: 'promotion',
        ref: REF,
        from,
        to,
        pusher: 'alice',
        enforcement: 'enforce',
        facts: {
          policyVersion: 1,
          staging,
          onStaging: true,
          fastForward: true,
          identitySource: 'env:USER',
          signedBy: null,
          approvedBy: [],
        },
        objections: [],
        pushOptions: [],
        pushCertificate: null,
      },
    })
    await append('alice', serverStates(payload))
    const authorization = head.seq
    const predicate = { authorization, result: 'landed' as const, observed: to }
    await append('server', serverStates(statementPayload('outcome', NAME, to, predicate)))
    release = to
  }

  const runs = Math.max(1, Math.floor((records - 1) / moves) - 2)
  const step = Math.floor(commits.length / (moves + options.more))
  let moved = 0
  const move = async (): Promise<void> => {
    moved += 1
    const at = moved * step - 1
    const to = commits[at] ?? ''
    let input = ''
    for (let run = 0; run < runs; run++) {
      minutes += 1
      input = await prove(to)
    }
    minutes += 1
    await promote(to, commits[Math.min(at + 3, commits.length - 1)] ?? to, input)
  }

  return {
    write: async (to: Write) => {
      write = to
      const text = (content: string) => ({ text: content, digest: { sha256: sha256(content) } })
      const payload = statementPayload('policy', NAME, commits[0] ?? '', {
        version: 1,
        policy: text(POLICY),
        allowedSigners: text(`${signers}\n`),
        sealKey: ed25519PublicKeyLine(keys.seal, 'headgate-seal'),
      })
      await append('admin root', serverStates(payload))
      while (moved < moves) await move()
      while (head.seq < records) await prove(commits.at(-1 - (head.seq % WAITING)) ?? '')
    },
    get release() {
      return release ?? ''
    },
    get head() {
      return head
    },
    more: () => ({
      write: async (to: Write) => {
        write = to
        isFirst = true
        const end = head.seq + options.more
        while (head.seq + runs + 2 <= end) await move()
        while (head.seq < end) await prove(commits.at(-1 - (head.seq % WAITING)) ?? '')
      },
      get release() {
        return release ?? ''
      },
    }),
  }
}
