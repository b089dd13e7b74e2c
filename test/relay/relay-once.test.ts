/** One relay, one host: what waits is judged, and becomes records, a move, or an answer. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAnswer } from '../../src/core/answer.ts'
import { relayOnce } from '../../src/relay/relay-once.ts'
import { RelayedHost } from './relayed-host.ts'

test('a promotion that is asked for reaches the host as one push, and the records say so', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  expect(host.ledgerRef).toBe('refs/heads/headgate/ledger')
  const commit = host.askFor('one')
  expect(host.inbox()).toHaveLength(2)
  await relayOnce(relay)
  expect(host.release).toBe(commit)
  expect(host.inbox()).toEqual([])
  expect(host.answers()).toEqual([])
  expect(host.subjects()).toEqual([
    'policy version 1 applied, by admin',
    expect.stringMatching(/^evidence \w+ passed on staging$/),
    expect.stringMatching(/^request to move release to \w+$/),
    expect.stringMatching(/^promotion \w+ authorized on release, by alice$/),
    expect.stringMatching(/^promotion \w+ landed, by alice$/),
  ])
  expect(relay.events).toEqual([
    { kind: 'recorded', count: 4, head: 5 },
    { kind: 'moved', move: 'promotion', from: '0'.repeat(40), to: commit, by: 'alice', record: 4 },
  ])
  // Nothing is left to do, and nothing is done.
  const tip = host.ref(host.ledgerRef)
  await relayOnce(relay)
  expect(host.ref(host.ledgerRef)).toBe(tip)
  // Another machine, which knows nothing, goes on from what is on the host.
  const next = host.askFor('two')
  await relayOnce(await host.relay())
  expect(host.release).toBe(next)
})

test('what is refused moves nothing, leaves the ledger alone, and is answered for a day', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const before = host.ref(host.ledgerRef)
  const commit = host.repository.commit('unproved')
  host.repository.mustRun(host.repository.push('main'))
  host.ask(host.request(commit))
  await relayOnce(relay)
  expect(host.release).toBeNull()
  expect(host.ref(host.ledgerRef)).toBe(before)
  expect(host.inbox()).toEqual([])
  const [answer = ''] = host.answers()
  const envelope = JSON.parse(host.repository.server('cat-file', 'blob', answer))
  const said = parseAnswer(Buffer.from(envelope.payload, 'base64'))
  expect(said).toMatchObject({ verdict: 'refused', rules: ['evidence'], repository: 'git.example.com/app' })
  expect(answer).toMatch(new RegExp(`/${said.about}$`))
  expect(said.lines.join('\n')).toContain('[evidence]')
  expect(relay.events.map(({ kind }) => kind)).toEqual(['refused'])
  const later = await host.relay({ clock: () => Date.now() + 26 * 3_600_000 })
  await relayOnce(later)
  expect(host.answers()).toEqual([])
})

test('requests that may not be used move nothing', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const first = host.askFor('one')
  const used = host.request(first)
  await relayOnce(relay)
  const commit = host.repository.commit('two')
  host.repository.pushProved(commit)
  const { repository } = host
  const stranger = repository.sign(
    JSON.stringify({
      ...JSON.parse(Buffer.from(JSON.parse(host.request(commit)).payload, 'base64').toString()),
    }),
    'mallory',
    'headgate-approval',
  )
  for (const envelope of [
    used,
    stranger,
    host.request(commit, { by: 'ci' }),
    host.request(commit, { repository: 'git.example.com/other' }),
    host.request(commit, { from: commit.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) }),
    host.request(commit, { change: (predicate) => Object.assign(predicate, { ref: 'refs/heads/main' }) }),
    host.request(commit, {
      change: (predicate) => Object.assign(predicate, { expiresAt: predicate.issuedAt }),
    }),
    host.request(commit, {
      change: (predicate) =>
        Object.assign(predicate, { issuedAt: new Date(Date.now() - 3_700_000).toISOString() }),
    }),
    '{"no":"envelope"}',
  ])
    host.ask(envelope)
  await relayOnce(relay)
  expect(host.release).toBe(first)
  expect(host.inbox()).toEqual([])
  expect(relay.events.filter(({ kind }) => kind === 'moved')).toHaveLength(1)
  expect(relay.events.filter(({ kind }) => kind === 'refused')).toHaveLength(9)
})

test('a request is spent by its move, in whatever envelope it comes again', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const one = host.askFor('one')
  await relayOnce(relay)
  const two = host.repository.commit('two')
  host.repository.pushProved(two)
  const request = host.request(two)
  host.ask(request)
  await relayOnce(relay)
  const back = host.repository.approvalPayload(two, one)
  host.ask(host.repository.sign(back, 'bob', 'headgate-approval'))
  host.ask(
    host.request(one, {
      change: (predicate) => Object.assign(predicate, { trigger: 'alarm', symptoms: 'errors' }),
    }),
  )
  await relayOnce(relay)
  expect(host.release).toBe(one)
  expect(host.subjects().at(-1)).toMatch(/^rollback \w+ landed, by alice$/)
  host.repository.prove(two)
  const { payload, signatures } = JSON.parse(request)
  host.ask(JSON.stringify({ signatures, payloadType: 'application/vnd.in-toto+json', payload }))
  await relayOnce(relay)
  expect(host.release).toBe(one)
})

test('two requests for one place: the first is served, and the second is told', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const [one = '', two = ''] = host.repository.commits(['one', 'two'])
  host.repository.pushProved(one, two)
  host.ask(
    host.request(two, {
      by: 'bob',
      change: (p) => Object.assign(p, { issuedAt: new Date(Date.now() - 1000).toISOString() }),
    }),
  )
  host.ask(host.request(one))
  await relayOnce(relay)
  expect(host.release).toBe(two)
  expect(relay.events).toContainEqual(
    expect.objectContaining({ kind: 'refused', rules: expect.arrayContaining(['operator']) }),
  )
})

test('two relays race: one move, one chain, and the slower one finds nothing left', async () => {
  const host = new RelayedHost()
  const relays = [await host.begin(), await host.relay(), await host.relay()]
  for (const subject of ['one', 'two', 'three']) {
    const commit = host.askFor(subject)
    await Promise.all(relays.map((relay) => relayOnce(relay)))
    expect(host.release).toBe(commit)
  }
  expect(host.subjects().filter((line) => line.includes('landed'))).toHaveLength(3)
  expect(host.subjects().filter((line) => line.includes('authorized'))).toHaveLength(3)
})

test('a host that takes no two changes as one gets them one after the other', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  host.withoutAtomic()
  const commit = host.askFor('one')
  await relayOnce(relay)
  expect(host.release).toBe(commit)
  expect(host.inbox()).toEqual([])
  expect(host.subjects().at(-1)).toMatch(/^promotion \w+ landed, by alice$/)
  // Nothing but refusals: what is taken out of the inbox and what is answered are two changes, too.
  host.ask(host.request(commit, { by: 'ci' }))
  await relayOnce(relay)
  expect(host.inbox()).toEqual([])
  expect(host.answers()).toHaveLength(1)
})

test("what the host's own rule says is passed on, and nothing was moved", async () => {
  const host = new RelayedHost()
  await host.begin()
  const before = host.ref(host.ledgerRef)
  host.askFor('one')
  const other = await host.relay({ env: { TEST_PUSHER: 'somebody' } })
  await expect(relayOnce(other)).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringContaining('GH013: Repository rule violations found'),
  })
  expect(host.release).toBeNull()
  expect(host.ref(host.ledgerRef)).toBe(before)
})

test('a ledger that an administrator changed is not believed: rewound, forged, or with other files', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  host.askFor('one')
  await relayOnce(relay)
  const { repository, ledgerRef } = host
  const good = host.ref(ledgerRef) ?? ''
  const two = host.askFor('two')

  // Rewound: this relay knows better, from its cache.
  repository.server('update-ref', ledgerRef, `${good}~2`)
  await expect(relayOnce(relay)).rejects.toMatchObject({
    code: 'data',
    message: expect.stringContaining('rewritten on the host'),
  })
  // A record is taken away from the files that decisions read, and no record says so: a relay that knows nothing finds it.
  repository.server('update-ref', ledgerRef, good)
  const index = join(repository.folder, 'index')
  const plumbing = (...args: string[]) =>
    repository
      .mustRun(
        repository.run('git', [`--git-dir=${repository.bare}`, ...args], {
          env: { GIT_INDEX_FILE: index, GIT_WORK_TREE: repository.folder },
        }),
      )
      .stdout.trim()
  plumbing('read-tree', good)
  const path =
    plumbing('ls-files')
      .split('\n')
      .find((name) => name.includes('evidence')) ?? ''
  expect(path).not.toBe('')
  plumbing('update-index', '--force-remove', path)
  const forged = plumbing('commit-tree', plumbing('write-tree'), '-p', `${good}~1`, '-m', 'headgate')
  repository.server('update-ref', ledgerRef, forged)
  await expect(relayOnce(await host.relay())).rejects.toMatchObject({ code: 'data' })
  // Of another key: what hooks kept, or somebody made up.
  repository.server('update-ref', ledgerRef, good)
  const stranger = new RelayedHost()
  await expect(
    relayOnce({ ...(await host.relay()), sealKey: (await stranger.relay()).sealKey }),
  ).rejects.toMatchObject({
    code: 'data',
    message: expect.stringContaining('another key'),
  })
  expect(host.release).not.toBe(two)
  await relayOnce(await host.relay())
  expect(host.release).toBe(two)
})

test('what anybody may push holds up no move: refs in the way, junk, odd names, an answer that is there already', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const { repository } = host
  const junk = repository
    .mustRun(repository.run('git', ['hash-object', '-w', '--stdin'], { cwd: repository.bare, input: 'junk' }))
    .stdout.trim()
  const hour = Math.floor(Date.now() / 3_600_000)
  const refused = host.request(repository.git('rev-parse', 'HEAD'), { by: 'ci' })
  const name = createHash('sha256').update(refused).digest('hex')
  repository.server('update-ref', `refs/headgate/answers/${hour}/${name}/below`, junk)
  repository.server('update-ref', `refs/headgate/answers/${hour + 1}`, junk)
  repository.server('update-ref', `refs/headgate/answers/${hour + 99}/${name}`, junk)
  repository.server('update-ref', 'refs/headgate/inbox/not-a-digest', junk)
  repository.server(
    'update-ref',
    `refs/headgate/inbox/${'a'.repeat(64)}`,
    repository.ref('refs/heads/main') ?? '',
  )
  const commit = host.askFor('one')
  host.ask(refused)
  await relayOnce(relay)
  expect(host.release).toBe(commit)
  expect(host.inbox()).toEqual([])
  // Again what was refused: its answer is there already, and is said anew.
  const answers = () => host.answers().filter((ref) => ref.endsWith(name))
  expect(answers()).toHaveLength(1)
  host.ask(refused)
  const next = host.askFor('two')
  await relayOnce(relay)
  expect(host.release).toBe(next)
  expect(answers()).toHaveLength(1)
  expect(host.answers().filter((ref) => ref.includes(`/${hour + 99}/`))).toEqual([])
})

test('a commit of another branch goes by an override, and its evidence is taken', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const one = host.askFor('one')
  await relayOnce(relay)
  const { repository } = host
  repository.git('checkout', '-q', '-b', 'hotfix')
  const fix = repository.commit('hotfix')
  repository.mustRun(repository.push('hotfix'))
  repository.prove(fix)
  host.ask(
    repository.sign(
      repository.overridePayload(one, fix, ['on-staging'], 'it burns'),
      'bob',
      'headgate-approval',
    ),
  )
  host.ask(host.request(fix))
  await relayOnce(relay)
  expect(host.release).toBe(fix)
  expect(host.subjects().at(-1)).toMatch(/^override \w+ landed, by alice$/)
})

test('a repository of SHA-256 ids is relayed alike', async () => {
  const host = new RelayedHost({ objectFormat: 'sha256' })
  const relay = await host.begin()
  const commit = host.askFor('one')
  expect(commit).toHaveLength(64)
  await relayOnce(relay)
  expect(host.release).toBe(commit)
  await relayOnce(await host.relay())
})

test('a second ledger, which anybody may push, fools nobody and is taken away', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  const { repository } = host
  const commit = repository.commit('one')
  repository.mustRun(repository.push(['main', 'HEAD:refs/headgate/ledger'], { as: 'mallory' }))
  const check = repository.headgate('check', commit)
  expect(check.code).toBe(78)
  expect(check.stderr).toContain('has two ledgers')
  await relayOnce(relay)
  expect(host.ref('refs/headgate/ledger')).toBeNull()
  expect(repository.headgate('check', commit).code).toBe(77)
})

test('main that was rewritten stops every move until an operator accepts it', async () => {
  const host = new RelayedHost()
  const relay = await host.begin()
  host.askFor('one')
  await relayOnce(relay)
  const { repository } = host
  const known = repository.ref('refs/heads/main') ?? ''
  repository.git('commit', '-q', '--amend', '-m', 'rewritten')
  repository.mustRun(repository.push('+main'))
  const rewritten = repository.ref('refs/heads/main') ?? ''
  repository.prove(rewritten)
  host.ask(host.request(rewritten, { from: host.release ?? '' }))
  // One that has never seen what was there.
  const fresh = await host.relay()
  await relayOnce(fresh)
  relay.events.push(...fresh.events)
  expect(host.release).not.toBe(rewritten)
  expect(relay.events).toContainEqual(
    expect.objectContaining({ kind: 'refused', rules: expect.arrayContaining(['staging-history']) }),
  )
  const note = statementOfDrift(known, rewritten)
  host.ask(repository.sign(note, 'alice', 'headgate-approval'))
  await relayOnce(relay)
  // main is as it is now; that the release is not on it any more is another matter.
  host.askFor('after it')
  await relayOnce(relay)
  const last = relay.events.at(-1)
  expect(last).toMatchObject({ kind: 'refused' })
  expect(last?.kind === 'refused' && last.rules).not.toContain('staging-history')
})

function statementOfDrift(expected: string, found: string): string {
  return JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'git.example.com/app', digest: { gitCommit: found } }],
    predicateType: 'urn:headgate:drift:v1',
    predicate: {
      ref: 'refs/heads/main',
      expected,
      found,
      reason: 'an accident',
      issuedAt: new Date().toISOString(),
    },
  })
}
