/** Pushes that fail without the server's word: the connection is lost after the work was done, or before, or for good. */

import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { serveGit } from '../client/smart-http.ts'
import type { TestRepository } from '../make-repository.ts'
import { receivePackBetween } from '../receive-pack-between.ts'
import { Day, releasedAndProved, releasedBad } from './day.ts'
import { guarded, headgate } from './run-program.ts'

const isPush = ({ method, url = '' }: IncomingMessage) =>
  method === 'POST' && url.endsWith('/git-receive-pack')

function badGateway(response: ServerResponse): true {
  response.statusCode = 502
  response.end('<h1>Bad Gateway</h1>')
  return true
}

/** The repository behind HTTP, and behind a proxy that is told of its pushes. */
async function overHttp(
  repository: TestRepository,
  clone: string,
  proxy: Parameters<typeof serveGit>[1],
): Promise<void> {
  repository.server('config', 'http.receivepack', 'true')
  const url = `${await serveGit(repository, proxy)}/app.git`
  repository.mustRun(repository.run('git', ['remote', 'set-url', 'origin', url], { cwd: clone }))
}

const PROXIES = {
  'a proxy answers 502 after the work was done': {
    after: (request, response) => isPush(request) && badGateway(response),
  },
  'the connection is lost after the work was done': {
    after: (request, response) => {
      if (!isPush(request)) return false
      response.destroy()
      return true
    },
  },
  'the report of the server is lost on its way': {
    after: (request, response) => {
      if (!isPush(request)) return false
      response.setHeader('content-type', 'application/x-git-receive-pack-result')
      response.end('')
      return true
    },
  },
} satisfies Record<string, Parameters<typeof serveGit>[1]>

// What is done about a lost answer is the same for every statement, and for every move: each kind is tried behind one of
// the proxies, and each proxy with several of them.
test.for(Object.entries(PROXIES).map(([what, proxy], index) => ({ what, proxy, index })))(
  '$what: each statement is found in the ledger, and stands there once',
  async ({ proxy, index }) => {
    const repository = guarded({ prepare: releasedTwice })
    const [commit = '', next = ''] = lastCommits(repository, 2)
    await overHttp(repository, repository.clone, proxy)
    const before = repository.ledgerSubjects().length
    const reason = ['--reason', 'because', '--key', repository.key('alice')]
    const move = ['--from', next, '--to', commit, ...reason]
    const calls = [
      [
        ['evidence', 'add', '--commit', next, '--failed', 'health', '--key', repository.key('ci')],
        ['approve', ...move],
      ],
      [
        ['freeze', '--for', '1h', ...reason],
        ['unfreeze', ...reason],
      ],
      [
        ['override', '--waive', 'known-good', ...move],
        ['evidence', 'invalidate', commit, ...reason],
      ],
    ][index]!
    for (const [at, call] of calls.entries()) {
      const ran = await headgate(repository, call)
      expect(ran.code, ran.all).toBe(0)
      expect(ran.stderr).toContain(
        `remark: the server did not say so, but the statement is recorded: record ${before + at + 1}\n`,
      )
    }
    expect(repository.ledgerSubjects()).toHaveLength(before + calls.length)
  },
)

const [BAD_GATEWAY, LOST_CONNECTION, LOST_REPORT] = Object.values(PROXIES)

test.for([
  { what: 'a proxy answers 502', proxy: BAD_GATEWAY },
  { what: 'the report is lost', proxy: LOST_REPORT },
])('$what: promote goes on with what has moved, and writes the log once', async ({ proxy }) => {
  const day = await Day.begin({ begin: releasedAndProved })
  const one = day.commit('one')
  await overHttp(day.repository, day.clone('alice'), proxy)
  const promoted = await day.as('alice', 'promote', '--yes')
  expect(promoted.code, promoted.all).toBe(0)
  expect(promoted.stderr).toContain('remark: the server did not say so, but release was moved\n')
  expect(promoted.stderr).toContain('remark: the server did not say so, but the release log is written\n')
  expect(day.release()).toBe(one)
  expect(day.log().match(/^## /gm)).toHaveLength(2)
})

test('the connection is lost: rollback goes on with what has moved, and writes the log once', async () => {
  const day = await Day.begin({ begin: releasedBad })
  const zero = day.commit('zero')
  await overHttp(day.repository, day.clone('alice'), LOST_CONNECTION)
  const back = await day.as('alice', 'rollback', zero, '--trigger', 'alarm', '--symptoms', '500', '--yes')
  expect(back.code, back.all).toBe(0)
  expect(back.stderr).toContain('remark: the server did not say so, but release was moved\n')
  expect(back.stderr).toContain('remark: the server did not say so, but the release log is written\n')
  expect(day.release()).toBe(zero)
  expect(day.log().match(/^## /gm)).toHaveLength(3)
})

test('what did not arrive is not known to have failed: the command that finds out, exit 69', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const { repository } = day
  const one = day.commit('one')
  const records = repository.ledgerSubjects().length
  await overHttp(repository, day.clone('alice'), {
    before: (request, response) => isPush(request) && badGateway(response),
  })
  const added = await day.as('alice', 'evidence', 'add', '--commit', one, '--passed', 'health')
  expect(added.code, added.all).toBe(69)
  expect(added.stderr).toMatch(/^headgate: git push: .*502.*\n/)
  expect(added.stderr).toContain(
    `\n  whether the statement is recorded is not known: the ledger of origin does not have it so far\n  hint: find out: headgate evidence list ${one.slice(0, 7)}\n`,
  )
  const promoted = await day.as('alice', 'promote', '--yes')
  expect(promoted.code, promoted.all).toBe(69)
  expect(promoted.stderr).toContain(
    '\n  whether release was moved is not known: so far it is where it was\n  hint: find out: headgate status\n',
  )
  expect(repository.ledgerSubjects()).toHaveLength(records)
})

test('a server that is gone after the push: not known, not "nothing was recorded"', async () => {
  const repository = guarded()
  let isGone = false
  await overHttp(repository, repository.clone, {
    before: (_, response) => isGone && badGateway(response),
    after: (request, response) => {
      isGone ||= isPush(request)
      return isGone && badGateway(response)
    },
  })
  const key = repository.key('ci')
  const ran = await headgate(repository, [
    'evidence',
    'add',
    '--commit',
    'HEAD',
    '--passed',
    'health',
    '--key',
    key,
  ])
  expect(ran.code, ran.all).toBe(69)
  expect(ran.stderr).toMatch(/whether the statement is recorded is not known: .*cannot be reached/)
  expect(ran.all).not.toContain('nothing was recorded')
  expect(repository.ledgerSubjects().at(-1)).toContain('evidence')
})

test('a hook that refuses after headgate has recorded: the ledger is what counts', () => {
  const repository = guarded()
  const late = join(repository.bare, 'hooks', 'update')
  writeFileSync(
    late,
    '#!/bin/sh\ncase $1 in refs/headgate/inbox/*) echo "no inbox here" >&2; exit 1; esac\n',
    { mode: 0o755 },
  )
  const add = ['evidence', 'add', '--commit', 'HEAD', '--passed', 'health', '--key', repository.key('ci')]
  const ran = repository.headgate(...add)
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain('but the statement is recorded: record 2\n')
})

test('a pipe that breaks when the server reports: found by looking', () => {
  const repository = guarded()
  repository.git('config', 'remote.origin.receivepack', receivePackBetween(repository, { report: false }))
  const add = ['evidence', 'add', '--commit', 'HEAD', '--passed', 'health', '--key', repository.key('ci')]
  const ran = repository.headgate(...add)
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain('but the statement is recorded: record 2\n')
})

test('of several places that a remote pushes to, the guarded one gets statements, moves and the log', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const { repository } = day
  const one = day.commit('one')
  const clone = day.clone('alice')
  const git = (...args: string[]) => repository.mustRun(repository.run('git', args, { cwd: clone }))
  const plain = join(repository.folder, 'backup.git')
  repository.mustRun(repository.run('git', ['init', '-q', '--bare', plain]))
  const down = join(repository.folder, 'down.git')
  for (const url of [plain, down, repository.bare]) git('remote', 'set-url', '--add', '--push', 'origin', url)
  git('config', 'remote.origin.mirror', 'true')
  const add = ['evidence', 'add', '--commit', one, '--passed', 'health', 'chat', '--served-commit', one]
  // Fetches come from one of them, or from elsewhere.
  for (const fetched of [repository.bare, plain]) {
    git('remote', 'set-url', 'origin', fetched)
    const ran = await day.as('alice', ...add)
    expect(ran.code, ran.all).toBe(0)
  }
  const promoted = await day.as('alice', 'promote', one, '--yes')
  expect(promoted.code, promoted.all).toBe(0)
  expect(day.release()).toBe(one)
  expect(day.log()).toContain(one)
  expect(repository.run('git', ['for-each-ref'], { cwd: plain }).stdout).toBe('')
})

test('a copy that has the ledger and guards nothing is not believed; where nobody can tell, the user names the place', () => {
  const repository = guarded()
  const copy = join(repository.folder, 'copy.git')
  repository.mustRun(repository.run('git', ['clone', '-q', '--mirror', repository.bare, copy]))
  const add = ['evidence', 'add', '--commit', 'HEAD', '--passed', 'health', '--key', repository.key('ci')]
  repository.git('remote', 'set-url', 'origin', copy)
  const ran = repository.headgate(...add)
  expect(ran.code, ran.all).toBe(78)
  expect(ran.stderr).toContain(
    'headgate: origin took the statement and did not record it: nobody guards it\n',
  )
  repository.git('remote', 'set-url', 'origin', repository.folder)
  for (const url of [copy, repository.bare])
    repository.git('remote', 'set-url', '--add', '--push', 'origin', url)
  const unclear = repository.headgate(...add)
  expect(unclear.code, unclear.all).toBe(78)
  expect(unclear.stderr).toContain('pushes to "origin" go to 2 places, and several have a ledger')
  expect(repository.headgate(...add, '--remote', repository.bare).code).toBe(0)
})

test('URLs that git rewrites for pushes alone: the ledger is read where the push goes', () => {
  const repository = guarded()
  const elsewhere = join(repository.folder, 'elsewhere.git')
  repository.mustRun(repository.run('git', ['init', '-q', '--bare', elsewhere]))
  repository.git('config', `url.${repository.bare}.pushInsteadOf`, elsewhere)
  repository.git('remote', 'set-url', 'origin', elsewhere)
  const add = ['evidence', 'add', '--commit', 'HEAD', '--passed', 'health', '--key', repository.key('ci')]
  for (const remote of ['origin', elsewhere]) {
    const ran = repository.headgate(...add, '--remote', remote)
    expect(ran.code, ran.all).toBe(0)
  }
  expect(repository.ledgerSubjects()).toHaveLength(3)
})
