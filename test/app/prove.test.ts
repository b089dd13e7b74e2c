/** Gates that run in the test's own process, against a real server, and their record in a real ledger. */
import { expect, test } from 'vitest'
import { type ProveEvent, type ProveOptions, prove } from '../../src/app/gate/prove.ts'
import { listEvidence } from '../../src/app/statements/list-evidence.ts'
import { lastCommits, released, unproved } from '../beginnings.ts'
import { application, serve } from '../cli/run-program.ts'
import { callerIn, guarded } from './caller.ts'

const OPTIONS: ProveOptions = {
  mode: undefined,
  url: undefined,
  commit: undefined,
  wait: undefined,
  record: true,
  remote: 'origin',
  key: undefined,
  ciUrl: undefined,
  signal: new AbortController().signal,
}

test('what staging answers is told as it comes, and is evidence when it is over', async () => {
  const repository = guarded({ prepare: unproved })
  const [two = ''] = lastCommits(repository, 1)
  const url = await serve(application(() => two, { '/api/chat': 500 }))
  const events: ProveEvent[] = []
  const options = { ...OPTIONS, url, key: repository.key('ci') }
  const proof = await prove(callerIn(repository), options, (event) => events.push(event))
  expect(proof).toMatchObject({
    target: { commit: two, baseUrl: url, isRelease: false },
    run: { result: 'FAILED', environment: 'staging' },
    recorded: true,
    // The policy knows staging by another URL.
    counts: false,
    promotable: null,
  })
  const kinds = events.map(({ kind }) => kind)
  expect([kinds[0], ...kinds.slice(-2)]).toEqual(['begins', 'ran', 'recording'])
  const ended = events.flatMap((event) => (event.kind === 'gate-ended' ? [event.outcome] : []))
  expect(ended.map(({ name, outcome }) => `${name} ${outcome}`).sort()).toEqual([
    'chat failed',
    'health passed',
  ])
  expect(await listEvidence(callerIn(repository), { commit: two, remote: 'origin' })).toMatchObject({
    commit: two,
    evidence: [{ by: 'ci@example.com', result: 'FAILED', url, gates: { failed: ['chat'] } }],
  })
})

test("the caller's environment says which environment, where it is, and which key signs", async () => {
  const repository = guarded({ prepare: released })
  const [one = ''] = lastCommits(repository, 1)
  repository.commit('not released')
  const BASE = await serve(application(() => one))
  const caller = callerIn(repository, { MODE: 'prod', BASE, HEADGATE_KEY: repository.key('ci') })
  const proof = await prove(caller, OPTIONS, () => {})
  expect(proof).toMatchObject({
    target: { commit: one, baseUrl: BASE, isRelease: true },
    run: { result: 'PASSED', environment: 'production' },
    recorded: true,
  })
  await expect(prove(callerIn(repository, { MODE: 'test' }), OPTIONS, () => {})).rejects.toMatchObject({
    code: 'usage',
  })
})

test('a run that is ended by its signal is no evidence', async () => {
  const repository = guarded({ prepare: unproved })
  const [two = ''] = lastCommits(repository, 1)
  const url = await serve(application(() => 'another commit'))
  const abort = new AbortController()
  const options = { ...OPTIONS, url, key: repository.key('ci'), wait: '10m', signal: abort.signal }
  const kinds = new Set<ProveEvent['kind']>()
  const run = prove(callerIn(repository), options, ({ kind }) => {
    kinds.add(kind)
    if (kind === 'waiting') abort.abort()
  })
  await expect(run).rejects.toMatchObject({ code: 'unavailable' })
  expect([...kinds]).toEqual(['begins', 'waiting'])
  const list = await listEvidence(callerIn(repository), { commit: two, remote: 'origin' })
  expect(list.evidence).toEqual([])
})
