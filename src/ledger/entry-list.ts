/** The records that a ledger holds, by the names of their files: which they are is known before any is read. */
import { isOid, type Oid } from '../core/oid.ts'
import type { LedgerRepository } from './ledger-repository.ts'
import { readEntry } from './ledger-tree.ts'
import type { LedgerRecord } from './record.ts'

export type ListedEntry = {
  readonly seq: number
  readonly kind: string
  /** The commit that it is about. */
  readonly commit: Oid
  readonly path: string
  readonly oid: Oid
}

/** Read at once: enough to keep git busy. */
const BATCH = 64

/** In the order of the ledger. What is not named as a record is, is left out: an audit finds it. */
export async function listEntries(repository: LedgerRepository, tip: Oid): Promise<ListedEntry[]> {
  let text = ''
  for await (const chunk of repository.stream(['ls-tree', '-r', '-z', '--full-tree', tip, '--', 'entries/']))
    text += chunk.toString('utf8')
  const entries = text.split('\0').flatMap((line): ListedEntry[] => {
    const [, oid = '', path = ''] = /^100644 blob ([0-9a-f]+)\t(.*)$/s.exec(line) ?? []
    const named = /^entries\/([0-9a-f]{2})\/([0-9a-f]+)\/(\d{8,15})-([a-z]+)\.json$/.exec(path)
    if (named === null || !isOid(oid)) return []
    const [, start = '', rest = '', seq = '', kind = ''] = named
    return [{ seq: Number(seq), kind, commit: start + rest, path, oid }]
  })
  return entries.sort((a, b) => a.seq - b.seq)
}

/** The records of these entries, in order. Throws HeadgateError 'data' naming the first bad one. */
export async function* readEntries(
  repository: LedgerRepository,
  entries: readonly ListedEntry[],
): AsyncGenerator<LedgerRecord, void, undefined> {
  for (let start = 0; start < entries.length; start += BATCH) {
    const batch = entries.slice(start, start + BATCH)
    yield* await Promise.all(batch.map(({ path, oid }) => readEntry(repository.objects(), path, oid)))
  }
}
