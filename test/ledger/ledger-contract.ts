/** What every ledger must do, whatever stores it. Run it with a factory for each storage. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/core/canonical-json.ts'
import { advanceState, emptyState } from '../../src/core/state.ts'
import { EMPTY_HEAD, type Ledger, type LedgerRecord, type NewRecord } from '../../src/ledger/ledger.ts'
import { parseRecord } from '../../src/ledger/record.ts'
import {
  authorization,
  evidence,
  freeze,
  invalidation,
  isSealed,
  oidOf,
  outcome,
  policy,
  rawRecord,
  time,
  ZEROS,
} from './records.ts'

export type Storage = {
  /** Opens the same storage again, as another process would: without anything that an earlier one remembers. */
  open(): Promise<Ledger>
  close(): Promise<void>
}

export function describeLedger(name: string, makeStorage: () => Promise<Storage>): void {
  describe(`${name}: the ledger's contract`, () => {
    let storage: Storage
    let ledger: Ledger
    beforeEach(async () => {
      storage = await makeStorage()
      ledger = await storage.open()
    })
    afterEach(() => storage.close())

    /** Appends on whatever the head is. */
    async function add(...records: NewRecord[]): Promise<readonly LedgerRecord[]> {
      const appended = await ledger.append(await ledger.head(), records)
      if (appended.kind === 'stale') throw new Error('stale in a test that appends alone')
      return appended.records
    }
    const all = (from = 1, of: Pick<Ledger, 'read'> = ledger) => collect(of.read(from))
    const seqs = (records: readonly LedgerRecord[]) => records.map(({ seq }) => seq)
    const a = oidOf('a')
    const b = oidOf('b')

    test('an empty ledger has head 0 and nothing in it', async () => {
      expect(await ledger.head()).toEqual({ seq: 0, hash: '0'.repeat(64) })
      const snapshot = await ledger.snapshot()
      expect(snapshot.head).toEqual(EMPTY_HEAD)
      expect(snapshot.state).toEqual(emptyState)
      expect(await snapshot.policyInForce()).toBeNull()
      expect(await snapshot.policyVersion(1)).toBeNull()
      expect(await snapshot.about(a)).toEqual([])
      expect(await ledger.about(a)).toEqual([])
      expect(await all()).toEqual([])
    })

    test('what was appended is there for whoever opens the ledger next', async () => {
      const appended = await ledger.append(EMPTY_HEAD, [evidence(a)])
      expect(appended.kind).toBe('appended')
      const other = await storage.open()
      expect(await other.head()).toEqual(appended.head)
      expect(await all(1, other)).toEqual(appended.kind === 'appended' ? appended.records : [])
    })

    test('records form a chain: numbered from 1, each naming the hash of the one before, each sealed', async () => {
      await add(evidence(a))
      await add(invalidation(a), evidence(b, 2))
      await add(policy(1, 'version: 1\n', '# none\n'))
      let previous = EMPTY_HEAD
      for (const record of await all()) {
        expect(record.seq).toBe(previous.seq + 1)
        expect(record.previous).toBe(previous.hash)
        expect(record.hash).toBe(sha256(record.bytes))
        expect(parseRecord(record.bytes)).toEqual(record)
        expect(isSealed(record)).toBe(true)
        previous = { seq: record.seq, hash: record.hash }
      }
      expect(await ledger.head()).toEqual(previous)
      expect(previous.seq).toBe(4)
    })

    test('a record keeps what the caller said, to the character', async () => {
      const said = invalidation(
        a,
        'Zürich \u{1f6a6} "quoted" \\ \u0000\u001b[31m\r\n<tag>',
        'Ünïcode ☂ '.padEnd(256, 'x'),
        7,
      )
      const [appended] = await add(said)
      const [record] = await (await storage.open()).about(a)
      expect(record).toEqual(appended)
      expect({ at: record?.at, by: record?.by, envelope: record?.envelope }).toEqual(said)
    })

    test('an append on a stale head is refused and writes nothing', async () => {
      const [first] = await add(evidence(a))
      const [second] = await add(evidence(b))
      const head = { seq: 2, hash: second!.hash }
      const wrong = [
        EMPTY_HEAD,
        { seq: 1, hash: first!.hash },
        { seq: 2, hash: first!.hash },
        { seq: 3, hash: second!.hash },
      ]
      for (const expected of wrong) {
        expect(await ledger.append(expected, [invalidation(a)])).toEqual({ kind: 'stale', head })
        expect(await (await storage.open()).append(expected, [invalidation(a)])).toEqual({
          kind: 'stale',
          head,
        })
      }
      expect(await ledger.head()).toEqual(head)
      expect(seqs(await all())).toEqual([1, 2])
    })

    test('several records in one append are stored in their order', async () => {
      const records = await add(evidence(a), evidence(b), invalidation(a))
      expect(seqs(records)).toEqual([1, 2, 3])
      expect(await all()).toEqual(records)
    })

    test('several records in one append are stored all or none', async () => {
      await add(evidence(a))
      const head = await ledger.head()
      await expect(ledger.append(head, [evidence(b), rawRecord('{}')])).rejects.toMatchObject({
        code: 'data',
      })
      expect(await ledger.head()).toEqual(head)
      expect(await ledger.about(b)).toEqual([])
    })

    test.each<[string, NewRecord]>([
      ['a time without milliseconds', { ...evidence(oidOf('a')), at: '2026-01-31T12:00:00Z' }],
      ['a time with an offset', { ...evidence(oidOf('a')), at: '2026-01-31T12:00:00.000+01:00' }],
      ['a day that does not exist', { ...evidence(oidOf('a')), at: '2026-02-30T12:00:00.000Z' }],
      ['nobody', { ...evidence(oidOf('a')), by: '' }],
      ['too long a name', { ...evidence(oidOf('a')), by: 'x'.repeat(257) }],
      ['half a character', { ...evidence(oidOf('a')), by: '\ud800' }],
      [
        'no signature',
        { ...evidence(oidOf('a')), envelope: { ...evidence(oidOf('a')).envelope, signatures: [] } },
      ],
      [
        'a payload that is not base64',
        { ...evidence(oidOf('a')), envelope: { ...evidence(oidOf('a')).envelope, payload: 'a=b' } },
      ],
      ['a payload that is no statement', rawRecord('hello')],
      ['more than 1 MiB', policy(1, 'x'.repeat(1024 * 1024), '')],
    ])('a record with %s is an error and nothing is written', async (_, record) => {
      await expect(ledger.append(EMPTY_HEAD, [record])).rejects.toMatchObject({
        name: 'HeadgateError',
        code: 'data',
      })
      expect(await ledger.head()).toEqual(EMPTY_HEAD)
    })

    test('an append of nothing, or of more than 1000 records, is a mistake of the caller', async () => {
      await expect(ledger.append(EMPTY_HEAD, [])).rejects.toThrow(RangeError)
      await expect(ledger.append(EMPTY_HEAD, new Array(1001).fill(evidence(a)))).rejects.toThrow(RangeError)
    })

    test('about() tells all records about one commit, in order, and no others', async () => {
      // Neighbours: ids that share their first digits, and the id of the other hash that begins alike.
      const near = `${a.slice(0, 39)}${a.endsWith('0') ? '1' : '0'}`
      const long = `${a}${'0'.repeat(24)}`
      await add(evidence(a, 1), evidence(near, 2), invalidation(a, 'no', 'bob', 3), evidence(long, 4))
      await add(evidence(b, 5), evidence(a, 6))
      expect(seqs(await ledger.about(a))).toEqual([1, 3, 6])
      expect(seqs(await ledger.about(near))).toEqual([2])
      expect(seqs(await ledger.about(long))).toEqual([4])
      expect(await ledger.about(oidOf('unknown'))).toEqual([])
      expect((await ledger.about(a)).map(({ statement }) => statement.kind)).toEqual([
        'evidence',
        'invalidation',
        'evidence',
      ])
      await expect(ledger.about('main')).rejects.toMatchObject({ code: 'data' })
    })

    test('read(from) tells the records from there on, in order', async () => {
      await add(...Array.from({ length: 100 }, (_, index) => evidence(oidOf(`commit ${index}`), index)))
      await add(evidence(a), evidence(b))
      expect(seqs(await all())).toEqual(Array.from({ length: 102 }, (_, index) => index + 1))
      expect(seqs(await all(101))).toEqual([101, 102])
      expect(seqs(await all(102))).toEqual([102])
      expect(await all(103)).toEqual([])
      await expect(all(0)).rejects.toThrow(RangeError)
      await expect(all(1.5)).rejects.toThrow(RangeError)
    })

    test('a reader may stop early', async () => {
      await add(...Array.from({ length: 60 }, (_, index) => evidence(oidOf(`commit ${index}`))))
      for await (const record of ledger.read(1)) if (record.seq === 3) break
      expect((await ledger.head()).seq).toBe(60)
    })

    test('the state of a snapshot is the fold of all records', async () => {
      await add(policy(1, 'one\n', 'signers\n'), authorization(ZEROS, a), outcome(a, 2, 1))
      await add(authorization(a, b, true, 2))
      await add(outcome(b, 4, 3), authorization(b, a, false, 4), outcome(a, 6, 5))
      await add(freeze(a, 6), authorization(a, b, true, 7))
      const { state, head } = await (await storage.open()).snapshot()
      const folded = (await all()).reduce(advanceState, emptyState)
      expect(state).toEqual(folded)
      expect(head.seq).toBe(9)
      expect(state.landed['refs/heads/release']?.to).toBe(a)
      expect(state.bars.map(({ commit }) => commit)).toEqual([b])
      expect(state.open.map(({ seq }) => seq)).toEqual([9])
      expect(state.freeze?.until).toBe(time(66))
    })

    test('a snapshot stays as it was while others append', async () => {
      await add(policy(1, 'one', 's1'), evidence(a))
      const snapshot = await ledger.snapshot()
      const before = { head: snapshot.head, state: structuredClone(snapshot.state) }
      await add(policy(2, 'two', 's2'), invalidation(a), freeze(a))
      expect({ head: snapshot.head, state: snapshot.state }).toEqual(before)
      expect(seqs(await snapshot.about(a))).toEqual([2])
      expect(seqs(await all(1, snapshot))).toEqual([1, 2])
      expect(await snapshot.policyInForce()).toEqual({ version: 1, policy: 'one', allowedSigners: 's1' })
      expect(await snapshot.policyVersion(2)).toBeNull()
    })

    test('every policy stays readable as it was applied, byte for byte; the last one is in force', async () => {
      const crlf = 'version: 1\r\n# ä \u{1f6a6}\r\nno newline at the end'
      await add(policy(1, crlf, ''), evidence(a), policy(3, 'version: 1\n', 'alice ssh-ed25519 AAAA\n'))
      const snapshot = await (await storage.open()).snapshot()
      const third = { version: 3, policy: 'version: 1\n', allowedSigners: 'alice ssh-ed25519 AAAA\n' }
      expect(await snapshot.policyInForce()).toEqual(third)
      expect(await snapshot.policyVersion(1)).toEqual({ version: 1, policy: crlf, allowedSigners: '' })
      expect(await snapshot.policyVersion(2)).toBeNull()
      expect(await snapshot.policyVersion(3)).toEqual(third)
      expect(seqs(await snapshot.about(ZEROS))).toEqual([1, 3])
    })

    test('a policy whose version does not go up is refused', async () => {
      await add(policy(2, 'two', ''))
      const head = await ledger.head()
      for (const version of [1, 2]) {
        await expect(ledger.append(head, [policy(version, 'x', '')])).rejects.toMatchObject({
          code: 'configuration',
        })
      }
      await expect(ledger.append(head, [policy(3, 'x', ''), policy(3, 'y', '')])).rejects.toMatchObject({
        code: 'configuration',
      })
      expect(await ledger.head()).toEqual(head)
    })

    test('a policy text that does not have the digest it names is refused', async () => {
      await expect(ledger.append(EMPTY_HEAD, [policy(1, 'one', '', 'other')])).rejects.toMatchObject({
        code: 'data',
      })
      expect(await ledger.head()).toEqual(EMPTY_HEAD)
    })

    test('of several who append on one head exactly one gets it; nobody loses a record by retrying', async () => {
      const ledgers = await Promise.all(Array.from({ length: 6 }, () => storage.open()))
      // The very same record from each: even then each append that succeeds has a record of its own.
      const tries = await Promise.all(ledgers.map((one) => one.append(EMPTY_HEAD, [evidence(a)])))
      expect(tries.filter(({ kind }) => kind === 'appended')).toHaveLength(1)
      const winner = tries.find(({ kind }) => kind === 'appended')!
      for (const { head } of tries) expect(head).toEqual(winner.head)

      await Promise.all(
        ledgers.map(async (one) => {
          while ((await one.append(await one.head(), [evidence(b)])).kind === 'stale');
        }),
      )
      expect(seqs(await ledger.about(b))).toEqual([2, 3, 4, 5, 6, 7])
      expect(
        (await all()).reduce(
          (hash, record) => (record.previous === hash ? record.hash : 'broken'),
          EMPTY_HEAD.hash,
        ),
      ).toBe((await ledger.head()).hash)
    })
  })
}

export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const value of values) collected.push(value)
  return collected
}
