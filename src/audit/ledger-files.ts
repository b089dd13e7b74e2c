/** What a ledger commit must be besides its record: its files, their form, its author, time and message. */
import { canonicalJson } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { policyJson } from '../core/policy/policy-json.ts'
import { printable } from '../core/printable.ts'
import type { LedgerState } from '../core/state.ts'
import { JSON_OF_TEXT, type PolicyInForce } from '../guard/policy-in-force.ts'
import type { AuditedCommit } from '../ledger/audit-log.ts'
import type { LedgerRepository } from '../ledger/ledger-repository.ts'
import { POLICY_FILE, POLICY_JSON_FILE, policyPath, SIGNERS_FILE, STATE_PATH } from '../ledger/ledger-tree.ts'
import type { LedgerRecord } from '../ledger/record.ts'
import { isAsWritten } from './commit-message.ts'
import { ExpectedTree } from './expected-tree.ts'

type Misfit = { readonly rule: 'tree' | 'state' | 'message'; readonly found: string }
type Repository = Pick<LedgerRepository, 'blobId' | 'objects' | 'oidLength'>

export class LedgerFiles {
  readonly #repository: Repository
  readonly #tree: ExpectedTree
  /** The canonical JSON of each part of the state that was seen last: most records change none or one of them. */
  readonly #parts = new Map<string, { readonly value: unknown; readonly json: string }>()
  #topFiles: ReadonlyMap<string, Oid> = new Map()

  constructor(repository: Repository) {
    this.#repository = repository
    this.#tree = new ExpectedTree(repository)
  }

  /** Goes on from an earlier audit, where these were the files of the policy in force, and the last commit's tree. */
  resume(policy: string, allowedSigners: string, tree: Oid): void {
    this.#tree.resume(tree)
    this.#topFiles = new Map([
      [POLICY_FILE, this.#blob(policy)],
      [SIGNERS_FILE, this.#blob(allowedSigners)],
    ])
  }

  /**
   * Call it in order, from the first record on or from where it goes on. `inForce` is the policy after the record;
   * null where it cannot be read.
   */
  async check(
    commit: AuditedCommit,
    record: LedgerRecord,
    state: LedgerState,
    inForce: PolicyInForce | null,
  ): Promise<Misfit[]> {
    const objections: Misfit[] = []
    const expected = this.#policyFiles(record)
    const jsonPath = policyJsonPath(record)
    const json = commit.changes.find(({ path }) => path === jsonPath)
    // An older headgate wrote none. Where the text cannot be read, that is what is told.
    if (json !== undefined)
      expected.set(json.path, inForce === null ? json.oid : this.#blob(policyJson(inForce.policy)))
    const changed = new Set<string>()
    for (const { path, oid, mode, status } of commit.changes) {
      if (path === commit.entry?.path) continue
      changed.add(path)
      if (path === STATE_PATH) continue
      const known = expected.get(path)
      if (known === undefined || status === 'D')
        objections.push(treeObjection(`it also changes ${printable(path)}`))
      else if (known !== oid || mode !== '100644')
        objections.push(
          treeObjection(
            `${printable(path)} is not ${path === jsonPath ? JSON_OF_TEXT : 'the file that its record holds'}`,
          ),
        )
    }
    for (const [path, oid] of expected) {
      if (changed.has(path) || this.#topFiles.get(path) === oid) continue
      objections.push(treeObjection(`it does not write ${path}, which its record holds`))
    }
    if (expected.size > 0) this.#topFiles = new Map([...expected].filter(([path]) => !path.includes('/')))

    const stateChange = commit.changes.find(({ path }) => path === STATE_PATH)
    const stateFile = this.#stateFile(record, state)
    const right = stateChange?.mode === '100644' && stateChange.oid === stateFile
    if (!right) {
      const found =
        stateChange === undefined ? `it does not write ${STATE_PATH}` : `${STATE_PATH} is not the fold`
      objections.push({ rule: 'state', found })
    }
    const files = new Map([...expected, [STATE_PATH, stateFile]])
    if (commit.entry !== null) files.set(commit.entry.path, commit.entry.oid)
    const form = await this.#formOf(commit, files)
    // What is told above is why the tree is another one.
    if (form !== null && objections.length === 0) objections.push(treeObjection(form))
    if (!isAsWritten(commit, { record, state }, this.#repository.oidLength)) {
      const found = 'its author, time, message or headers are not those that its record makes'
      objections.push({ rule: 'message', found })
    }
    return objections
  }

  /** What is wrong with the form of a commit's tree; null if it is, byte for byte, what these files make of the last one. */
  async #formOf({ tree }: AuditedCommit, files: ReadonlyMap<string, Oid>): Promise<string | null> {
    try {
      if ((await this.#tree.with(files)) === tree) return null
      this.#tree.resume(tree)
      return 'its tree has another form than git gives to its files: a mode, an order, an empty folder, a name twice'
    } catch (error) {
      if (!(error instanceof HeadgateError) || error.code !== 'data') throw error
      this.#tree.resume(tree)
      return error.message
    }
  }

  #policyFiles({ statement }: LedgerRecord): Map<string, Oid> {
    if (statement.kind !== 'policy') return new Map()
    const { version, policy, allowedSigners } = statement.predicate
    const [text, signers] = [this.#blob(policy.text), this.#blob(allowedSigners.text)]
    return new Map([
      [policyPath(version, POLICY_FILE), text],
      [policyPath(version, SIGNERS_FILE), signers],
      [POLICY_FILE, text],
      [SIGNERS_FILE, signers],
    ])
  }

  #stateFile({ seq, hash }: LedgerRecord, state: LedgerState): Oid {
    const parts = Object.keys(state)
      .sort()
      .map((name) => `"${name}":${this.#part(name, state[name as keyof LedgerState])}`)
    return this.#blob(`{"head":{"hash":"${hash}","seq":${seq}},"state":{${parts.join(',')}}}\n`)
  }

  #part(name: string, value: unknown): string {
    const known = this.#parts.get(name)
    if (known !== undefined && known.value === value) return known.json
    const json = canonicalJson(value)
    this.#parts.set(name, { value, json })
    return json
  }

  #blob(text: string): Oid {
    return this.#repository.blobId(Buffer.from(text))
  }
}

function policyJsonPath({ statement }: LedgerRecord): string | null {
  return statement.kind === 'policy' ? policyPath(statement.predicate.version, POLICY_JSON_FILE) : null
}

function treeObjection(found: string): Misfit {
  return { rule: 'tree', found }
}
