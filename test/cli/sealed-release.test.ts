/** `deploy-check --seal-key` in front of a server that does not have the seal key, and says whatever it likes. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { canonicalJson, sha256 } from '../../src/core/canonical-json.ts'
import { LEDGER_REF } from '../../src/core/refs.ts'
import type { LedgerState } from '../../src/core/state.ts'
import { stateFile } from '../../src/ledger/ledger-tree.ts'
import { type Draft, type ForgedCommit, Forger, sealOf } from '../audit/forged-ledger.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'

let repository: TestRepository
let forger: Forger
let one = ''
let two = ''
let trust = ''

beforeAll(async () => {
  repository = new TestRepository({ prepare: releasedTwice })
  ;[one = '', two = ''] = lastCommits(repository, 2)
  forger = await Forger.of(repository)
  trust = join(repository.bare, 'headgate/seal-key.pub')
}, 300_000)
afterAll(() => repository.remove())

/** Puts ledger and branch where the liar wants them, and asks. */
function ask(commit: string, commits: readonly ForgedCommit[], file = trust) {
  const git = ['-c', 'core.hooksPath=/dev/null', 'update-ref']
  repository.server(...git, LEDGER_REF, forger.write(commits))
  repository.server(...git, 'refs/heads/release', commit)
  const ran = repository.headgate(
    ...['deploy-check', commit, '--environment', 'production'],
    ...['--seal-key', file],
  )
  return { said: ran.stdout.split('\n')[0], code: ran.code, errors: ran.stderr }
}

/** The honest records with a state in which the release is what it was after its first move. */
function rewound(commits: ForgedCommit[]): ForgedCommit[] {
  const first = forger.honest.find(({ statement }) => statement.kind === 'authorization')!
  const { head, state } = JSON.parse(String(commits.at(-1)!.files.get('state.json'))) as {
    head: { seq: number; hash: string }
    state: LedgerState
  }
  const ref = 'refs/heads/release'
  const move = { ...state.landed[ref]!, seq: first.seq, to: one }
  const lie = { ...state, landed: { ...state.landed, [ref]: move } }
  commits.at(-1)!.files.set('state.json', stateFile(head, lie))
  return commits
}

test('the honest ledger is a yes, and the commit before it a no', () => {
  const commits = forger.commits(forger.drafts())
  expect(ask(two, commits)).toMatchObject({ code: 0, errors: '' })
  expect(ask(one, commits).code).toBe(77)
})

test('a state that nobody signed says that an older release is the release', () => {
  const { said, code } = ask(one, rewound(forger.commits(forger.drafts())))
  expect(said).toMatch(/^no: a newer move of the branch landed \(record \d+\)$/)
  expect(code).toBe(77)
})

test('the records of the newer move are taken out, or made to say something else', () => {
  const after = forger.honest.find(({ statement }) => statement.kind === 'outcome')!.seq
  const cut = (change: (drafts: Draft[]) => void) => {
    const drafts = forger.drafts()
    change(drafts)
    let previous = forger.honest[after - 1]!.hash
    const tail = drafts.slice(after).map(({ seal: _, ...draft }, index) => {
      const fields = { ...draft, seq: after + index + 1, previous }
      const sealed = { ...fields, seal: sealOf(fields, forger.ownKey) }
      previous = sha256(canonicalJson(sealed))
      return sealed
    })
    return rewound(forger.commits([...drafts.slice(0, after), ...tail]))
  }
  const last = forger.honest.length - 1
  const gone = ask(
    one,
    cut((drafts) => drafts.splice(after, drafts.length - after, drafts[1]!)),
  )
  expect(gone.said).toMatch(/^no: record \d+ is not sealed with that key: /)
  const turned = (change: (statement: any) => void) => (drafts: Draft[]) =>
    forger.rewrite(drafts[last]!, change, { key: forger.ownKey, namespace: 'headgate-ledger' })
  const not = ask(
    one,
    cut(
      turned((statement) => {
        statement.predicate.result = 'not-landed'
      }),
    ),
  )
  expect(not.said).toMatch(/^no: record \d+ is not sealed with that key: /)
  expect([gone.code, not.code]).toEqual([77, 77])
})

test('a record between is left out: the chain has a gap', () => {
  const commits = forger.commits(forger.drafts())
  const [path = ''] = [...commits.at(-1)!.files.keys()].filter((name) => name.startsWith('entries/'))
  const evidence = forger.honest.findLast(({ statement }) => statement.kind === 'evidence')!
  const [without = ''] = [...commits[evidence.seq - 1]!.files.keys()].filter((name) =>
    name.startsWith('entries/'),
  )
  commits.at(-1)!.removed.push(path)
  commits.at(-1)!.files.delete(path)
  expect(ask(two, commits)).toMatchObject({ code: 77 })
  const middle = forger.commits(forger.drafts())
  middle.at(-1)!.removed.push(without)
  expect(ask(one, rewound(middle))).toMatchObject({ code: 77 })
})

test('the newest records are held back: only who knows of them can tell', () => {
  const first = forger.honest.find(({ statement }) => statement.kind === 'outcome')!.seq
  const held = forger.commits(forger.drafts().slice(0, first))
  expect(ask(one, held).code).toBe(0)
  const known = forger.honest.at(-1)!
  const file = join(repository.folder, 'trust')
  const key = forger.publicLine(forger.serverKey)
  writeFileSync(file, `${key}\nrecord ${known.seq} ${known.hash}\n`)
  const { said, code } = ask(one, held, file)
  expect(said).toBe(
    `no: the ledger ends with record ${first}, and record ${known.seq} is known from elsewhere`,
  )
  expect(code).toBe(77)
  expect(ask(two, forger.commits(forger.drafts()), file).code).toBe(0)
})

test('another newer authorization has no outcome yet: not known is not yes', () => {
  const drafts = forger.drafts()
  const seq = forger.honest.findLast(({ statement }) => statement.kind === 'authorization')!.seq
  const open = ask(two, forger.commits(drafts.slice(0, seq)))
  expect(open.said).toBe(
    `no: no sealed record says that the move (record ${seq}) landed: ask again in a moment`,
  )
  const again = forger.rechain([...drafts, structuredClone(drafts[seq - 1]!)])
  const newer = ask(two, stateOf(forger.commits(again), forger.commits(drafts)))
  expect(newer.said).toMatch(/another move of refs\/heads\/release is authorized \(record \d+\)/)
  expect([open.code, newer.code]).toEqual([77, 77])
})

/** The last commit's state without its open move. */
function stateOf(commits: ForgedCommit[], honest: readonly ForgedCommit[]): ForgedCommit[] {
  const parse = (list: readonly ForgedCommit[]) => JSON.parse(String(list.at(-1)!.files.get('state.json')))
  const [lie, truth] = [parse(commits), parse(honest)]
  commits.at(-1)!.files.set('state.json', stateFile(lie.head, truth.state))
  return commits
}

test('a policy in the files that no record put in force names the branch', () => {
  const commits = forger.commits(forger.drafts())
  const text = String(commits[0]!.files.get('policy.yaml'))
  for (const path of ['policy.yaml', 'policies/1/policy.yaml'])
    commits.at(-1)!.files.set(path, `${text}# another\n`)
  const { said, code } = ask(two, commits)
  expect(said).toBe("no: the policy in the ledger's files is not the one that its records put in force")
  expect(code).toBe(77)
})
