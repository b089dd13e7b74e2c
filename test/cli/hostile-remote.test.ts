/** A remote whose ledger names hosts and variables of the caller's: nothing of the caller's goes there on its word. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { released } from '../beginnings.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'
import { guarded, headgate, serve, serveAgain } from './run-program.ts'

const SECRETS = { GITHUB_TOKEN: 'ghp-hunter2', HEADGATE_GATE_TOKEN: 'gate-hunter2' }
/** As the remote's ledger has it: every request carries what it can get. */
const HEADERS = 'headers: { x-a: { env: GITHUB_TOKEN }, x-plain: words }'

/** A guarded repository whose policy names a host, and what that host was asked. */
async function hostile(headers = HEADERS) {
  const asked: string[] = []
  const url = await serveAgain((request, response) => {
    asked.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`)
    response.end(JSON.stringify({ commit: served.commit }))
  })
  const served = { commit: '' }
  const policy = POLICY.replaceAll(/url: \S+/g, `url: ${url}\n    ${headers}`)
  const repository = guarded({ policy, prepare: released })
  const commit = repository.git('rev-parse', 'HEAD')
  served.commit = commit
  const run = (...args: string[]) => headgate(repository, args, { env: SECRETS })
  return { repository, url, asked, commit, run }
}

/** Puts the policy where the caller has checked it out. */
function checkOut(repository: TestRepository, policy = repository.policy): void {
  mkdirSync(join(repository.clone, '.headgate'), { recursive: true })
  writeFileSync(join(repository.clone, '.headgate/policy.yaml'), policy)
}

function expectPlain(asked: readonly string[], times: number): void {
  expect(asked).toHaveLength(times)
  for (const request of asked) {
    expect(request).toMatch(/^GET \/health /)
    expect(request).not.toMatch(/x-a|x-plain|hunter2/)
  }
}

const LOOKS: [string, (commit: string) => string[][], number, number][] = [
  ['status and status --json', () => [['status'], ['status', '--json']], 0, 2],
  [
    'deploy-check --served',
    (commit) => [['deploy-check', commit, '--environment', 'production', '--served']],
    78,
    1,
  ],
  ['verify --served', () => [['verify', '--served']], 78, 1],
]

describe.each(LOOKS)('%s', (_, calls, code, requests) => {
  test('asks no host that the ledger alone names, and a named one with a plain GET', async () => {
    const { repository, url, asked, commit, run } = await hostile()
    for (const args of calls(commit)) {
      const unnamed = await run(...args)
      expect([unnamed.code, asked]).toEqual([code, []])
      expect(unnamed.all).toContain(`only the remote's ledger names ${url}`)
      expect(unnamed.all).toContain(`git config --global --add headgate.allowHost ${url}`)
    }

    // What came with a repository does not count, and another port is another host.
    repository.git('config', 'headgate.allowHost', url)
    checkOut(repository, repository.policy.replaceAll(url, `${url}0`.replace(/:\d+$/, ':9')))
    for (const args of calls(commit)) await run(...args)
    expect(asked).toEqual([])

    checkOut(repository)
    for (const args of calls(commit)) {
      const named = await run(...args)
      expect(named.code, named.all).toBe(0)
      expectPlain(asked.splice(0), requests)
    }
  })
})

test('a policy that was committed, and the configuration of the user, name hosts as well', async () => {
  const { repository, url, asked, run } = await hostile()
  repository.commit('policy', { '.headgate/policy.yaml': repository.policy })
  writeFileSync(join(repository.clone, '.headgate/policy.yaml'), 'not: [a, policy')
  await run('status')
  expectPlain(asked.splice(0), 2)
  repository.git('reset', '-q', '--hard', 'HEAD~1')
  await run('status')
  expect(asked).toEqual([])
  repository.git('config', '--global', 'headgate.allowHost', url)
  await run('status')
  expectPlain(asked, 2)
})

test('a check asks no environment at all', async () => {
  const { asked, commit, run } = await hostile()
  await run('check', commit)
  expect(asked).toEqual([])
})

describe('a variable that nobody allowed stays here', () => {
  const refusal = [
    'headgate: the policy sends environment variables to staging that nobody allowed to leave this machine: GITHUB_TOKEN',
    '  hint: if they are meant for it: git config --global --add headgate.allowEnv GITHUB_TOKEN   (names that begin with HEADGATE_GATE_ need no leave)',
  ]

  test.each([
    ['by the policy of the tree', []],
    ['by the policy in force', ['--record']],
  ])('gate, %s', async (_, record) => {
    const { repository, asked, run } = await hostile()
    checkOut(repository)
    const args = ['gate', ...record, '--key', repository.key('ci')]
    const refused = await run(...args)
    expect([refused.code, asked]).toEqual([78, []])
    expect(refused.stderr.split('\n')).toEqual(expect.arrayContaining(refusal))
    repository.git('config', 'headgate.allowEnv', 'GITHUB_TOKEN')
    expect([(await run(...args)).code, asked]).toEqual([78, []])

    repository.git('config', '--global', 'headgate.allowEnv', 'GITHUB_TOKEN')
    expect((await run(...args)).code).toBe(0)
    expect(asked.every((request) => request.includes('ghp-hunter2'))).toBe(true)
  })

  test('promote: the commit is released, and production is asked for nothing', async () => {
    const { repository, asked, run } = await hostile()
    const next = repository.commit('two')
    repository.pushProved(next)
    const ran = await run('promote', next, '--yes', '--no-record')
    expect([ran.code, ran.stderr]).toEqual([78, expect.stringContaining('headgate.allowEnv GITHUB_TOKEN')])
    expect([repository.ref('refs/heads/release'), asked]).toEqual([next, []])
  })
})

test('a variable whose name is meant for gates goes to the environment, and to no other host', async () => {
  const elsewhere: string[] = []
  const other = await serve((request, response) => {
    elsewhere.push(JSON.stringify(request.headers))
    response.end('{}')
  })
  const got: string[] = []
  const url = await serve((request, response) => {
    got.push(String(request.headers['x-a']))
    response.statusCode = request.url === '/move' ? 302 : 200
    response.setHeader('location', `${other}/there`)
    response.end(JSON.stringify({ commit: repository.git('rev-parse', 'HEAD') }))
  })
  const gates = `gates:
      - { name: move, get: /move, redirects: 1, expect: { status: 200 } }
`
  const policy = POLICY.replaceAll(
    /url: \S+/g,
    `url: ${url}\n    headers: { x-a: { env: HEADGATE_GATE_TOKEN } }`,
  )
  const repository = guarded({ policy: policy.replace(/gates:\n.*\n.*\n/, gates) })
  checkOut(repository)
  expect((await headgate(repository, ['gate'], { env: SECRETS })).code).toBe(0)
  expect(got).toEqual(['gate-hunter2', 'gate-hunter2', 'gate-hunter2'])
  expect(elsewhere).toEqual([expect.not.stringContaining('hunter2')])
})
