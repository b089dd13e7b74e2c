/**
 * Ledgers as a forger would make them: the records of an honest one, changed in any way, in commits of the forger's own
 * making. Whoever forges may have the server's seal key.
 */

import { execFileSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type VerifyInput, verifyLedger } from '../../src/audit/verify-ledger.ts'
import { canonicalJson, sha256 } from '../../src/core/canonical-json.ts'
import type { Envelope } from '../../src/core/envelope.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { LEDGER_REF } from '../../src/core/refs.ts'
import { advanceState, emptyState, type LedgerState } from '../../src/core/state.ts'
import { PAYLOAD_TYPE } from '../../src/core/statement.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { commitMessage } from '../../src/ledger/commit-stream.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import { entryPath, stateFile } from '../../src/ledger/ledger-tree.ts'
import { type LedgerRecord, parseRecord } from '../../src/ledger/record.ts'
import { preAuthEncoding } from '../../src/signing/dsse.ts'
import { ed25519PublicKeyLine } from '../../src/signing/key-line.ts'
import { createSshsig } from '../../src/signing/sshsig.ts'
import type { TestRepository } from '../make-repository.ts'
import { openRepository } from '../open-repository.ts'

/** A record's fields as plain data that can be changed. */
export type Draft = {
  seq: number
  previous: string
  at: string
  by: string
  envelope: { payloadType: string; payload: string; signatures: { keyid?: string; sig: string }[] }
  seal: string
}

/** One commit of a forged ledger: files that it writes, and those that it takes away. */
export type ForgedCommit = {
  files: Map<string, string | Buffer>
  removed: string[]
  seconds: number
  message: string
}

export class Forger {
  readonly repository: TestRepository
  readonly serverKey: KeyObject
  readonly ownKey = generateKeyPairSync('ed25519').privateKey
  readonly honest: readonly LedgerRecord[]
  /** What git said of two commits, which stays true: audits of many forgeries ask the same, by a process each time. */
  readonly #contained = new Map<string, Promise<boolean>>()

  private constructor(repository: TestRepository, honest: readonly LedgerRecord[]) {
    this.repository = repository
    this.serverKey = createPrivateKey(readFileSync(join(repository.bare, 'headgate', 'seal-key.pem')))
    this.honest = honest
  }

  static async of(repository: TestRepository): Promise<Forger> {
    const opened = await openRepository(repository.bare)
    const records: LedgerRecord[] = []
    for await (const record of new GitLedger(opened).read(1)) records.push(record)
    opened.close()
    return new Forger(repository, records)
  }

  /** When an auditor looks, in milliseconds: just after the last honest record, however long the tests before took. */
  get auditedAt(): number {
    return Date.parse(this.honest.at(-1)!.at) + 1000
  }

  drafts(): Draft[] {
    return this.honest.map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Draft)
  }

  /** Numbers, links and seals the drafts anew. */
  rechain(drafts: Draft[], key: KeyObject = this.serverKey): Draft[] {
    let previous = '0'.repeat(64)
    return drafts.map((draft, index) => {
      const { seal: _, ...fields } = { ...draft, seq: index + 1, previous }
      const seal = sealOf(fields, key)
      const sealed = { ...fields, seal }
      previous = sha256(canonicalJson(sealed))
      return sealed
    })
  }

  /** Changes the payload of a draft's envelope; `key` signs it anew, without one the old signature stays. */
  rewrite(
    draft: Draft,
    change: (statement: any) => void,
    signing?: { readonly key: KeyObject; readonly namespace: string },
  ): void {
    const statement = JSON.parse(Buffer.from(draft.envelope.payload, 'base64').toString('utf8'))
    change(statement)
    draft.envelope.payload = Buffer.from(JSON.stringify(statement)).toString('base64')
    if (signing !== undefined) this.resign(draft, signing.key, signing.namespace)
  }

  resign(draft: Draft, key: KeyObject, namespace: string): void {
    const message = preAuthEncoding(PAYLOAD_TYPE, Buffer.from(draft.envelope.payload, 'base64'))
    const sig = createSshsig({ privateKey: key, namespace, message }).toString('base64')
    draft.envelope.signatures = [{ sig }]
  }

  /** An envelope of the server itself. */
  serverEnvelope(payload: string, key: KeyObject = this.serverKey): Envelope {
    const message = preAuthEncoding(PAYLOAD_TYPE, Buffer.from(payload))
    const sig = createSshsig({ privateKey: key, namespace: 'headgate-ledger', message }).toString('base64')
    return {
      payloadType: PAYLOAD_TYPE,
      payload: Buffer.from(payload).toString('base64'),
      signatures: [{ sig }],
    }
  }

  publicLine(key: KeyObject): string {
    return ed25519PublicKeyLine(key, 'headgate-seal')
  }

  /** The commits that hold these records as headgate would write them, as far as they are records at all. */
  commits(drafts: readonly (Draft | Buffer)[]): ForgedCommit[] {
    let state: LedgerState = emptyState
    return drafts.map((draft, index) => {
      const bytes = Buffer.isBuffer(draft) ? draft : Buffer.from(canonicalJson(draft))
      const files = new Map<string, string | Buffer>()
      let [seconds, message] = [1_700_000_000 + index, 'x\n']
      try {
        const record = parseRecord(bytes)
        state = advanceState(state, record)
        seconds = Math.floor(Date.parse(record.at) / 1000)
        message = commitMessage({ record, state }, String(index).padStart(16, '0'))
        files.set(entryPath(record), bytes)
        files.set('state.json', stateFile({ seq: record.seq, hash: record.hash }, state))
        if (record.statement.kind === 'policy') {
          const { version, policy, allowedSigners } = record.statement.predicate
          for (const folder of [`policies/${version}/`, '']) {
            files.set(`${folder}policy.yaml`, policy.text)
            files.set(`${folder}allowed_signers`, allowedSigners.text)
          }
        }
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
        const name = String(index + 1).padStart(8, '0')
        files.set(`entries/ff/${'f'.repeat(38)}/${name}-evidence.json`, bytes)
        files.set('state.json', stateFile({ seq: index + 1, hash: sha256(bytes) }, state))
      }
      return { files, removed: [], seconds, message }
    })
  }

  /** Writes the commits, one on top of the other, and returns the last one's id. No ref stays. */
  write(commits: readonly ForgedCommit[]): string {
    const parts: Buffer[] = []
    const text = (line: string) => parts.push(Buffer.from(line))
    for (const [index, { files, removed, seconds, message }] of commits.entries()) {
      text(
        `commit refs/forged\nmark :${index + 1}\ncommitter headgate <headgate@localhost> ${seconds} +0000\ndata ${Buffer.byteLength(message)}\n${message}\n`,
      )
      for (const path of removed) text(`D ${path}\n`)
      for (const [path, content] of files) {
        const bytes = Buffer.from(content as string)
        text(`M 100644 inline ${path}\ndata ${bytes.length}\n`)
        parts.push(bytes)
        text('\n')
      }
    }
    text(`get-mark :${commits.length}\nreset refs/forged\n\ndone\n`)
    const git = ['--git-dir', this.repository.bare, '-c', 'core.hooksPath=/dev/null']
    return execFileSync('git', [...git, 'fast-import', '--quiet', '--force', '--done'], {
      input: Buffer.concat(parts),
      encoding: 'utf8',
    }).trim()
  }

  forge(drafts: readonly (Draft | Buffer)[]): string {
    return this.write(this.commits(drafts))
  }

  /** Audits a ledger commit of the bare repository, with its branches as they are, through git or what stands before it. */
  async audit(
    tip: string,
    options: Partial<Omit<VerifyInput, 'repository' | 'tip'>> = {},
    git: { gitPath?: string } = {},
  ) {
    const repository = await openRepository(this.repository.bare, git)
    if (git.gitPath === undefined) this.#askOnce(repository)
    try {
      const ref = 'refs/audited'
      writeFileSync(join(this.repository.bare, ref), `${tip}\n`)
      let snapshot: VerifyInput['snapshot'] = null
      try {
        snapshot = await new GitLedger(repository, undefined, { ref }).snapshot()
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
      }
      return await verifyLedger({
        repository,
        tip,
        snapshot,
        branches: {
          staging: this.repository.ref('refs/heads/main'),
          release: this.repository.ref('refs/heads/release'),
          isFresh: true,
        },
        anchors: null,
        remembered: null,
        fromStart: false,
        now: this.auditedAt,
        seenAt: this.auditedAt,
        ...options,
      })
    } finally {
      repository.close()
    }
  }

  auditHonest(options: Partial<Omit<VerifyInput, 'repository' | 'tip'>> = {}) {
    return this.audit(this.repository.ref(LEDGER_REF) ?? '', options)
  }

  #askOnce(repository: GitRepository): void {
    const ask = repository.isAncestor.bind(repository)
    repository.isAncestor = (ancestor, descendant) => {
      const question = `${ancestor} ${descendant}`
      const known = this.#contained.get(question) ?? ask(ancestor, descendant)
      this.#contained.set(question, known)
      return known
    }
  }
}

export function sealOf(fields: object, key: KeyObject): string {
  return createSshsig({
    privateKey: key,
    namespace: 'headgate-ledger',
    message: Buffer.from(canonicalJson(fields)),
  }).toString('base64')
}

/** Violations as `rule@record`, in the order of the report. */
export function violations(audit: {
  findings: readonly { grade: string; rule: string; record: number | null }[]
}): string[] {
  return audit.findings
    .filter(({ grade }) => grade === 'violation')
    .map(({ rule, record }) => `${rule}@${record ?? '-'}`)
}

/** Whether a draft still is a record at all. */
export function isRecord(draft: Draft): boolean {
  try {
    return parseRecord(Buffer.from(canonicalJson(draft))).seq > 0
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return false
  }
}

/** Every leaf of a JSON value, as a path, with a way to change it. */
export function leaves(
  value: any,
  path: (string | number)[] = [],
): { path: (string | number)[]; change: (root: any) => void }[] {
  if (value !== null && typeof value === 'object')
    return Object.entries(value).flatMap(([key, child]) =>
      leaves(child, [...path, Array.isArray(value) ? Number(key) : key]),
    )
  const changed = changeLeaf(value)
  return [
    {
      path,
      change: (root) => {
        const parent = path.slice(0, -1).reduce((node, key) => node[key], root)
        parent[path.at(-1)!] = changed
      },
    },
  ]
}

/** Another value that is as plausible as the one before. */
function changeLeaf(value: unknown): unknown {
  if (typeof value === 'number') return value + 1
  if (typeof value === 'boolean') return !value
  if (typeof value !== 'string') return 'something'
  if (/^[0-9a-f]{40,64}$/.test(value)) return `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`
  if (/^\d{4}-\d{2}-\d{2}T/.test(value)) return new Date(Date.parse(value) + 1000).toISOString()
  if (value === 'PASSED') return 'FAILED'
  if (value === 'landed') return 'not-landed'
  if (value === 'promotion') return 'rollback'
  if (value === 'passed') return 'skipped'
  return `${value}x`
}
