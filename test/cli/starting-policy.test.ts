import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startingPolicy } from '../../src/app/starting-policy.ts'
import { lacksOfStagingFirst } from '../../src/audit/policy-profile.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { guarded, headgate } from './run-program.ts'

const { policy, allowedSigners } = startingPolicy({ repository: 'git.example.com/app' })

/** What the application does that the starting policy was written for; `change` makes it misbehave. */
async function application(
  commit: () => string,
  change: Partial<Record<'app_env' | 'debug_errors' | 'host' | 'allow', unknown>> = {},
): Promise<string> {
  let chats = 0
  const server = createServer((request, response) => {
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (change.allow !== undefined) response.setHeader('access-control-allow-origin', String(change.allow))
    switch (`${request.method} ${request.url}`) {
      case 'GET /health':
        return send(200, { commit: commit(), app_env: 'staging', debug_errors: false, ...change })
      case 'GET /db/health':
        return send(200, { host: change.host ?? 'db.staging.internal' })
      case 'GET /auth/whoami':
        return send(200, { user: 'hunter2' })
      case 'POST /api/chat':
        if (request.headers['content-type'] !== 'application/json') return send(415, { error: 'JSON only' })
        chats += 1
        return chats > 15 ? send(429, {}) : send(200, { reply: 'hunter2' })
      default:
        return send(404, {})
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('is a valid policy, with every gate that the workflow asks for', () => {
  const { staging, production } = parsePolicy(policy).environments
  expect(staging.gates.map(({ name }) => name)).toEqual([
    'health',
    'db-health',
    'whoami',
    'chat',
    'chat-415',
    'cors',
    'burst',
  ])
  expect(production?.gates.map(({ name }) => name)).toEqual(['health', 'db-health', 'chat', 'cors'])
})

test('passes policy check once the placeholder keys are replaced, and not before', async () => {
  const repository = guarded({ install: false })
  const folder = join(repository.clone, '.headgate')
  mkdirSync(folder)
  writeFileSync(join(folder, 'policy.yaml'), policy)
  writeFileSync(join(folder, 'allowed_signers'), allowedSigners)
  expect((await headgate(repository, ['policy', 'check'])).code).not.toBe(0)
  const key = (name: string) => readFileSync(`${repository.key(name)}.pub`, 'utf8').split(' ')[1] ?? ''
  const replaced = allowedSigners
    .replace('REPLACE-WITH-THE-PUBLIC-KEY-OF-CI', key('ci'))
    .replace('REPLACE-WITH-THE-PUBLIC-KEY-OF-ALICE', key('alice'))
  writeFileSync(join(folder, 'allowed_signers'), replaced)
  const checked = await headgate(repository, ['policy', 'check'])
  expect(checked.code, checked.all).toBe(0)
})

test('its gates pass where the application does what it should, and fail where it does not', async () => {
  const repository = guarded({ install: false })
  const folder = join(repository.clone, '.headgate')
  mkdirSync(folder)
  writeFileSync(join(folder, 'policy.yaml'), policy)
  // As init writes it: gates are tried before there are keys.
  writeFileSync(join(folder, 'allowed_signers'), allowedSigners)
  const commit = repository.commit('policy', {})
  const gate = async (change: Parameters<typeof application>[1] = {}) => {
    const env = { MODE: 'staging', BASE: await application(() => commit, change) }
    return headgate(repository, ['gate'], { env })
  }

  const good = await gate()
  expect(good.code, good.all).toBe(0)
  expect(good.stdout).toMatch(/^burst {5} passed {3}1\dx 200, \dx 429 /m)
  expect(good.stdout).toContain('PASSED: 7 of 7 gates passed on staging')
  expect(good.all).not.toContain('hunter2')

  const failing = async (change: Parameters<typeof application>[1]) =>
    (await gate(change)).stdout.split('\n').filter((line) => /^\S+ +failed /.test(line))
  expect(await failing({ app_env: 'production' })).toEqual([
    expect.stringMatching(/^health .+ json app_env is not "staging"$/),
  ])
  expect(await failing({ debug_errors: true })).toEqual([
    expect.stringMatching(/^health .+ json debug_errors is not false$/),
  ])
  expect(await failing({ host: 'db.production.internal' })).toEqual([
    expect.stringMatching(/^db-health .+ json host is not "db.staging.internal"$/),
  ])
  expect(await failing({ allow: '*' })).toEqual([
    expect.stringMatching(
      /^cors .+ every origin is let in \(\*\); preflight: every origin is let in \(\*\)$/,
    ),
  ])
})

test('the starting policy holds to the profile staging-first', () => {
  expect(lacksOfStagingFirst(parsePolicy(policy))).toEqual([])
})

test.for([
  ['- name: whoami', '- name: who', 'environments.staging has no gate "whoami"'],
  [
    'requests: 20',
    'requests: 21',
    'environments.staging, gate "burst": it sends 21 requests, and the workflow wants 10 to 20',
  ],
  [
    'json: { message: hi }',
    'json: { message: bye }',
    'environments.staging, gate "chat": it does not send the safe payload {"message":"hi"}',
  ],
  [
    'servedCommit: required',
    'servedCommit: if-reported',
    'evidence.servedCommit is if-reported; the workflow wants required',
  ],
  [
    'enforcement: enforce',
    'enforcement: evaluate',
    'enforcement: evaluate refuses nothing; the workflow wants enforce',
  ],
  [', notes: required', ' ', 'promotion.notes is optional; the workflow wants required'],
  ['  production:\n', '', 'environments.production is missing: after a promotion nothing is tested'],
] as const)('a policy with %j as %j lacks something for it', ([from, to, lack]) => {
  const text =
    to === ''
      ? policy.slice(0, policy.indexOf(from)).replace('target: smoke-passed', 'target: landed')
      : policy.replace(from, to)
  expect(text).not.toBe(policy)
  expect(lacksOfStagingFirst(parsePolicy(text))).toContain(lack)
})

test('policy check --profile says what is lacking, and ends with 77', () => {
  const repository = guarded()
  const check = (...args: string[]) =>
    repository.headgate('policy', 'check', repository.policyFolder, '--profile', 'staging-first', ...args)
  const ran = check()
  expect(ran.code).toBe(77)
  expect(ran.stdout).toContain('it lacks for staging-first:\n')
  expect(ran.stdout).toContain('  environments.staging has no gate "burst"\n')
  expect(JSON.parse(check('--json').stdout).lacks).toContain('environments.staging has no gate "burst"')
  expect(repository.headgate('policy', 'check', repository.policyFolder).code).toBe(0)
})
