/**
 * A generated ledger, changed in every way by somebody who has no key, by somebody who has the server's, and by the
 * server itself. Each change is found and named, and none ends the audit.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseTrustAnchors } from '../../src/audit/trust-anchors.ts'
import { sha256 } from '../../src/core/canonical-json.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { type Draft, Forger, isRecord, leaves, sealOf, violations } from './forged-ledger.ts'

let repository: TestRepository
let forger: Forger
const commits: string[] = []

beforeAll(async () => {
  repository = new TestRepository({ prepare: releasedTwice })
  repository.release('three')
  commits.push(...lastCommits(repository, 3))
  const [, two = '', three = ''] = commits
  repository.mustRun(
    repository.submit(
      repository.sign(repository.approvalPayload(three, two), 'bob', 'headgate-approval'),
      'bob',
    ),
  )
  repository.mustRun(
    repository.push(`${two}:refs/heads/release`, { args: [`--force-with-lease=release:${three}`] }),
  )
  forger = await Forger.of(repository)
}, 300_000)
afterAll(() => repository.remove())

/** The record of a kind that comes first, with its place. */
function first(kind: string, drafts: Draft[]): { draft: Draft; index: number } {
  const index = forger.honest.findIndex(({ statement }) => statement.kind === kind)
  return { draft: drafts[index]!, index }
}

async function found(drafts: readonly (Draft | Buffer)[]): Promise<string[]> {
  return violations(await forger.audit(forger.forge(drafts)))
}

describe('an honest ledger', () => {
  test('has no finding', async () => {
    const audit = await forger.auditHonest()
    expect(audit.findings).toEqual([])
    expect(audit.unchecked.flatMap(({ rules }) => rules)).toEqual(['copy', 'seal'])
    expect(audit.moves.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      'promotion landed',
      'promotion landed',
      'promotion landed',
      'rollback landed',
    ])
  })

  test('has none when its commits are made by another program', async () => {
    expect(await found(forger.drafts())).toEqual([])
  })
})

const KINDS = ['policy', 'evidence', 'authorization', 'outcome', 'approval'] as const

describe('somebody without a key changes one field', () => {
  test.for(KINDS)(
    'of a record of kind %s: found at the record itself',
    { timeout: 300_000 },
    async (kind) => {
      for (const leaf of leaves(first(kind, forger.drafts()).draft)) {
        const drafts = forger.drafts()
        const { draft, index } = first(kind, drafts)
        leaf.change(draft)
        const what = `${kind} ${leaf.path.join('.')}`
        const named = await found(drafts)
        expect(
          named.filter((name) => /@(\d+)$/.exec(name)?.[1] === String(index + 1)),
          what,
        ).not.toEqual([])
      }
    },
  )
})

/** What only the server knows: who pushed and when, within the tolerance of clocks. A copy by somebody else shows it. */
const SERVERS_WORD = new Set([
  'policy predicate.sealKey',
  'authorization predicate.urn:headgate:move.facts.identitySource',
  'authorization predicate.urn:headgate:move.facts.referenceTransaction',
])

describe('the server changes one field of a statement, and seals all records again', () => {
  const statementOf = ({ envelope }: Draft) =>
    JSON.parse(Buffer.from(envelope.payload, 'base64').toString('utf8'))

  test.for(['policy', 'authorization', 'outcome'])(
    'of kind %s: found',
    { timeout: 300_000 },
    async (kind) => {
      for (const leaf of leaves(statementOf(first(kind, forger.drafts()).draft))) {
        const drafts = forger.drafts()
        const { draft } = first(kind, drafts)
        forger.rewrite(draft, leaf.change, { key: forger.serverKey, namespace: 'headgate-ledger' })
        const what = `${kind} ${leaf.path.join('.')}`
        const named = await found(forger.rechain(drafts))
        if (SERVERS_WORD.has(what)) continue
        expect(named, what).not.toEqual([])
      }
    },
  )

  test('of what others signed: found at the record itself', { timeout: 300_000 }, async () => {
    type Edit = { readonly index: number; readonly what: string; readonly change: (root: any) => void }
    const expectFound = async (edits: readonly Edit[]) => {
      const drafts = forger.drafts()
      for (const { index, change } of edits) forger.rewrite(drafts[index]!, change)
      const named = await found(forger.rechain(drafts))
      for (const { index, what } of edits)
        expect(named, what).toContainEqual(expect.stringMatching(`^(?:signature|record)@${index + 1}$`))
    }
    const together: { readonly round: string; readonly edit: Edit }[] = []
    for (const kind of ['evidence', 'approval'] as const) {
      const indexes = forger.honest.flatMap(({ statement }, index) =>
        statement.kind === kind ? [index] : [],
      )
      const own = leaves(statementOf(forger.drafts()[indexes[0]!]!))
      for (const [at, { path, change }] of own.entries()) {
        // Each record of the kind takes its turn; one audit looks at a field of each.
        const index = indexes[at % indexes.length]!
        const edit = { index, what: `${kind} ${path.join('.')}`, change }
        const drafts = forger.drafts()
        forger.rewrite(drafts[index]!, change)
        // What is no record any more ends the audit there, and would hide the rest.
        if (isRecord(drafts[index]!)) together.push({ round: `${Math.floor(at / indexes.length)}`, edit })
        else await expectFound([edit])
      }
    }
    expect(together.length).toBeGreaterThan(20)
    const rounds = Object.values(Object.groupBy(together, ({ round }) => round))
    for (const edits of rounds) await expectFound((edits ?? []).map(({ edit }) => edit))
  })
})

describe('records that are taken out, moved, doubled', () => {
  const places = Array.from({ length: 13 }, (_, index) => index)

  test('one is missing', { timeout: 300_000 }, async () => {
    for (const index of places.slice(0, -1)) {
      const drafts = forger.drafts()
      drafts.splice(index, 1)
      expect(await found(drafts)).toContain(`chain@${index + 1}`)
      const sealed = await found(forger.rechain(drafts))
      expect(sealed.length, `record ${index + 1}, and the chain made anew`).toBeGreaterThan(0)
    }
  })

  test('two have changed places', { timeout: 300_000 }, async () => {
    for (const index of places.slice(1)) {
      const drafts = forger.drafts()
      ;[drafts[index - 1], drafts[index]] = [drafts[index]!, drafts[index - 1]!]
      expect((await found(drafts))[0]).toMatch(`chain@${index}`)
    }
  })

  test('one stands twice', { timeout: 300_000 }, async () => {
    for (const index of places) {
      const drafts = forger.drafts()
      drafts.splice(index, 0, drafts[index]!)
      expect(await found(drafts)).toContain(`record@${index + 2}`)
      const sealed = await found(forger.rechain(drafts))
      expect(sealed.length, `record ${index + 1}, and the chain made anew`).toBeGreaterThan(0)
    }
  })

  test('the last ones are cut off: found by whoever verified them, or has one of them pinned', async () => {
    const { remember } = await forger.auditHonest()
    const last = forger.honest.at(-1)!
    for (const left of [12, 10, 1]) {
      const tip = forger.forge(forger.drafts().slice(0, left))
      expect(violations(await forger.audit(tip, { remembered: remember }))).toContain(`copy@${last.seq}`)
      const anchors = parseTrustAnchors(`record ${last.seq} ${last.hash}\n`)
      expect(violations(await forger.audit(tip, { anchors }))).toContain(`copy@${last.seq}`)
    }
  })
})

describe('keys', () => {
  test('all is sealed again by another key: found by whoever knows the key, or verified before', async () => {
    const drafts = forger.drafts()
    for (const [index, { statement }] of forger.honest.entries()) {
      const own = { key: forger.ownKey, namespace: 'headgate-ledger' }
      if (statement.kind === 'policy') {
        forger.rewrite(
          drafts[index]!,
          ({ predicate }) => (predicate.sealKey = forger.publicLine(forger.ownKey)),
          own,
        )
      } else if (statement.kind === 'authorization' || statement.kind === 'outcome') {
        forger.resign(drafts[index]!, forger.ownKey, 'headgate-ledger')
      }
    }
    const tip = forger.forge(forger.rechain(drafts, forger.ownKey))
    const anchors = parseTrustAnchors(forger.publicLine(forger.serverKey))
    const known = violations(await forger.audit(tip, { anchors }))
    expect(known[0]).toBe('seal@1')
    expect(known).toHaveLength(13)
    const { remember } = await forger.auditHonest()
    expect(violations(await forger.audit(tip, { remembered: remember }))).toEqual(['copy@13'])
  })

  test('some records are sealed by another key', async () => {
    const drafts = forger.drafts()
    const sealed = [...forger.rechain(drafts).slice(0, 9), ...forger.rechain(drafts, forger.ownKey).slice(9)]
    let previous = sealed[8]!
    for (const [index, draft] of sealed.slice(9).entries()) {
      draft.previous = sha256(forgedBytes(previous))
      sealed[index + 9] = forger.rechain([...sealed.slice(0, 9), draft], forger.ownKey).at(-1)!
      previous = sealed[index + 9]!
    }
    const audit = await forger.audit(forger.forge(sealed))
    expect(violations(audit)).toContain('seal@10')
    const finding = audit.findings.find(({ rule }) => rule === 'seal')
    expect(finding?.key).toMatch(/^SHA256:/)
    expect(finding?.fix).toContain('trust file')
  })

  test('a seal key that was replaced, and that the auditor knows of, is no finding; the old one does not return', async () => {
    const drafts = forger.drafts()
    const anchors = parseTrustAnchors(
      `# this year's\n${forger.publicLine(forger.serverKey)}\n\n${forger.publicLine(forger.ownKey)}\n`,
    )
    const renew = (from: number, to: number) => {
      let previous = '0'.repeat(64)
      return forger.drafts().map((draft, index) => {
        const key = index >= from && index < to ? forger.ownKey : forger.serverKey
        const { kind } = forger.honest[index]!.statement
        if (kind === 'authorization' || kind === 'outcome') forger.resign(draft, key, 'headgate-ledger')
        const [made] = forger.rechain([draft], key)
        const record = resealed(forger, { ...made!, seq: index + 1, previous }, key)
        previous = sha256(forgedBytes(record))
        return record
      })
    }
    expect(drafts).toHaveLength(13)
    expect(violations(await forger.audit(forger.forge(renew(4, 13)), { anchors }))).toEqual([])
    expect(violations(await forger.audit(forger.forge(renew(4, 7)), { anchors }))[0]).toBe('seal@8')
  })

  test.for([
    ['a key that nobody lists', 'mallory', 'headgate-evidence'],
    ['a key that is listed for something else', 'alice', 'headgate-evidence'],
    ['the right key for something else', 'ci', 'headgate-approval'],
  ])('evidence is signed again by %s', async ([, key = '', namespace = '']) => {
    const drafts = forger.drafts()
    const { draft, index } = first('evidence', drafts)
    const payload = Buffer.from(draft.envelope.payload, 'base64').toString('utf8')
    const envelope = JSON.parse(repository.sign(payload, key, namespace))
    draft.envelope.signatures = [{ sig: envelope.signatures[0].sig }]
    const audit = await forger.audit(forger.forge(forger.rechain(drafts)))
    expect(violations(audit)).toEqual(expect.arrayContaining([`signature@${index + 1}`, 'replay@3']))
    expect(audit.findings.find(({ rule }) => rule === 'signature')?.key).toMatch(/^SHA256:/)
  })
})

function forgedBytes(draft: Draft): string {
  const { at, by, envelope, previous, seal, seq } = draft
  const signatures = envelope.signatures.map(({ keyid, sig }) =>
    keyid === undefined ? { sig } : { keyid, sig },
  )
  const { payload, payloadType } = envelope
  return JSON.stringify({ at, by, envelope: { payload, payloadType, signatures }, previous, seal, seq })
}

function resealed(of: Forger, draft: Draft, key: typeof of.ownKey): Draft {
  const { seal: _, ...fields } = draft
  return { ...fields, seal: sealOf(fields, key) }
}
