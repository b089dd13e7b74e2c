/** `headgate relay` as it is used: begun by an admin, run as a service, asked by CI, read by everybody. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { relayOnce } from '../../src/relay/relay-once.ts'
import { headgate } from '../cli/run-program.ts'
import { PROGRAM, type TestRepository } from '../make-repository.ts'
import { RELAY_POLICY, RelayedHost } from './relayed-host.ts'

/** The relay as a process, which tells what it does. */
function start(repository: TestRepository, folder: string) {
  const child = spawn(process.execPath, [PROGRAM, 'relay', '--every', '1h', folder], {
    cwd: repository.folder,
    env: { ...repository.env, TEST_PUSHER: 'relay' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const told = { text: '' }
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      told.text += text
    })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  onTestFinished(() => void child.kill('SIGKILL'))
  const until = async (words: string) => {
    for (let count = 0; !told.text.includes(words); count++) {
      if (count > 1200) throw new Error(`it does not say "${words}":\n${told.text}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  return { child, told, ended, until }
}

test('from an empty host to a first promotion, and an audit by a plain clone', async () => {
  const host = new RelayedHost()
  const { repository } = host
  const folder = join(repository.folder, 'relay')
  const admin = { env: { TEST_PUSHER: 'relay' } }
  const begun = await headgate(
    repository,
    ['relay', 'init', repository.bare, folder, '--policy', repository.policyFolder, '--forge', 'github'],
    admin,
  )
  expect(begun.code, begun.all).toBe(0)
  expect(begun.stdout).toContain('policy version 1 is in force now')
  expect(begun.stdout).toContain('"actor_type": "DeployKey"')
  expect(begun.stdout).toContain('"refs/heads/headgate/ledger"')
  expect(statSync(join(folder, 'seal-key.pem')).mode & 0o777).toBe(0o600)
  expect(readFileSync(join(folder, 'seal-key.pub'), 'utf8')).toMatch(/^ssh-ed25519 /)

  const relay = start(repository, folder)
  await relay.until('relaying 1 repository')
  const commit = repository.commit('one')
  repository.mustRun(repository.push('main'))
  // Woken, it does not wait for an hour; it may be at work or asleep at any of these moments.
  const waking = setInterval(() => relay.child.kill('SIGUSR1'), 500)
  onTestFinished(() => clearInterval(waking))
  const added = await headgate(repository, [
    ...[
      'evidence',
      'add',
      '--commit',
      commit,
      '--passed',
      'health',
      '--passed',
      'chat',
      '--served-commit',
      commit,
    ],
    ...['--key', repository.key('ci')],
  ])
  expect(added.code, added.all).toBe(0)
  host.ask(host.request(commit))
  await relay.until('promotion 0000000 ->')
  expect(host.release).toBe(commit)

  const refused = await headgate(repository, [
    ...[
      'evidence',
      'invalidate',
      commit,
      '--reason',
      'it was another one',
      '--key',
      repository.key('mallory'),
    ],
  ])
  expect(refused.code, refused.all).toBe(77)
  expect(refused.stderr).toContain('the relay refused; nothing was recorded')
  clearInterval(waking)
  relay.child.kill('SIGTERM')
  expect(await relay.ended).toBe(0)

  const status = await headgate(repository, ['status', '--no-environments', '--json'])
  expect(JSON.parse(status.stdout)).toMatchObject({ release: { oid: commit }, drift: null })
  const verified = await headgate(repository, [
    'verify',
    '--trust',
    join(folder, 'seal-key.pub'),
    '--format',
    'json',
  ])
  expect(verified.code, verified.all).toBe(0)
  expect(JSON.parse(verified.stdout)).toMatchObject({ outcome: 'ok' })
})

test('operators promote and roll back as ever: what they ask for, the relay does or says why not', async () => {
  const policy = RELAY_POLICY.replace(/ {2}production:\n(?: {4}.*\n)+/, '')
  const host = new RelayedHost({ policy })
  const { repository } = host
  const begun = await host.begin()
  const one = host.askFor('one')
  await relayOnce(begun)
  const two = repository.commit('two')
  repository.pushProved(two)
  await relayOnce(begun)
  // What a relay in a job would do, whenever something has come.
  let ended = false
  onTestFinished(() => {
    ended = true
  })
  const working = (async () => {
    const relay = await host.relay()
    while (!ended) {
      await relayOnce(relay)
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  })()
  const alice = ['--key', repository.key('alice')]
  const check = await headgate(repository, ['check', two])
  expect(check.stdout).toContain('the relay takes')
  expect(check.stdout).toContain(`headgate promote ${two.slice(0, 7)} --key FILE`)
  // Who pushes by hand hears it before the host says no in its own words.
  repository.mustRun(repository.headgate('init'))
  const pushed = repository.push(`${two}:refs/heads/release`)
  expect(pushed.code).not.toBe(0)
  expect(pushed.stderr).toContain('a relay alone moves release here')
  const keyless = await headgate(repository, ['promote', two, '--yes'])
  expect(keyless.code).toBe(64)
  expect(keyless.stderr).toContain('no key to sign with')
  const promoted = await headgate(repository, [
    'promote',
    two,
    '--yes',
    '--note',
    'weekly',
    '--plan',
    'ticket 7',
    ...alice,
  ])
  expect(promoted.code, promoted.all).toBe(0)
  expect(promoted.stdout).toContain('promoted')
  expect(host.release).toBe(two)
  const { moves } = JSON.parse((await headgate(repository, ['log', '--format', 'json'])).stdout)
  expect(moves.at(-1)).toMatchObject({ kind: 'promotion', by: 'alice', to: two, outcome: 'landed' })

  const words = ['--trigger', 'alarm', '--symptoms', 'errors']
  const back = await headgate(repository, ['rollback', one, '--yes', ...words, ...alice])
  expect(back.code, back.all).toBe(0)
  expect(host.release).toBe(one)
  // Nobody has proved it since: said beforehand here, and by the relay to whoever asks all the same.
  const again = await headgate(repository, ['promote', two, '--yes', ...alice])
  expect(again.code).toBe(77)
  const frozen = await headgate(repository, [
    'freeze',
    '--for',
    '1h',
    '--reason',
    'sale',
    '--key',
    repository.key('mallory'),
  ])
  expect(frozen.code, frozen.all).toBe(77)
  expect(frozen.stderr).toContain('the relay refused; nothing was recorded')
  const by = await headgate(repository, [
    'override',
    '--waive',
    'barred,evidence',
    '--from',
    one,
    '--to',
    two,
    '--reason',
    'it was the cable',
    ...alice,
  ])
  expect(by.code, by.all).toBe(0)
  expect(by.stdout).toContain(`headgate promote ${two.slice(0, 7)}`)

  // Rewritten on the host, and accepted.
  repository.git('fetch', '-q', 'origin')
  repository.git('reset', '-q', '--hard', two)
  repository.git('commit', '-q', '--amend', '-m', 'rewritten')
  // The clone's own hook would have refused; the host cannot.
  repository.mustRun(repository.push('+main', { args: ['--no-verify'] }))
  const drift = await headgate(repository, ['drift', '--branch', 'main', '--reason', 'an accident', ...alice])
  expect(drift.code, drift.all).toBe(0)
  expect(drift.stdout).toContain('accepted: main is at')
  ended = true
  await working
  const verified = await headgate(repository, ['verify', '--format', 'json'])
  const report = JSON.parse(verified.stdout)
  expect(report.findings.filter(({ grade }: { grade: string }) => grade === 'violation')).toEqual([])
  expect(report.findings).toContainEqual(expect.objectContaining({ rule: 'staging-ref', grade: 'exception' }))
})

test('once, for jobs: with the cache gone, with a key from the environment, with what is wrong said', async () => {
  const host = new RelayedHost()
  const { repository } = host
  const folder = join(repository.folder, 'relay')
  const asRelay = { env: { TEST_PUSHER: 'relay' } }
  const run = (...args: string[]) => headgate(repository, ['relay', ...args], asRelay)
  const wrong = await run('init', 'https://user:secret@git.example.com/app', folder)
  expect(wrong).toMatchObject({ code: 64 })
  expect(wrong.all).not.toContain('secret')
  // Hooks go by another policy, and are not installed with this one.
  const hooks = [
    'server',
    'install',
    repository.bare,
    '--identity',
    'env:TEST_PUSHER',
    '--policy',
    repository.policyFolder,
  ]
  const installed = await headgate(repository, hooks)
  expect(installed).toMatchObject({
    code: 78,
    stderr: expect.stringContaining('the policy says guard: relay'),
  })
  expect(existsSync(join(repository.bare, 'hooks', 'pre-receive'))).toBe(false)
  expect((await run('init', repository.bare, folder, '--policy', repository.policyFolder)).code).toBe(0)
  const commit = host.askFor('one')
  const first = await run('--once', folder)
  expect(first.code, first.all).toBe(0)
  expect(first.stdout).toContain('asked for by alice (record 4)')
  expect(host.release).toBe(commit)
  // A job of a CI has the settings from the repository and the key from a secret.
  const key = readFileSync(join(folder, 'seal-key.pem'), 'utf8')
  rmSync(join(folder, 'seal-key.pem'))
  rmSync(join(folder, 'cache.git'), { recursive: true })
  const missing = await run('--once', folder)
  expect(missing).toMatchObject({ code: 78 })
  expect(missing.stderr).toContain('HEADGATE_SEAL_KEY')
  const next = host.askFor('two')
  const again = await headgate(repository, ['relay', '--once', '--json', folder], {
    env: { TEST_PUSHER: 'relay', HEADGATE_SEAL_KEY: key },
  })
  expect(JSON.parse(again.stdout)).toEqual({ moved: 1, refused: 0, recorded: 4, failed: 0 })
  expect(host.release).toBe(next)
  expect(existsSync(join(folder, 'seal-key.pem'))).toBe(false)
  writeFileSync(join(folder, 'relay.json'), '{}')
  expect(await run('--once', folder)).toMatchObject({ code: 78 })
  expect(await run('--once', join(folder, 'nowhere'))).toMatchObject({ code: 64 })
  expect(await run()).toMatchObject({ code: 64 })
})
