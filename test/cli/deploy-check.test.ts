import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseStatement } from '../../src/core/statement.ts'
import { lastCommits, released, releasedTwice } from '../beginnings.ts'
import { Day, releasedAndProved, releasedBad } from './day.ts'
import { guarded } from './run-program.ts'

const short = (oid: string) => oid.slice(0, 7)
const PRODUCTION = ['--environment', 'production'] as const
const STAGING = ['--environment', 'staging'] as const

test('only the landed release may be deployed to production, and whatever is on main to staging', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const ahead = repository.commit('ahead')
  repository.mustRun(repository.push('main'))
  const ask = (...args: string[]) => {
    const { stdout, code } = repository.headgate('deploy-check', ...args)
    return [stdout.replace(/(?:\d+ (?:h|min) )?\d+ (?:m?s|min|h) ago/, 'now'), code]
  }
  expect(ask(two, ...PRODUCTION)).toEqual([
    `yes: ${short(two)} is the release: promotion by alice now (record 6)\n`,
    0,
  ])
  for (const other of [one, ahead]) {
    expect(ask(other, ...PRODUCTION)).toEqual([
      `no: ${short(other)} is not the release: release is at ${short(two)}\n`,
      77,
    ])
  }
  const foreign = '1'.repeat(40)
  expect(ask(foreign, ...PRODUCTION)[1]).toBe(77)
  for (const commit of [one, ahead])
    expect(ask(commit, ...STAGING)).toEqual([`yes: ${short(commit)} is on main\n`, 0])
  expect(ask(foreign, ...STAGING)).toEqual(['no: 1111111 is not on main\n', 77])
  const local = repository.commit('not pushed')
  expect(ask(local, ...STAGING)).toEqual([`no: ${short(local)} is not on main\n`, 77])
})

test('a release that was moved behind the guard is a finding, even for the commit that it is at', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', one)
  const ran = repository.headgate('deploy-check', one, ...PRODUCTION)
  expect(ran.stdout).toContain(
    `no: release has drifted: its last landed move (record 6) put it at ${short(two)}`,
  )
  expect(ran.code).toBe(77)
})

test('the attestation is what the server signed, for whoever knows its seal key', () => {
  const repository = guarded({ prepare: released })
  const one = repository.git('rev-parse', 'HEAD')
  const seal = join(repository.bare, 'headgate/seal-key.pub')
  const file = join(repository.folder, 'vsa.json')
  const ask = (...args: string[]) => repository.headgate('deploy-check', one, ...PRODUCTION, ...args)
  expect(ask('--attestation', file, '--seal-key', seal)).toMatchObject({ code: 0 })
  const envelope = JSON.parse(readFileSync(file, 'utf8'))
  const statement = parseStatement(Buffer.from(envelope.payload, 'base64'))
  expect(statement).toMatchObject({
    kind: 'authorization',
    commit: one,
    predicate: { verificationResult: 'PASSED', verifiedLevels: ['ORG_SOURCE_STAGING_PROVED'] },
  })
  const printed = ask('--attestation=-')
  expect(JSON.parse(printed.stdout)).toEqual(envelope)
  const unchecked = "the attestation's seal was not checked: name the server's seal-key.pub with --seal-key"
  expect(printed.stderr).toMatch(
    /^yes: .* is the release: promotion by alice .* ago \(record \d+\)\nremark: /,
  )
  expect(printed.stderr).toContain(`remark: ${unchecked}`)
  const told = JSON.parse(ask('--json', '--attestation', file).stdout)
  expect(told).toMatchObject({ seal: 'unchecked', remarks: [expect.stringContaining(unchecked)] })
  expect(told).toMatchObject({ deploy: true, findings: [], landed: { kind: 'promotion', by: 'alice' } })
  const checked = JSON.parse(ask('--json', '--attestation', file, '--seal-key', seal).stdout)
  expect(checked).toMatchObject({ seal: 'ok', remarks: [] })

  const foreign = ask('--seal-key', `${repository.key('mallory')}.pub`, '--attestation=-')
  expect(foreign.stdout).toBe('')
  expect(foreign.stderr).toMatch(/^no: the authorization \(record \d+\) is not sealed with that key: /)
  expect(foreign.code).toBe(77)
  expect(ask('--seal-key', join(repository.folder, 'nowhere'))).toMatchObject({ code: 78 })
})

test('--served: an environment that serves something else is a finding', async () => {
  const day = await Day.begin({ begin: releasedAndProved })
  const [zero, one] = [day.commit('zero'), day.commit('one')]
  expect((await day.as('ci', 'deploy-check', zero, ...PRODUCTION, '--served')).code).toBe(0)
  day.production.stuck = true
  day.repository.mustRun(day.repository.push(`${one}:release`))
  const behind = await day.as('ci', 'deploy-check', one, ...PRODUCTION, '--served')
  expect(behind.stdout).toBe(`no: production serves ${zero}, not ${one}\n`)
  expect(behind.code).toBe(77)
  day.production.down = true
  const down = await day.as('ci', 'deploy-check', one, ...PRODUCTION, '--served')
  expect(down.stderr).toContain('headgate: production does not tell what it serves:')
  expect(down.code).toBe(69)
})

test('a release that failed its smoke test in production is told so', async () => {
  const day = await Day.begin({ begin: releasedBad })
  const ran = await day.as('alice', 'deploy-check', day.commit('bad'), '--environment', 'production')
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toMatch(/^remark: it failed its production smoke at 20.*Z \(record \d+\)/m)
  const json = await day.as(
    'alice',
    'deploy-check',
    day.commit('bad'),
    '--environment',
    'production',
    '--json',
  )
  expect(JSON.parse(json.stdout).remarks).toHaveLength(1)
})
