/**
 * The files of a git ledger's commit. The tip's tree holds all records and what every decision needs:
 *
 *     entries/<first 2 digits of a commit id>/<the others>/<seq, 8 digits or more>-<kind>.json    the records about it
 *     policies/<version>/policy.yaml, policies/<version>/allowed_signers                          every policy
 *     policies/<version>/policy.json                                                              what its text says
 *     policy.yaml, allowed_signers                                                                the one in force
 *     state.json                                                                                  head and folded state
 */
import { canonicalJson } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid, shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { type LedgerState, ledgerStateSchema } from '../core/state.ts'
import * as z from '../core/zod-mini.ts'
import type { Head, PolicyFiles } from './ledger.ts'
import type { LedgerObjects, LedgerTreeEntry } from './ledger-repository.ts'
import { type LedgerRecord, MAX_RECORD_BYTES, parseRecord } from './record.ts'

export const STATE_PATH = 'state.json'
export const POLICY_FILE = 'policy.yaml'
export const SIGNERS_FILE = 'allowed_signers'
export const POLICY_JSON_FILE = 'policy.json'

/** A ledger commit has a subject and little more. */
const MAX_COMMIT_BYTES = 64 * 1024
/** Grows with policies and rollbacks, some 100 bytes each. */
const MAX_STATE_BYTES = 8 * 1024 * 1024
/** Far above a gate run an hour for a year; a commit with more of them needs a person, not a decision. */
export const MAX_RECORDS_ABOUT = 10_000
/** Objects asked for at once: enough to keep git busy, few enough to hold. */
const BATCH = 64

export function entryPath(record: Pick<LedgerRecord, 'seq' | 'statement'>): string {
  const { commit, kind } = record.statement
  return `${entryFolder(commit).join('/')}/${String(record.seq).padStart(8, '0')}-${kind}.json`
}

type PolicyFile = typeof POLICY_FILE | typeof SIGNERS_FILE | typeof POLICY_JSON_FILE

export function policyPath(version: number, file: PolicyFile): string {
  return `policies/${version}/${file}`
}

export function stateFile(head: Head, state: LedgerState): string {
  return `${canonicalJson({ head, state })}\n`
}

/** Parses a record from the file where it was found, and checks that it belongs there. */
export function parseEntry(path: string, bytes: Uint8Array): LedgerRecord {
  return naming(`the ledger's file ${printable(path)}`, () => {
    const record = parseRecord(bytes)
    if (entryPath(record) !== path)
      throw new HeadgateError('data', `this record belongs in ${entryPath(record)}`)
    return record
  })
}

/** The ledger at one commit. Nothing of it ever changes, so that what was read may be kept. */
export class LedgerTree {
  readonly commit: Oid
  readonly head: Head
  readonly state: LedgerState
  readonly #objects: () => LedgerObjects
  readonly #root: readonly LedgerTreeEntry[]

  private constructor(
    commit: Oid,
    root: readonly LedgerTreeEntry[],
    objects: () => LedgerObjects,
    file: z.output<typeof stateFileSchema>,
  ) {
    this.commit = commit
    this.head = file.head
    this.state = file.state
    this.#objects = objects
    this.#root = root
  }

  /** Throws HeadgateError 'data' if the commit is not a ledger's or its state file is not as headgate writes it. */
  static async open(objects: () => LedgerObjects, commit: Oid): Promise<LedgerTree> {
    const what = `the ledger's tip ${shortOid(commit)}`
    const tip = await namingAsync(what, objects().read(commit, MAX_COMMIT_BYTES))
    if (tip === null) throw new HeadgateError('data', `${what} is missing`)
    // git itself would look through a tag, whose commit nobody made the tip.
    if (tip.type !== 'commit')
      throw new HeadgateError('data', `${what} is a ${tip.type} object and no commit`)
    const [, tree = ''] = /^tree ([0-9a-f]+)\n/.exec(tip.body.toString('latin1')) ?? []
    const root = await namingAsync(what, objects().tree(tree))
    if (root === null) throw new HeadgateError('data', `the tree of ${what} is missing`)
    const bytes = await readFile(objects(), root, STATE_PATH, MAX_STATE_BYTES)
    if (bytes === null) throw new HeadgateError('data', `${what} has no ${STATE_PATH}`)
    return new LedgerTree(
      commit,
      root,
      objects,
      naming(`${what}: ${STATE_PATH}`, () => parseStateFile(bytes)),
    )
  }

  async policyInForce(): Promise<PolicyFiles | null> {
    const version = this.state.policies.at(-1)?.version
    return version === undefined ? null : this.policyVersion(version)
  }

  async policyVersion(version: number): Promise<PolicyFiles | null> {
    if (!this.state.policies.some((policy) => policy.version === version)) return null
    const folder = await this.#folder(['policies', String(version)])
    const [policy, allowedSigners, json] = await Promise.all(
      [POLICY_FILE, SIGNERS_FILE, POLICY_JSON_FILE].map((name) =>
        readFile(this.#objects(), folder, name, MAX_RECORD_BYTES),
      ),
    )
    const lacksJson = !json && folder.some(({ name }) => name === POLICY_JSON_FILE)
    if (!policy || !allowedSigners || lacksJson) throw unreadable(this.commit, `policy version ${version}`)
    const texts = { policy: policy.toString('utf8'), allowedSigners: allowedSigners.toString('utf8') }
    return { version, ...texts, ...(json ? { json: json.toString('utf8') } : {}) }
  }

  async about(commit: Oid): Promise<readonly LedgerRecord[]> {
    if (!isOid(commit)) throw new HeadgateError('data', `${printable(commit)} is not a full object id`)
    const path = entryFolder(commit)
    const files = await this.#folder(path)
    if (files.length > MAX_RECORDS_ABOUT) {
      throw new HeadgateError('data', `the ledger has more than ${MAX_RECORDS_ABOUT} records about ${commit}`)
    }
    const records: LedgerRecord[] = []
    for (let start = 0; start < files.length; start += BATCH) {
      const batch = files.slice(start, start + BATCH)
      records.push(
        ...(await Promise.all(
          batch.map((file) => readEntry(this.#objects(), `${path.join('/')}/${file.name}`, file.oid)),
        )),
      )
    }
    for (const record of records) {
      if (record.seq > this.head.seq) {
        throw new HeadgateError(
          'data',
          `ledger record ${entryPath(record)} is beyond the head, ${this.head.seq}`,
        )
      }
    }
    return records.sort((a, b) => a.seq - b.seq)
  }

  /**
   * The entries of a folder; none if there is no such folder. It goes from tree to tree by ids, not by path: an object
   * that git cannot read must be an error here and never "no records".
   */
  async #folder(path: readonly string[]): Promise<readonly LedgerTreeEntry[]> {
    let entries = this.#root
    for (const name of path) {
      const entry = entries.find((candidate) => candidate.name === name)
      if (entry === undefined) return []
      const next = entry.mode === '40000' ? await this.#objects().tree(entry.oid) : null
      if (next === null) throw unreadable(this.commit, path.join('/'))
      entries = next
    }
    return entries
  }
}

/** Reads the record that the ledger keeps at `path` as blob `oid`. */
export async function readEntry(objects: LedgerObjects, path: string, oid: Oid): Promise<LedgerRecord> {
  const blob = await namingAsync(`the ledger's file ${printable(path)}`, objects.read(oid, MAX_RECORD_BYTES))
  if (blob?.type !== 'blob')
    throw new HeadgateError('data', `the ledger's file ${printable(path)} is missing or corrupt`)
  return parseEntry(path, blob.body)
}

/** A commit that a statement is about may have an id of the other hash; both fit. */
function entryFolder(commit: Oid): string[] {
  return ['entries', commit.slice(0, 2), commit.slice(2)]
}

const stateFileSchema = z.strictObject({
  head: z.strictObject({
    seq: z.int().check(z.positive()),
    hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  }),
  state: ledgerStateSchema,
})

/** Re-encoding finds what parsing lets pass: another order, other white space, repeated or unknown keys. */
function parseStateFile(bytes: Buffer): z.output<typeof stateFileSchema> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new HeadgateError('data', 'is not JSON', { cause })
  }
  const parsed = stateFileSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new HeadgateError('data', `is malformed: ${issue?.path.map(String).join('.')}: ${issue?.message}`)
  }
  if (!bytes.equals(Buffer.from(stateFile(parsed.data.head, parsed.data.state)))) {
    throw new HeadgateError('data', 'is not as headgate writes it')
  }
  return parsed.data
}

async function readFile(
  objects: LedgerObjects,
  folder: readonly LedgerTreeEntry[],
  name: string,
  maxBytes: number,
): Promise<Buffer | null> {
  const entry = folder.find((candidate) => candidate.name === name && candidate.mode === '100644')
  if (entry === undefined) return null
  const blob = await namingAsync(`the ledger's file ${name}`, objects.read(entry.oid, maxBytes))
  return blob?.type === 'blob' ? blob.body : null
}

function unreadable(commit: Oid, what: string): HeadgateError {
  return new HeadgateError('data', `the ledger at ${shortOid(commit)}: ${what} is missing or corrupt`)
}

/** Puts the name of the thing before what is wrong with it. */
function naming<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw named(name, error)
  }
}

async function namingAsync<T>(name: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    throw named(name, error)
  }
}

function named(name: string, error: unknown): unknown {
  if (!(error instanceof HeadgateError)) return error
  return new HeadgateError(error.code, `${name}: ${error.message}`, { cause: error })
}
