/**
 * A ledger that holds every kind of statement and of move, audited by headgate, and by a second verifier that was
 * written from docs/ledger-format.md alone. And what the server itself could change in those kinds.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkReceipt, makeReceipt } from '../../src/audit/receipt.ts'
import { parseTrustAnchors } from '../../src/audit/trust-anchors.ts'
import { parseReleaseLog } from '../../src/core/release-log.ts'
import type { TestRepository } from '../make-repository.ts'
import { openRepository } from '../open-repository.ts'
import { eventfulRepository } from './eventful-repository.ts'
import { type Draft, Forger, isRecord, leaves, violations } from './forged-ledger.ts'

const SECOND = join(import.meta.dirname, 'second-verifier', 'verify.py')
const hasPython = spawnSync('python3', ['-c', 'import yaml']).status === 0
if (!hasPython) console.warn('python3 with PyYAML is missing: the second verifier is not run')

let repository: TestRepository
let forger: Forger

beforeAll(async () => {
  repository = eventfulRepository()
  forger = await Forger.of(repository)
}, 600_000)
afterAll(() => repository.remove())

/** The records of a kind, as places in the ledger. */
function places(
  kind: string,
  is: (record: (typeof forger.honest)[number]) => boolean = () => true,
): number[] {
  return forger.honest.flatMap((record, index) =>
    record.statement.kind === kind && is(record) ? [index] : [],
  )
}

function moveAt(index: number) {
  const { statement } = forger.honest[index]!
  if (statement.kind !== 'authorization') throw new TypeError('it is one')
  return statement.predicate['urn:headgate:move']
}

const OWN_KINDS = ['policy', 'authorization', 'outcome']

/** Changes one statement as the server could; what others signed keeps their signature. */
function restate(drafts: Draft[], index: number, change: (statement: any) => void): void {
  const own = OWN_KINDS.includes(forger.honest[index]!.statement.kind)
  const signing = own ? { key: forger.serverKey, namespace: 'headgate-ledger' } : undefined
  forger.rewrite(drafts[index]!, change, signing)
}

function restated(index: number, change: (statement: any) => void): Draft[] {
  const drafts = forger.drafts()
  restate(drafts, index, change)
  return forger.rechain(drafts)
}

test('it has all kinds of statements and moves, and no violation', async () => {
  const audit = await forger.auditHonest()
  expect(violations(audit)).toEqual([])
  expect(new Set(forger.honest.map(({ statement }) => statement.kind)).size).toBe(9)
  expect(new Set(audit.moves.map(({ kind }) => kind)).size).toBe(4)
  expect(new Set(audit.moves.map(({ enforcement }) => enforcement)).size).toBe(2)
  expect(audit.moves.some(({ outcome }) => outcome === 'not-landed')).toBe(true)
  expect(places('authorization').some((index) => moveAt(index).pushCertificate !== null)).toBe(true)
  const told = audit.findings.map(({ grade, rule, record }) => `${grade} ${rule}@${record}`)
  expect(told).toEqual([
    'exception installation@1',
    'note installation@2',
    'exception override@4',
    'note policy@6',
    'exception override@24',
    'exception policy@26',
    'note policy@26',
    'exception release-ref@30',
  ])
})

type Edits = { readonly index: number; readonly isWord: (path: string) => boolean }

/** Each record of these is changed in the same round, the first one in its first field, and so on. */
async function unfoundEdits(records: readonly Edits[]): Promise<string[]> {
  const edits = records.map(({ index, isWord }) => {
    const { payload } = forger.honest[index]!.envelope
    return leaves(JSON.parse(Buffer.from(payload, 'base64').toString('utf8'))).filter(
      ({ path }) => !isWord(path.join('.')),
    )
  })
  const unfound: string[] = []
  for (let round = 0; round < Math.max(...edits.map(({ length }) => length)); round++) {
    const drafts = forger.drafts()
    const done = new Set<number>()
    for (const [which, { index }] of records.entries()) {
      const edit = edits[which]?.[round]
      if (edit === undefined) continue
      const draft = structuredClone(drafts[index]!)
      restate(drafts, index, edit.change)
      // What is no record any more ends the audit there, and would hide the rest.
      if (!isRecord(drafts[index]!)) drafts[index] = draft
      else done.add(index)
    }
    const named = violations(await forger.audit(forger.forge(forger.rechain(drafts))))
    for (const [which, { index }] of records.entries()) {
      const edit = edits[which]?.[round]
      if (edit !== undefined && done.has(index) && !named.some((name) => name.endsWith(`@${index + 1}`)))
        unfound.push(`${index + 1} ${edit.path.join('.')}`)
    }
  }
  return unfound
}

describe('the server changes one field and seals all records again: found at the record', () => {
  const isWord = (path: string) =>
    /identitySource$|referenceTransaction$|objections\.\d+\.found$|pushCertificate$|facts\.staging$/.test(
      path,
    ) ||
    // What makes the audit stop, or the record one of another commit, is looked at one by one in tamper.test.ts.
    /^_type|^predicateType|^subject|move\.(?:kind|ref|from|to)$/.test(path)

  test('of a baseline, a move under evaluate mode, an override, a signed push; of a freeze, a drift note, an override, an invalidation, whose signature does not hold', {
    timeout: 300_000,
  }, async () => {
    const moves = places('authorization').filter(
      (index) =>
        ['bootstrap', 'override'].includes(moveAt(index).kind) ||
        moveAt(index).enforcement === 'evaluate' ||
        moveAt(index).pushCertificate !== null,
    )
    expect(moves).toHaveLength(4)
    const signed = ['freeze', 'drift', 'override', 'invalidation'].map((kind) => places(kind)[0]!)
    const unfound = await unfoundEdits([
      ...moves.map((index) => ({ index, isWord })),
      ...signed.map((index) => ({
        index,
        isWord: (path: string) => /^_type|^predicateType|^subject|\.to$/.test(path),
      })),
    ])
    expect(unfound).toEqual([])
  })

  test.for([
    ['the subject of a baseline', 'subject'],
    ['the staging branch of a move, which was nowhere', 'staging'],
    ['the staging branch of a move, which is no commit', 'no commit'],
    ['a fact of a move, which is not there any more', 'fact'],
  ] as const)('%s', async ([, what]) => {
    const baseline = places('authorization')[0]!
    const last = places('authorization').at(-1)!
    const facts = (statement: any) => statement.predicate['urn:headgate:move'].facts
    const changes = {
      subject: [baseline, (statement: any) => (statement.subject[0].digest.gitCommit = 'a'.repeat(40))],
      staging: [last, (statement: any) => (facts(statement).staging = '0'.repeat(40))],
      'no commit': [last, (statement: any) => (facts(statement).staging = 'main')],
      fact: [last, (statement: any) => delete facts(statement).signedBy],
    } as const
    const [index, change] = changes[what]
    const named = violations(await forger.audit(forger.forge(restated(index, change))))
    expect(named).toContain(`replay@${index + 1}`)
  })
})

describe('a server that lets things count a second time is found', () => {
  /** The honest ledger, and once more at its end the move of this authorization, with its outcome. */
  function again(index: number, result: 'landed' | 'not-landed' = 'landed'): Draft[] {
    const drafts = forger.drafts()
    const at = drafts.at(-1)!.at
    const seq = drafts.length + 1
    const outcome = places(
      'outcome',
      ({ statement }) =>
        statement.kind === 'outcome' && statement.predicate.authorization === forger.honest[index]!.seq,
    )[0]!
    const copies = [index, outcome].map((place) => ({ ...structuredClone(drafts[place]!), at }))
    const signing = { key: forger.serverKey, namespace: 'headgate-ledger' }
    forger.rewrite(copies[0]!, ({ predicate }) => (predicate.timeVerified = at), signing)
    forger.rewrite(
      copies[1]!,
      ({ predicate }) => {
        predicate.authorization = seq
        predicate.result = result
      },
      signing,
    )
    return forger.rechain([...drafts, ...copies])
  }

  test('approvals, whatever else is wrong with the move', async () => {
    const rollback = places('authorization').find((index) => moveAt(index).kind === 'rollback')!
    const found = await forger.audit(forger.forge(again(rollback)))
    expect(violations(found)).toContain(`approval@${forger.honest.length + 1}`)
    const { found: words } = found.findings.find(({ rule }) => rule === 'approval')!
    expect(words).toMatch(/it spends the approval in record \d+, which record \d+ had spent/)
  })

  test('an override', async () => {
    const override = places('authorization').findLast((index) => moveAt(index).kind === 'override')!
    const found = violations(await forger.audit(forger.forge(again(override))))
    expect(found).toContain(`approval@${forger.honest.length + 1}`)
  })

  test('a push certificate', async () => {
    const signed = places('authorization').find((index) => moveAt(index).pushCertificate !== null)!
    const audit = await forger.audit(forger.forge(again(signed)))
    const words = audit.findings.filter(({ record }) => record === forger.honest.length + 1)
    expect(words.map(({ rule }) => rule)).toContain('replay')
    expect(words.map(({ found }) => found).join()).toContain('[operator]')
  })

  test('an outcome: not landed with the branch at its target, and landed with it elsewhere', async () => {
    const outcomes = places('outcome')
    // Each second one, so that what is found at one of them does not come of the one before.
    for (const first of [0, 1]) {
      const changed = outcomes.filter((_, place) => place % 2 === first)
      const drafts = forger.drafts()
      for (const index of changed)
        restate(drafts, index, ({ predicate }) => {
          predicate.result = predicate.result === 'landed' ? 'not-landed' : 'landed'
        })
      const named = violations(await forger.audit(forger.forge(forger.rechain(drafts))))
      expect(named.filter((name) => name.startsWith('outcome@'))).toEqual(
        changed.map((index) => `outcome@${index + 1}`),
      )
    }
  })
})

test('a signature in another spelling of base64 is found by whoever has no key, too', async () => {
  for (const change of [
    (draft: Draft) => (draft.seal = draft.seal.replace(/=*$/, (end) => (end === '=' ? '' : `${end}=`))),
    (draft: Draft) => (draft.envelope.payload = draft.envelope.payload.replace(/=*$/, '')),
    (draft: Draft) => (draft.envelope.payload += '='),
  ]) {
    const drafts = forger.drafts()
    const before = JSON.stringify(drafts)
    for (const draft of drafts) change(draft)
    expect(JSON.stringify(drafts)).not.toBe(before)
    const audit = await forger.audit(forger.forge(drafts))
    expect(violations(audit).length).toBeGreaterThan(0)
    expect(new Set(violations(audit).map((name) => name.split('@')[0]))).not.toContain('replay')
  }
})

test('a receipt of a move to another commit than it is about does not hold', async () => {
  const index = places('authorization', ({ statement }) => statement.commit === moveAt(10).to)[0]!
  const anchors = parseTrustAnchors(forger.publicLine(forger.serverKey))
  const receipt = async (drafts: Draft[]) => {
    const opened = await openRepository(repository.bare)
    try {
      return Buffer.from(await makeReceipt(opened, forger.forge(drafts), index + 1))
    } finally {
      opened.close()
    }
  }
  expect(await checkReceipt(await receipt(forger.drafts()), anchors)).toMatchObject({ outcome: 'landed' })
  const elsewhere = restated(index, ({ predicate }) => {
    predicate['urn:headgate:move'].to = moveAt(places('authorization').at(-1)!).to
  })
  await expect(checkReceipt(await receipt(elsewhere), anchors)).rejects.toThrow('it says about the commit')
})

describe.skipIf(!hasPython)('the second verifier agrees', () => {
  /** What it finds in each of these ledger commits, as `check@record`. */
  function second(ledgers: readonly string[]): string[][] {
    const key = join(repository.bare, 'headgate', 'seal-key.pub')
    const named = ledgers.flatMap((ledger) => ['--ledger', ledger])
    const ran = repository.run('python3', [SECOND, repository.bare, ...named, '--seal-key', key], {
      env: { PATH: process.env.PATH ?? '', PYTHONDONTWRITEBYTECODE: '1' },
    })
    expect(ran.stderr).toBe('')
    const found: string[][] = [[]]
    for (const line of ran.stdout.trimEnd().split('\n')) {
      const { check, seq, violations } = JSON.parse(line)
      if (check !== undefined) found.at(-1)!.push(`${check}@${seq ?? '-'}`)
      else {
        expect(found.at(-1)).toHaveLength(violations)
        found.push([])
      }
    }
    expect(found.pop()).toEqual([])
    expect(ran.code).toBe(found.flat().length === 0 ? 0 : 77)
    return found
  }

  const facts = (statement: any) => statement.predicate['urn:headgate:move'].facts
  const forgeries: [string, () => (Draft | Buffer)[]][] = [
    [
      'a record is changed without a key',
      () => {
        const drafts = forger.drafts()
        drafts[14]!.by = 'eve'
        return drafts
      },
    ],
    ['a move is taken out', () => forger.rechain(forger.drafts().toSpliced(10, 2))],
    [
      'the clock goes back',
      () =>
        forger.rechain(
          forger.drafts().map((draft, index) => ({
            ...draft,
            at: index < 20 ? draft.at : new Date(Date.parse(draft.at) - 3_600_000).toISOString(),
          })),
        ),
    ],
    [
      'a promotion is called an override',
      () => restated(10, (own) => (own.predicate['urn:headgate:move'].kind = 'override')),
    ],
    [
      'a signed push loses its certificate',
      () => restated(27, (own) => (own.predicate['urn:headgate:move'].pushCertificate = null)),
    ],
    [
      'a signed push has another note',
      () => restated(27, (own) => (own.predicate['urn:headgate:move'].pushOptions = ['note=other'])),
    ],
    ['staging was nowhere', () => restated(32, (own) => (facts(own).staging = '0'.repeat(40)))],
  ]

  test('that it is in order, and what is wrong where something was changed', {
    timeout: 300_000,
  }, async () => {
    const tips = forgeries.map(([, forge]) => forger.forge(forge()))
    const [honest, ...seconds] = second(['refs/headgate/ledger', ...tips])
    expect(honest).toEqual([])
    for (const [at, tip] of tips.entries()) {
      const [what] = forgeries[at]!
      const first = new Set(violations(await forger.audit(tip, { readReleaseLog: parseReleaseLog })))
      expect(first.size, what).toBeGreaterThan(0)
      expect([...new Set(seconds[at])].sort(), what).toEqual([...first].sort())
    }
  })
})
