/**
 * The records of a git ledger in order, as its commits added them. The commits are only the way here: each record is
 * parsed strictly and must be the next one, whatever the history claims.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid, shortOid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { Head } from './ledger.ts'
import type { LedgerRepository } from './ledger-repository.ts'
import { readEntry } from './ledger-tree.ts'
import type { LedgerRecord } from './record.ts'

/** Records read ahead. Each has at most 1 MiB. */
const READ_AHEAD = 32
/** A record, the state, and for a policy four more. */
const MAX_CHANGES = 16
const MAX_TOKEN_BYTES = 64 * 1024

/** Records `from` to `head.seq`, which commit `tip` ends with. Throws HeadgateError 'data' naming the first bad one. */
export async function* readCommits(
  repository: LedgerRepository,
  tip: Oid,
  head: Head,
  from: number,
): AsyncGenerator<LedgerRecord, void, undefined> {
  const ahead: Promise<LedgerRecord>[] = []
  let expected = from
  const next = async (): Promise<LedgerRecord> => {
    const record = await ahead.shift()!
    if (record.seq !== expected) {
      throw new HeadgateError('data', `ledger record ${record.seq} stands where record ${expected} belongs`)
    }
    expected += 1
    return record
  }
  const count = `--max-count=${head.seq - from + 1}`
  for await (const commits of logCommits(repository, [count, tip])) {
    for (const commit of commits) {
      const reading = readAdded(repository, commit)
      // The caller that awaits it below gets the error; it must not count as unhandled until then.
      reading.catch(() => {})
      ahead.push(reading)
      if (ahead.length >= READ_AHEAD) yield next()
    }
  }
  while (ahead.length > 0) yield next()
  if (expected !== head.seq + 1) {
    throw new HeadgateError(
      'data',
      `ledger record ${expected} is missing: the history ends before the head, ${head.seq}`,
    )
  }
}

export type Change = {
  readonly mode: string
  readonly oid: Oid
  readonly status: string
  readonly path: string
}
export type LedgerCommit = {
  readonly oid: Oid
  readonly tree: Oid
  readonly parents: readonly Oid[]
  readonly message: string
  readonly changes: readonly Change[]
}

async function readAdded(repository: LedgerRepository, commit: LedgerCommit): Promise<LedgerRecord> {
  const entries = commit.changes.filter(({ path }) => path.startsWith('entries/'))
  const [entry] = entries
  const added = entries.length === 1 && entry?.status === 'A' && entry.mode === '100644'
  if (!added || commit.parents.length > 1) {
    throw new HeadgateError('data', `ledger commit ${shortOid(commit.oid)} does not add exactly one record`)
  }
  return readEntry(repository.objects(), entry.path, entry.oid)
}

/**
 * The commits of a range, oldest first, each with the files that it changed; as many at once as git printed. There is
 * one commit a record: with `--max-count` the last ones are found without walking the whole history.
 */
export async function* logCommits(
  repository: LedgerRepository,
  range: readonly string[],
): AsyncGenerator<readonly LedgerCommit[], void, undefined> {
  const output = repository.stream([
    'log',
    '--first-parent',
    '--reverse',
    '-z',
    '--raw',
    '--root',
    '--no-abbrev',
    '--no-renames',
    '--format=%x01%H %T %P%x00%B',
    ...range,
    '--',
  ])
  const log = new LogParser()
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of output) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    try {
      for (let end = bytes.indexOf(0, start); end >= 0; end = bytes.indexOf(0, start)) {
        log.add(bytes.toString('utf8', start, end))
        start = end + 1
      }
      rest = Buffer.from(bytes.subarray(start))
      if (rest.length > MAX_TOKEN_BYTES) throw unexpected(rest.toString('utf8', 0, 100))
    } catch (error) {
      // Those before the one that is odd come first, or it would be told of the wrong one.
      yield log.take()
      throw error
    }
    yield log.take()
  }
  if (rest.length > 0) log.add(rest.toString('utf8'))
  yield log.end()
}

class LogParser {
  #whole: LedgerCommit[] = []
  #commit: (LedgerCommit & { changes: Change[]; message: string }) | undefined
  #wantsMessage = false
  #change: Omit<Change, 'path'> | undefined

  add(token: string): void {
    if (this.#change !== undefined) {
      this.#addPath(token, this.#change)
      return
    }
    if (this.#wantsMessage) {
      this.#commit!.message = token
      this.#wantsMessage = false
      return
    }
    if (token.startsWith('\x01')) {
      const [oid = '', tree = '', ...parents] = token.slice(1).split(' ')
      if (this.#commit !== undefined) this.#whole.push(this.#commit)
      this.#commit = { oid, tree, parents: parents.filter(isOid), message: '', changes: [] }
      this.#wantsMessage = true
      return
    }
    const raw = /^\n?:\d{6} (\d{6}) \S+ ([0-9a-f]+) ([A-Z])\d*$/.exec(token)
    if (raw === null || this.#commit === undefined) throw unexpected(token)
    this.#change = { mode: raw[1]!, oid: raw[2]!, status: raw[3]! }
  }

  /** A path may have any bytes but NUL, those that begin a commit too. */
  #addPath(path: string, change: Omit<Change, 'path'>): void {
    const commit = this.#commit!
    commit.changes.push({ ...change, path })
    this.#change = undefined
    if (commit.changes.length > MAX_CHANGES)
      throw new HeadgateError('data', `ledger commit ${shortOid(commit.oid)} changes more than a record`)
  }

  /** The commits that are whole since the last time. */
  take(): readonly LedgerCommit[] {
    const whole = this.#whole
    this.#whole = []
    return whole
  }

  /** The same, after the last token. */
  end(): readonly LedgerCommit[] {
    if (this.#commit !== undefined) this.#whole.push(this.#commit)
    return this.take()
  }
}

function unexpected(token: string): HeadgateError {
  return new HeadgateError('data', `git log of the ledger says ${printable(token, 100)}`)
}
