/**
 * What every attack is measured by: all refs of the guarded repository, the ledger among them, before and after, the
 * rules that the answer names, and a ledger that still adds up, read here without headgate's own code.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { listRefs } from '../git-files.ts'
import type { Ran, TestRepository } from '../make-repository.ts'

/** Every ref of the bare repository with its value, headgate's own among them, and where HEAD points. */
export function allRefs(repository: TestRepository): string[] {
  const read = listRefs(repository.bare)
  const listed =
    read === null
      ? repository.server('for-each-ref', '--format=%(refname) %(objectname) %(symref)').split('\n')
      : [...read].map(([name, { oid, symref }]) => `${name} ${oid} ${symref}`)
  return [...listed, `HEAD ${readFileSync(join(repository.bare, 'HEAD'), 'utf8')}`]
}

/** The names of the rules in a refusal, each once, sorted. */
export function rulesIn(text: string): string[] {
  const named = text
    .split('\n')
    .flatMap((line) => /^(?:remote:)? {2,3}\[([a-z-]+)\]\s*$/.exec(line)?.[1] ?? [])
  return [...new Set(named)].sort()
}

/** What the server said, as one line: prose is wrapped, and where is of no interest to an attack. */
export function spoken(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replace(/^remote: ?/, '').trim())
    .join(' ')
    .replace(/ +/g, ' ')
}

type Attack = () => Ran | Promise<Ran>

/** The attack fails, the answer names exactly these rules, and no ref has changed, the ledger's neither. */
export async function expectRefused(
  repository: TestRepository,
  rules: readonly string[],
  attack: Attack,
): Promise<any> {
  const before = allRefs(repository)
  const ran = await attack()
  expect({ rules: rulesIn(ran.all), text: ran.all }).toEqual({ rules: [...rules].sort(), text: ran.all })
  expect(ran.code, ran.all).not.toBe(0)
  expect(allRefs(repository)).toEqual(before)
  return ran
}

/** A submission that must be refused: what it is, its bytes, and what the refusal says. */
export type Refusable = {
  readonly name: string
  readonly envelope: string | Buffer
  readonly reason?: string | undefined
}

/**
 * Each of these submissions is refused for itself, all of them in one push: a push starts some thirty processes, and the
 * server judges every submission whatever becomes of the others.
 */
export async function expectAllRefused(
  repository: TestRepository,
  submissions: readonly Refusable[],
): Promise<void> {
  const { all } = await expectRefused(repository, ['inbox'], () =>
    repository.push(submissions.map(({ envelope }) => repository.inboxRefspec(envelope))),
  )
  const parts: string[] = all.split(/^(?=remote: refs\/headgate\/inbox\/)/m)
  for (const { name, envelope, reason = '' } of submissions) {
    const ref = `refs/headgate/inbox/${createHash('sha256').update(envelope).digest('hex')}:`
    const told = parts.filter((part) => part.startsWith(`remote: ${ref}`))
    expect([name, told.map(rulesIn)]).toEqual([name, [['inbox']]])
    expect(spoken(told.join('')), name).toContain(reason)
  }
  expectPlainText(all)
}

/** The push succeeds, and of all refs only these have changed: name to new value, null for gone. */
export async function expectChanged(
  repository: TestRepository,
  changed: Readonly<Record<string, string | null>>,
  push: Attack,
): Promise<Ran> {
  const before = refMap(repository)
  const ran = await push()
  expect(ran.code, ran.all).toBe(0)
  const after = refMap(repository)
  const differing: Record<string, string | null> = {}
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    if (before.get(name) === after.get(name) || name === 'refs/headgate/ledger') continue
    differing[name] = after.get(name) ?? null
  }
  expect(differing, ran.all).toEqual(changed)
  return ran
}

function refMap(repository: TestRepository): Map<string, string> {
  return new Map(
    allRefs(repository).map((line) => {
      const [name = '', value = ''] = line.split(' ')
      return [name, value]
    }),
  )
}

export type PlainRecord = {
  readonly seq: number
  readonly previous: string
  readonly at: string
  readonly by: string
  readonly envelope: any
  readonly seal: string
  readonly kind: string
  readonly commit: string
  readonly predicate: any
}

type ReadLedger = { readonly tip: string; readonly records: readonly PlainRecord[]; readonly digest: string }

const readLedgers = new WeakMap<TestRepository, ReadLedger>()
const NOTHING_READ: ReadLedger = { tip: '', records: [], digest: '0'.repeat(64) }

/** All records of the ledger in order, each linked to the one before, read with plain git; what was read is remembered. */
export function ledgerRecords(repository: TestRepository): PlainRecord[] {
  const tip = repository.ref('refs/headgate/ledger') ?? ''
  const known = readLedgers.get(repository) ?? NOTHING_READ
  if (tip !== '' && known.tip === tip) return [...known.records]
  const ledger = readOn(repository, tip, known) ?? readOn(repository, tip, NOTHING_READ)
  if (ledger === null) throw new Error(`the ledger at ${tip} is no chain`)
  readLedgers.set(repository, ledger)
  return [...ledger.records]
}

/** Null where the ledger does not go on from what is known. */
function readOn(repository: TestRepository, tip: string, known: ReadLedger): ReadLedger | null {
  const options = [
    '--reverse',
    '--ignore-missing',
    '--diff-filter=A',
    '--no-renames',
    '--text',
    '-p',
    '--format=',
  ]
  const range = known.tip === '' ? [tip] : [tip, `^${known.tip}`]
  const patch = repository.server('log', ...options, ...range, '--', 'entries').split('\n')
  const isNew = known === NOTHING_READ
  const records: PlainRecord[] = [...known.records]
  let digest = known.digest
  let path = ''
  for (const line of patch) {
    if (line.startsWith('+++ b/')) path = line.slice('+++ b/'.length)
    // A record has no line break in it, and the path has been said.
    else if (line.startsWith('+')) {
      const record = JSON.parse(line.slice(1))
      if (!isNew && record.previous !== digest) return null
      expect(record.seq).toBe(records.length + 1)
      expect(record.previous).toBe(digest)
      digest = createHash('sha256').update(line.slice(1)).digest('hex')
      records.push(plainRecord(path, record))
    }
  }
  return records.length === known.records.length && !isNew ? null : { tip, records, digest }
}

function plainRecord(path: string, record: any): PlainRecord {
  const statement = JSON.parse(Buffer.from(record.envelope.payload, 'base64').toString('utf8'))
  const kind = /-([a-z]+)\.json$/.exec(path)?.[1] ?? ''
  return { ...record, kind, commit: statement.subject[0].digest.gitCommit, predicate: statement.predicate }
}

/**
 * The ledger adds up: one chain; every authorization has at most one outcome; the landed moves of release go on from one
 * another; no envelope is spent by two landed moves; and release is where the last of them put it.
 */
export function expectSoundLedger(
  repository: TestRepository,
  options: { readonly drifted?: boolean; readonly release?: string } = {},
): PlainRecord[] {
  const records = ledgerRecords(repository)
  const ref = `refs/heads/${options.release ?? 'release'}`
  const authorizations = new Map<number, any>()
  const closed = new Set<number>()
  const spent = new Set<string>()
  let landed = ''
  for (const { seq, kind, predicate, envelope } of records) {
    if (kind === 'authorization') authorizations.set(seq, predicate)
    if (kind === 'drift' && predicate.ref === ref) landed = predicate.found
    if (kind !== 'outcome') continue
    const { authorization, result } = predicate
    expect(authorizations.has(authorization), `outcome ${seq} closes an authorization`).toBe(true)
    expect(closed.has(authorization), `authorization ${authorization} has one outcome`).toBe(false)
    closed.add(authorization)
    if (result !== 'landed') continue
    const { 'urn:headgate:move': move, inputAttestations } = authorizations.get(authorization)
    if (landed !== '' && move.kind !== 'bootstrap') expect(move.from).toBe(landed)
    landed = move.to
    if (move.kind === 'rollback' || move.kind === 'override') {
      for (const input of inputAttestations) {
        const statement = records.find((record) => digestOf(record.envelope) === input.digest.sha256)
        if (statement?.kind !== 'approval' && statement?.kind !== 'override') continue
        expect(spent.has(input.digest.sha256), `record ${statement.seq} is spent once`).toBe(false)
        spent.add(input.digest.sha256)
      }
    }
    expect(envelope).toBeTruthy()
  }
  const actual = repository.ref(ref) ?? '0'.repeat(landed.length)
  if (options.drifted !== true && landed !== '') expect(actual).toBe(landed)
  return records
}

function digestOf(envelope: any): string {
  // Keys sorted by hand: this is RFC 8785 for an envelope, whose values are base64 and ASCII.
  const signatures = envelope.signatures.map(({ keyid, sig }: any) =>
    keyid === undefined ? { sig } : { keyid, sig },
  )
  const text = JSON.stringify({ payload: envelope.payload, payloadType: envelope.payloadType, signatures })
  return createHash('sha256').update(text).digest('hex')
}

/** The kinds of the ledger's records from `from` on, for saying what exactly a push recorded. */
export function kindsSince(repository: TestRepository, count: number): string[] {
  return ledgerRecords(repository)
    .slice(count)
    .map((record) => (record.kind === 'outcome' ? record.predicate.result : record.kind))
}

/** No byte that a terminal acts on: no control character but the line break, nothing invisible, nothing that turns text. */
export function expectPlainText(text: string): void {
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/u)
}
