/** New records as git objects: one commit each, on top of one another. */
import { randomBytes } from 'node:crypto'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { summarizeRecord } from '../core/record-summary.ts'
import type { LedgerState } from '../core/state.ts'
import type { LedgerObjects, LedgerRepository, NewObject } from './ledger-repository.ts'
import { entryPath, POLICY_FILE, policyPath, SIGNERS_FILE, STATE_PATH, stateFile } from './ledger-tree.ts'
import type { LedgerRecord } from './record.ts'

/** A record and the ledger's state after it. */
export type NextRecord = { readonly record: LedgerRecord; readonly state: LedgerState }

type Store = Pick<LedgerRepository, 'objects' | 'newObject'>

/**
 * The objects of new commits on `tip` (null for a new ledger), and the last commit's id. Reads the trees that change;
 * throws HeadgateError 'data' where one is missing. Writes nothing.
 */
export async function commitObjects(
  store: Store,
  tip: Oid | null,
  next: readonly NextRecord[],
): Promise<{ tip: Oid; objects: NewObject[] }> {
  const objects: NewObject[] = []
  const keep = (type: NewObject['type'], body: Buffer): Oid => {
    const object = store.newObject(type, body)
    objects.push(object)
    return object.oid
  }
  const root = new Folder(() => store.objects(), tip)
  let parent = tip
  for (const { record, state } of next) {
    const file = async (path: string, bytes: string | Buffer) =>
      root.put(path.split('/'), keep('blob', Buffer.from(bytes as string)))
    await file(entryPath(record), record.bytes)
    const { statement } = record
    if (statement.kind === 'policy') {
      const { version, policy, allowedSigners } = statement.predicate
      await file(policyPath(version, POLICY_FILE), policy.text)
      await file(policyPath(version, SIGNERS_FILE), allowedSigners.text)
      await file(POLICY_FILE, policy.text)
      await file(SIGNERS_FILE, allowedSigners.text)
    }
    await file(STATE_PATH, stateFile({ seq: record.seq, hash: record.hash }, state))
    parent = keep('commit', commitBody(root.write(keep), parent, { record, state }))
  }
  if (parent === null) throw new RangeError('an append has at least one record')
  return { tip: parent, objects }
}

/** A tree that is being edited. It is read when something in it changes, and written where something has. */
class Folder {
  readonly #objects: () => LedgerObjects
  #oid: Oid | null
  #entries: Map<string, { oid: Oid } | { folder: Folder }> | undefined
  /** Names of sub-trees that have not been opened; the others are files. */
  readonly #trees = new Set<string>()
  #changed = false

  /** `oid` is a tree's or a commit's; null for an empty folder. */
  constructor(objects: () => LedgerObjects, oid: Oid | null) {
    this.#objects = objects
    this.#oid = oid
  }

  async put(path: readonly string[], blob: Oid): Promise<void> {
    const entries = await this.#open()
    const [name = '', ...rest] = path
    this.#changed = true
    if (rest.length === 0) {
      entries.set(name, { oid: blob })
      return
    }
    let entry = entries.get(name)
    if (entry === undefined || 'oid' in entry) {
      entry = { folder: new Folder(this.#objects, entry?.oid ?? null) }
      entries.set(name, entry)
    }
    await entry.folder.put(rest, blob)
  }

  /** Gives the changed trees to `keep`, the innermost first, and returns the id of this one. */
  write(keep: (type: 'tree', body: Buffer) => Oid): Oid {
    if (!this.#changed || this.#entries === undefined) {
      if (this.#oid === null) throw new RangeError('an empty folder is not written')
      return this.#oid
    }
    const lines = [...this.#entries].map(([name, entry]) => {
      const isTree = 'folder' in entry || this.#trees.has(name)
      const oid = 'folder' in entry ? entry.folder.write(keep) : entry.oid
      // git sorts a tree's name as if it ended in a slash.
      return { key: isTree ? `${name}/` : name, mode: isTree ? '40000' : '100644', name, oid }
    })
    lines.sort((a, b) => (a.key < b.key ? -1 : 1))
    const body = lines.flatMap(({ mode, name, oid }) => [
      Buffer.from(`${mode} ${name}\0`),
      Buffer.from(oid, 'hex'),
    ])
    this.#changed = false
    this.#oid = keep('tree', Buffer.concat(body))
    return this.#oid
  }

  async #open(): Promise<Map<string, { oid: Oid } | { folder: Folder }>> {
    if (this.#entries !== undefined) return this.#entries
    this.#entries = new Map()
    const entries = this.#oid === null ? [] : await this.#objects().tree(this.#oid)
    if (entries === null) throw damaged(`its tree ${this.#oid} is missing`)
    for (const { mode, name, oid } of entries) {
      if (!/^[\x21-\x7e]+$/.test(name) || (mode !== '40000' && mode !== '100644')) {
        throw damaged(`it holds ${printable(name)}, which headgate never writes`)
      }
      if (mode === '40000') this.#trees.add(name)
      this.#entries.set(name, { oid })
    }
    return this.#entries
  }
}

function damaged(what: string): HeadgateError {
  return new HeadgateError('data', `the ledger cannot be extended: ${what}`)
}

function commitBody(tree: Oid, parent: Oid | null, next: NextRecord): Buffer {
  const who = `headgate <headgate@localhost> ${Math.floor(Date.parse(next.record.at) / 1000)} +0000`
  return Buffer.from(
    [
      `tree ${tree}`,
      ...(parent === null ? [] : [`parent ${parent}`]),
      `author ${who}`,
      `committer ${who}`,
      '',
      commitMessage(next),
    ].join('\n'),
  )
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
