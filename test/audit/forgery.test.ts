/** What somebody with the server's own key can write, and what git can be made to do beside the records. */
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reportOf } from '../../src/audit/report.ts'
import { statementPayload } from '../../src/core/statement.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { REPOSITORY_NAME, TestRepository } from '../make-repository.ts'
import { type Draft, Forger, violations } from './forged-ledger.ts'

let repository: TestRepository
let forger: Forger
let one = ''
let two = ''

beforeAll(async () => {
  repository = new TestRepository({ prepare: releasedTwice })
  ;[one = '', two = ''] = lastCommits(repository, 2)
  forger = await Forger.of(repository)
}, 300_000)
afterAll(() => repository.remove())

/** Adds a record of the server's own at the end, or where `at` says. */
function withOwn(payload: string, at = forger.honest.length, by = 'alice'): Draft[] {
  const drafts = forger.drafts()
  const time = drafts[Math.min(at, drafts.length - 1)]!.at
  const envelope = structuredClone(forger.serverEnvelope(payload)) as Draft['envelope']
  drafts.splice(at, 0, { seq: 0, previous: '', at: time, by, envelope, seal: '' })
  return forger.rechain(drafts)
}

async function audit(drafts: readonly (Draft | Buffer)[]) {
  return forger.audit(forger.forge(drafts))
}

describe('the server makes up records', () => {
  test('a move that nothing supports', async () => {
    const template = forger.honest.findLast(({ statement }) => statement.kind === 'authorization')
    if (template?.statement.kind !== 'authorization') throw new Error('there is one')
    const predicate = structuredClone(template.statement.predicate) as any
    predicate['urn:headgate:move'].from = two
    predicate['urn:headgate:move'].to = one
    predicate['urn:headgate:move'].facts.fastForward = false
    predicate['urn:headgate:move'].kind = 'rollback'
    predicate.timeVerified = forger.honest.at(-1)!.at
    const found = await audit(withOwn(statementPayload('authorization', REPOSITORY_NAME, one, predicate)))
    expect(violations(found)).toContain(`replay@${forger.honest.length + 1}`)
    const finding = found.findings.find(({ rule }) => rule === 'replay')
    expect(finding?.found).toContain('[approval]')
    expect(finding?.commit).toBe(one)
    expect(finding?.key).toMatch(/^SHA256:/)
  })

  test.for([
    ['allowed_signers of another time', { allowedSigners: '0'.repeat(64) }],
    ['no allowed_signers at all', { allowedSigners: undefined }],
    ['no source of names', { identitySource: '' }],
    ['an unknown source of names', { identitySource: 'hearsay' }],
  ] as const)('an authorization that names %s', async ([, change]) => {
    const drafts = forger.drafts()
    const index = forger.honest.findIndex(({ statement }) => statement.kind === 'authorization')
    forger.rewrite(
      drafts[index]!,
      (statement) => Object.assign(statement.predicate['urn:headgate:move'].facts, change),
      { key: forger.serverKey, namespace: 'headgate-ledger' },
    )
    expect(violations(await audit(forger.rechain(drafts)))).toContain(`replay@${index + 1}`)
  })

  test('an outcome for nothing, before a date: what is left out of a list is not told as passed', async () => {
    const predicate = { authorization: 3, result: 'landed' as const, observed: one }
    const found = await audit(withOwn(statementPayload('outcome', REPOSITORY_NAME, one, predicate)))
    const since = Date.parse(forger.honest.at(-1)!.at) + 1
    const report = reportOf(found, { remote: 'origin', now: Date.now(), since, unchecked: [], findings: [] })
    expect(report.findings).toEqual([])
    const check = report.checks.find(({ rule }) => rule === 'outcome')
    expect(check).toMatchObject({ grade: 'unchecked', unchecked: expect.stringContaining('a violation of') })
    expect(report.verdict).toContain('outcome')
  })

  test('a record dated back to before the date from which on somebody looks', async () => {
    const predicate = { authorization: 3, result: 'landed' as const, observed: one }
    const drafts = withOwn(statementPayload('outcome', REPOSITORY_NAME, one, predicate))
    drafts.at(-1)!.at = '2020-01-01T00:00:00.000Z'
    const found = await audit(forger.rechain(drafts))
    const since = Date.parse('2021-01-01')
    const report = reportOf(found, { remote: 'origin', now: Date.now(), since, unchecked: [], findings: [] })
    expect(report.findings.map(({ rule, grade }) => `${grade} ${rule}`)).toContain('violation clock')
    expect(report.outcome).toBe('refused')
  })

  test('an outcome for nothing', async () => {
    const predicate = { authorization: 3, result: 'landed' as const, observed: one }
    const found = await audit(withOwn(statementPayload('outcome', REPOSITORY_NAME, one, predicate)))
    expect(violations(found)).toEqual([`outcome@${forger.honest.length + 1}`])
  })

  test.for([
    [
      'an old version comes back',
      (predicate: any) => {
        predicate.version = 1
      },
      ['policy', 'tree'],
    ],
    [
      'a version is left out',
      (predicate: any) => {
        predicate.version = 3
      },
      ['policy'],
    ],
    [
      'its text is not that of its digest',
      (predicate: any) => {
        predicate.policy.text += '# x\n'
      },
      ['policy'],
    ],
    [
      'it cannot be read',
      (predicate: any) => {
        predicate.policy.text = 'version: 9\n'
      },
      ['policy'],
    ],
    [
      'it names another seal key',
      (predicate: any) => {
        predicate.sealKey = forger.publicLine(forger.ownKey)
      },
      ['seal'],
    ],
  ] as const)('a policy: %s', async ([, change, rules]) => {
    const first = forger.honest[0]
    if (first?.statement.kind !== 'policy') throw new Error('it is one')
    const predicate = structuredClone(first.statement.predicate) as any
    predicate.version = 2
    change(predicate)
    const payload = statementPayload('policy', REPOSITORY_NAME, two, predicate)
    const named = violations(await audit(withOwn(payload, forger.honest.length, 'admin root')))
    for (const rule of rules) expect(named).toContain(`${rule}@${forger.honest.length + 1}`)
  })

  test('a policy that lists a key of the server lets it sign evidence from then on, and never before', async () => {
    const drafts = forger.drafts()
    forger.resign(drafts[1]!, forger.ownKey, 'headgate-evidence')
    forger.rewrite(drafts[0]!, () => {}, { key: forger.serverKey, namespace: 'headgate-ledger' })
    expect(violations(await audit(forger.rechain(drafts)))).toContain('signature@2')
  })
})

test('a record that is dated back to before an audit which did not see it', async () => {
  const drafts = forger.drafts()
  const start = Date.parse(drafts[0]!.at)
  const end = drafts.length - 3
  const at = (index: number, ms: number) => new Date(start + ms + index).toISOString()
  // What was verified ends before the last three records, which are made later and say an earlier time.
  const early = drafts.map((draft, index) => ({ ...draft, at: at(index, 0) }))
  for (const draft of early) {
    const { kind } = forger.honest[early.indexOf(draft)]!.statement
    if (kind === 'authorization')
      forger.rewrite(draft, ({ predicate }) => (predicate.timeVerified = draft.at), {
        key: forger.serverKey,
        namespace: 'headgate-ledger',
      })
  }
  const forged = forger.rechain(early)
  const now = start + 3_600_000
  const commits = forger.commits(forged)
  const options = { now, seenAt: now, branches: null }
  const first = await forger.audit(forger.write(commits.slice(0, end)), options)
  expect(violations(first)).toEqual([])
  for (const fromStart of [false, true]) {
    const later = { ...options, now: now + 60_000, fromStart, remembered: first.remember }
    const found = await forger.audit(forger.write(commits), later)
    const late = [end + 1, end + 2, end + 3].map((seq) => `clock@${seq}`)
    expect(violations(found).filter((name) => name.startsWith('clock'))).toEqual(late)
    expect(found.remember).toBeNull()
  }
  // Within five minutes it may be the clocks; and what was fetched at another time was not seen then.
  for (const seenAt of [start + 290_000, null]) {
    const remembered = { ...first.remember!, seenAt }
    const found = await forger.audit(forger.write(commits), { ...options, remembered })
    expect(violations(found)).toEqual([])
  }
})

describe('the clock', () => {
  test.for([
    ['goes back by an hour', -3_600_000, /the clock went back/],
    ['is in the future', 3_600_000, /still to come/],
  ] as const)('%s', async ([, by, words]) => {
    const drafts = forger.drafts()
    for (const draft of drafts.slice(4)) draft.at = new Date(Date.parse(draft.at) + by).toISOString()
    const found = await audit(forger.rechain(drafts))
    const named = found.findings.filter(({ rule }) => rule === 'clock')
    expect(named[0]?.record).toBe(5)
    expect(named[0]?.found).toMatch(words)
    expect(violations(found)).toContain('replay@6')
  })

  test('a step within the tolerance of clocks is none', async () => {
    const drafts = forger.drafts()
    const outcome = drafts[3]!
    outcome.at = new Date(Date.parse(outcome.at) - 60_000).toISOString()
    expect(violations(await audit(forger.rechain(drafts)))).toEqual([])
  })
})

describe('the commits of the ledger', () => {
  test.for([
    ['a file that no record tells of', (files: Map<string, any>) => files.set('notes.txt', 'x'), 'tree'],
    [
      'another record of the same commit',
      (files: Map<string, any>) => files.set(`entries/aa/${'a'.repeat(38)}/00000003-evidence.json`, '{}'),
      'record',
    ],
    [
      'a policy file that no policy brought',
      (files: Map<string, any>) => files.set('policy.yaml', 'x'),
      'tree',
    ],
    ['no state', (files: Map<string, any>) => files.delete('state.json'), 'state'],
    [
      'another state',
      (files: Map<string, any>) =>
        files.set(
          'state.json',
          String(files.get('state.json')).replace('"counts":{', '"counts":{"promotion":9,'),
        ),
      'state',
    ],
  ] as const)('one brings %s', async ([, change, rule]) => {
    const commits = forger.commits(forger.drafts())
    change(commits[2]!.files)
    expect(violations(await forger.audit(forger.write(commits)))).toContain(`${rule}@3`)
  })

  test('a record is taken out of the tree later', async () => {
    const commits = forger.commits(forger.drafts())
    const path = [...commits[1]!.files.keys()].find((name) => name.startsWith('entries/'))!
    commits[4]!.removed.push(path)
    expect(violations(await forger.audit(forger.write(commits)))).toContain('record@5')
  })

  test('a record lies in the folder of another commit', async () => {
    const commits = forger.commits(forger.drafts())
    const { files } = commits[1]!
    const path = [...files.keys()].find((name) => name.startsWith('entries/'))!
    files.set(`entries/aa/${'a'.repeat(38)}/00000002-evidence.json`, files.get(path)!)
    files.delete(path)
    expect(violations(await forger.audit(forger.write(commits)))).toContain('record@2')
  })
})

describe('the form of a ledger commit', () => {
  const git = (args: string[], input?: string | Buffer) =>
    execFileSync('git', ['--git-dir', repository.bare, ...args], { input, maxBuffer: 1 << 24 })
  const write = (type: string, body: string | Buffer) =>
    git(['hash-object', '-w', '--literally', '-t', type, '--stdin'], body).toString().trim()

  /** The honest ledger with its commit `number` made anew, and those after it on top of that. */
  function ledgerWith(number: number, change: (commit: string) => string): string {
    const commits = git(['rev-list', '--reverse', 'refs/headgate/ledger']).toString().trim().split('\n')
    let parent = ''
    for (const [index, oid] of commits.entries()) {
      const body = git(['cat-file', 'commit', oid]).toString()
      const moved = parent === '' ? body : body.replace(/^parent .*$/m, `parent ${parent}`)
      parent = write('commit', index === number - 1 ? change(moved) : moved)
    }
    return parent
  }

  test.for([
    ['subject', (commit: string) => commit.replace(/\n\n.*\n/, '\n\npromotion 1234567 landed, by alice\n')],
    ['author', (commit: string) => commit.replace('author headgate <', 'author eve <')],
    [
      'committer',
      (commit: string) => commit.replace('committer headgate <headgate@', 'committer headgate <eve@'),
    ],
    [
      'time',
      (commit: string) => commit.replace(/(author .*> )(\d+)/, (_, who, at) => `${who}${Number(at) - 1}`),
    ],
    ['time zone', (commit: string) => commit.replace(' +0000\n\n', ' +0100\n\n')],
    ['message', (commit: string) => commit.replace(/^by: .*$/m, 'by: eve')],
    ['last line', (commit: string) => `${commit}landed\n`],
    ['header, which says nothing', (commit: string) => commit.replace('\n\n', '\nencoding latin1\n\n')],
    ['append, which is no number', (commit: string) => commit.replace(/append: .*/, 'append: none')],
    ['number of blank lines', (commit: string) => commit.replace('\n\n', '\n\n\n')],
    ['end', (commit: string) => commit.trimEnd()],
  ] as const)('another %s', async ([, change]) => {
    const tip = ledgerWith(3, change)
    expect(tip).not.toBe(repository.ref('refs/headgate/ledger'))
    expect(violations(await forger.audit(tip))).toEqual(['message@3'])
  })

  test('a text that another version of Unicode shows otherwise, and cuts elsewhere', async () => {
    const by = `x\u200b${'y\u200b'.repeat(40)}`
    const drafts = forger.rechain(forger.drafts().map((draft) => ({ ...draft, by })))
    const audit = async (change: (message: string) => string) => {
      const commits = forger.commits(drafts)
      commits[1]!.message = change(commits[1]!.message)
      return violations(await forger.audit(forger.write(commits))).filter((name) =>
        name.startsWith('message'),
      )
    }
    expect(await audit((message) => message.replace(/^by: .*$/m, `by: ${by}`))).toEqual([])
    expect(await audit((message) => message.replace(/^by: .*$/m, `by: ${by}z`))).toEqual(['message@2'])
    expect(await audit((message) => message.replace(/^by: .*$/m, 'by: x...'))).toEqual(['message@2'])
  })

  type Entry = { mode: string; name: string; id: Buffer }
  const entriesOf = (tree: string): Entry[] =>
    git(['ls-tree', tree])
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, mode = '', oid = '', name = ''] = /^0*(\d+) \w+ (\w+)\t(.*)$/.exec(line) ?? []
        return { mode, name, id: Buffer.from(oid, 'hex') }
      })
  const treeOf = (entries: Entry[]) =>
    write(
      'tree',
      Buffer.concat(entries.flatMap(({ mode, name, id }) => [Buffer.from(`${mode} ${name}\0`), id])),
    )
  const empty = () => ({ mode: '40000', name: 'zzz', id: Buffer.from(write('tree', ''), 'hex') })

  const forms: [string, (entries: Entry[]) => Entry[]][] = [
    [
      'a mode that git shows as another',
      (tree) => tree.map((one) => (one.mode === '100644' ? { ...one, mode: '100664' } : one)),
    ],
    ['an empty folder', (tree) => [...tree, empty()]],
    ['another order', (tree) => tree.toReversed()],
    [
      'a folder whose mode has a zero before it',
      (tree) => tree.map((one) => (one.mode === '40000' ? { ...one, mode: '040000' } : one)),
    ],
    ['a name twice', (tree) => [...tree, tree.at(-1)!]],
  ]
  test.for(forms)('a tree with %s', async ([, change]) => {
    const tip = ledgerWith(3, (commit) => {
      const [, tree = ''] = /^tree (\w+)/.exec(commit) ?? []
      const changed = treeOf(change(entriesOf(tree)))
      expect(changed).not.toBe(tree)
      return commit.replace(/^tree \w+/, `tree ${changed}`)
    })
    const found = violations(await forger.audit(tip))
    expect(found.filter((name) => /^(?:tree|record|state)@3$/.test(name))).not.toEqual([])
  })

  test('an empty folder beside a record, in a later audit', async () => {
    const early = forger.write(forger.commits(forger.drafts()).slice(0, 4))
    const first = await forger.audit(early, { branches: null })
    expect(violations(first)).toEqual([])
    const commits = forger.commits(forger.drafts())
    const honest = await forger.audit(forger.write(commits), { remembered: first.remember })
    expect(violations(honest)).toEqual([])
    expect(honest.records.before).toBe(4)
    const tip = forger.write(commits)
    const body = git(['cat-file', 'commit', tip]).toString()
    const [, tree = ''] = /^tree (\w+)/.exec(body) ?? []
    const hidden = write('commit', body.replace(tree, treeOf([...entriesOf(tree), empty()])))
    const audit = await forger.audit(hidden, { remembered: first.remember })
    expect(violations(audit)).toEqual([`tree@${commits.length}`])
  })

  const recordOf = (commit: string) => {
    const paths = git(['ls-tree', '-r', '--name-only', commit, 'entries/']).toString().split('\n')
    return `${commit}:${paths.find((path) => path.includes('/00000003-'))}`
  }
  const objects = {
    commit: (commit: string) => commit,
    tree: (commit: string) => `${commit}^{tree}`,
    folder: (commit: string) => `${commit}:entries`,
    record: recordOf,
  }
  test.for([
    ['missing', 'commit'],
    ['missing', 'tree'],
    ['missing', 'folder'],
    ['missing', 'record'],
    ['damaged', 'commit'],
    ['damaged', 'tree'],
    ['damaged', 'folder'],
    ['damaged', 'record'],
  ] as const)('a %s %s is a finding', async ([how, what]) => {
    // Objects that no other test has.
    const drafts = forger.drafts().map((draft) => ({ ...draft, by: `${how} ${what}` }))
    const commits = forger.commits(forger.rechain(drafts))
    const tip = forger.write(commits)
    const third = git(['rev-parse', `${tip}~${commits.length - 3}`])
      .toString()
      .trim()
    const oid = git(['rev-parse', objects[what](third)])
      .toString()
      .trim()
    const file = join(repository.bare, 'objects', oid.slice(0, 2), oid.slice(2))
    rmSync(file)
    if (how === 'damaged') writeFileSync(file, 'nothing that git reads')
    const found = violations(await forger.audit(tip))
    rmSync(file, { force: true })
    expect(found.map((one) => one.split('@')[0])).toContain('record')
  })
})

describe('the branches', () => {
  const branches = (staging: string | null, release: string | null) => ({
    branches: { staging, release, isFresh: true },
  })

  test('release was moved behind the guard, back or away', async () => {
    for (const release of [one, null]) {
      const found = await forger.auditHonest(branches(two, release))
      expect(violations(found)).toEqual(['release-ref@6'])
    }
  })

  test('main was rewritten: what was proved is not on it any more', async () => {
    repository.git('checkout', '-q', '--orphan', 'other')
    const other = repository.commit('elsewhere')
    repository.mustRun(repository.push(`${other}:refs/heads/other`))
    repository.git('checkout', '-q', 'main')
    const found = await forger.auditHonest(branches(other, two))
    expect(violations(found)).toEqual(expect.arrayContaining(['staging-ref@6']))
    expect(violations(await forger.auditHonest(branches(null, two)))).toContain('staging-ref@6')
  })

  test('the release log was edited behind the guard', async () => {
    const log = 'docs/RELEASE_LOG.md'
    repository.commit('log', { [log]: 'one\ntwo\n' })
    const grown = repository.commit('log grows', { [log]: 'one\ntwo\nthree\n' })
    const edited = repository.commit('log is edited', { [log]: 'one\nTWO\nthree\n' })
    repository.mustRun(repository.push(`${edited}:refs/heads/elsewhere`))
    expect(violations(await forger.auditHonest(branches(grown, two)))).toEqual([])
    const found = await forger.auditHonest(branches(edited, two))
    expect(violations(found)).toEqual(['release-log@1'])
    expect(found.findings[0]?.found).toContain(edited.slice(0, 7))
  })

  test('a clone that is behind is told so, and accuses nobody', async () => {
    const stale = { branches: { staging: one, release: one, isFresh: false } }
    const found = await forger.auditHonest(stale)
    expect(violations(found)).toEqual(expect.not.arrayContaining(['release-ref@6']))
  })
})
