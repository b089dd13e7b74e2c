/**
 * A git ledger as an auditor reads it: commit by commit, with the bytes that each one added, and nothing believed. What
 * does not fit is handed on with the reason, so that one bad commit does not hide the rest.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'
import { type LedgerCommit, logCommits } from './commit-log.ts'
import type { LedgerRepository } from './ledger-repository.ts'
import { MAX_RECORD_BYTES } from './record.ts'

export type AuditedCommit = LedgerCommit & {
  /** The record that the commit added; null where it did not add exactly one. */
  readonly entry: { readonly path: string; readonly oid: Oid; readonly bytes: Buffer } | null
  /** Why there is no entry. */
  readonly problem: string
}

/** Records read ahead: enough to keep git busy, few enough to hold, since each may have 1 MiB. */
const READ_AHEAD = 64
/** Commits whose records are under way: more than pipes hold names of. Those that add none hold nobody up. */
const MAX_WAITING = 50_000

/** The commits from the root, or from after `after`, which must be one of them, to `tip`; oldest first. */
export async function* auditCommits(
  repository: LedgerRepository,
  tip: Oid,
  after: Oid | null,
): AsyncGenerator<AuditedCommit, void, undefined> {
  let last = after
  try {
    for await (const commit of fastRead(repository, rangeOf(last, tip))) {
      last = commit.oid
      yield commit
    }
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
  }
  // What went wrong, and with which commit, is found by reading on slowly.
  if (last !== tip) yield* slowRead(repository, rangeOf(last, tip))
}

function rangeOf(after: Oid | null, tip: Oid): string[] {
  return after === null ? [tip] : [`^${after}`, tip]
}

/** Ends early where a record is not plainly there. */
async function* fastRead(
  repository: LedgerRepository,
  range: readonly string[],
): AsyncGenerator<AuditedCommit, void, undefined> {
  const waiting: (LedgerCommit & { readonly added: Added })[] = []
  const wanted = async function* (): AsyncGenerator<readonly Oid[], void, undefined> {
    for await (const commits of logCommits(repository, range)) {
      if (waiting.length > MAX_WAITING) return
      const some = commits.map((commit) => ({ ...commit, added: addedBy(commit) }))
      waiting.push(...some)
      yield some.flatMap(({ added }) => ('oid' in added ? [added.oid] : []))
    }
  }
  const without = function* (): Generator<AuditedCommit, void, undefined> {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if ('oid' in next.added) return
      waiting.shift()
      yield { ...next, entry: null, problem: next.added.problem }
    }
  }
  for await (const { oid, type, body } of repository.readInOrder(wanted(), MAX_RECORD_BYTES)) {
    yield* without()
    const commit = waiting.shift()
    if (commit === undefined || !('oid' in commit.added) || commit.added.oid !== oid || type !== 'blob')
      return
    yield { ...commit, entry: { path: commit.added.path, oid, bytes: body }, problem: '' }
  }
  yield* without()
}

async function* slowRead(
  repository: LedgerRepository,
  range: readonly string[],
): AsyncGenerator<AuditedCommit, void, undefined> {
  const ahead: Promise<AuditedCommit>[] = []
  let end: { readonly error: unknown } | null = null
  let last = range.length > 1 ? range[0]!.slice(1) : null
  try {
    for await (const commits of logCommits(repository, range)) {
      for (const commit of commits) {
        const reading = readCommit(repository, commit)
        // The caller that awaits it below gets the error; it must not count as unhandled until then.
        reading.catch(() => {})
        ahead.push(reading)
        last = commit.oid
        if (ahead.length >= READ_AHEAD) yield ahead.shift()!
      }
    }
  } catch (error) {
    end = { error }
  }
  while (ahead.length > 0) yield ahead.shift()!
  // The commits before the one that ends it come first, or it would be told of the wrong one.
  if (end !== null) throw (await unreadable(repository, range.at(-1)!, last)) ?? end.error
}

/** What of a ledger git cannot read, as HeadgateError 'data'; null if all of it is there. `last` was read last. */
async function unreadable(
  repository: LedgerRepository,
  tip: Oid,
  last: Oid | null,
): Promise<HeadgateError | null> {
  const unread: Oid[] = []
  try {
    // From the tip back, by hand: whatever git could not walk is the first that is not there.
    for (let oid = tip; ; ) {
      const commit = await repository.objects().read(oid, MAX_RECORD_BYTES)
      if (commit?.type !== 'commit') return missing(`its commit ${oid}`)
      unread.push(oid)
      const [head = ''] = commit.body.toString('latin1').split('\n\n', 1)
      const parent = /^parent ([0-9a-f]+)$/m.exec(head)?.[1]
      if (parent === undefined || oid === last) break
      oid = parent
    }
    // git stopped at one of the oldest, which may have been printed in part.
    for (const oid of unread.reverse().slice(0, MAX_SUSPECTS)) {
      const problem = await unreadableTree(repository, oid)
      if (problem !== null) return problem
    }
    return null
  } catch (error) {
    if (error instanceof HeadgateError && error.code === 'data') return error
    throw error
  }
}

/** Commits whose trees are looked at for the one that git could not read. */
const MAX_SUSPECTS = 3

async function unreadableTree(repository: LedgerRepository, oid: Oid): Promise<HeadgateError | null> {
  for (const folders = [oid]; folders.length > 0; ) {
    const next = folders.shift()!
    const entries = await repository.objects().tree(next)
    if (entries === null) return missing(`the tree ${next === oid ? '' : `${next} `}of its commit ${oid}`)
    for (const { mode, oid: child } of entries) if (mode === '40000') folders.push(child)
    if (folders.length > MAX_WAITING) return null
  }
  return null
}

function missing(what: string): HeadgateError {
  return new HeadgateError('data', `${what} is missing or corrupt`)
}

/**
 * The commit of record `seq`, where `tip` holds record `head`; null where the history is too short. Walks commits, not
 * trees: a hundred thousand take git some tenths of a second.
 */
export async function commitOfRecord(
  repository: LedgerRepository,
  tip: Oid,
  head: number,
  seq: number,
): Promise<Oid | null> {
  if (seq > head || seq < 1) return null
  let text = ''
  const back = `--skip=${head - seq}`
  for await (const chunk of repository.stream([
    'rev-list',
    '--first-parent',
    '--max-count=1',
    back,
    tip,
    '--',
  ]))
    text += chunk.toString('latin1')
  const oid = text.trim()
  return isOid(oid) ? oid : null
}

/** The bytes of record `seq`, and where they lie; null where its commit has none. */
export async function entryOf(
  repository: LedgerRepository,
  tip: Oid,
  head: number,
  seq: number,
): Promise<AuditedCommit['entry']> {
  const oid = await commitOfRecord(repository, tip, head, seq)
  if (oid === null) return null
  for await (const [commit] of logCommits(repository, ['--max-count=1', oid]))
    if (commit !== undefined) return (await readCommit(repository, commit)).entry
  return null
}

async function readCommit(repository: LedgerRepository, commit: LedgerCommit): Promise<AuditedCommit> {
  const none = (problem: string): AuditedCommit => ({ ...commit, entry: null, problem })
  const added = addedBy(commit)
  if ('problem' in added) return none(added.problem)
  try {
    const blob = await repository.objects().read(added.oid, MAX_RECORD_BYTES)
    if (blob?.type !== 'blob') return none(`adds ${added.path}, which is missing`)
    return { ...commit, entry: { path: added.path, oid: added.oid, bytes: blob.body }, problem: '' }
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'data') throw error
    return none(`adds ${added.path}, which cannot be read: ${error.message}`)
  }
}

type Added = { readonly path: string; readonly oid: Oid } | { readonly problem: string }

/** The file of the one record that a commit adds. */
function addedBy({ parents, changes }: LedgerCommit): Added {
  if (parents.length > 1) return { problem: 'is a merge' }
  const entries = changes.filter(({ path }) => path.startsWith('entries/'))
  const [added] = entries
  if (entries.length !== 1 || added === undefined)
    return { problem: `changes ${entries.length} records, not one` }
  const { path, oid, status, mode } = added
  if (status !== 'A') return { problem: `does not add the file ${path} but changes what was there` }
  if (mode !== '100644') return { problem: `adds ${path} with the mode ${mode}, as no file is` }
  return { path, oid }
}
