/** Whoever removes the ledger must not remove the guard with it, nor may a tired admin who then installs again. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Ran, TestRepository } from '../make-repository.ts'

const LEDGER = 'refs/headgate/ledger'
const RELEASE = 'refs/heads/release'
const gone = (bare: string) => `branches are guarded here, but the ledger with their policy is gone
  hint: the server admin brings it back from a copy: git --git-dir=${bare} -c core.hooksPath=/dev/null -c hook.reference-transaction.enabled=false fetch COPY ${LEDGER}:${LEDGER}
`

function guarded(options: { install?: boolean } = {}): TestRepository {
  const repository = new TestRepository(options)
  onTestFinished(() => repository.remove())
  return repository
}

const withoutHooks = (repository: TestRepository, ...args: string[]) =>
  repository.server('-c', 'core.hooksPath=/dev/null', ...args)

const install = (repository: TestRepository, ...args: string[]): Ran =>
  repository.headgate('server', 'install', repository.bare, '--identity', 'env:TEST_PUSHER', ...args)

describe('with its ledger removed behind the guard', () => {
  test('a repository stays guarded until the ledger is brought back as the message says', () => {
    const repository = guarded()
    const released = repository.release('first')
    const copy = join(repository.folder, 'copy.git')
    repository.run('git', ['clone', '-q', '--mirror', repository.bare, copy])
    const list = () => readFileSync(join(repository.bare, 'headgate/guarded'), 'utf8')
    const listed = list()
    withoutHooks(repository, 'update-ref', '-d', LEDGER)

    repository.commit('second')
    for (const branch of ['main', 'release']) {
      const pushed = repository.push(`HEAD:${branch}`)
      expect(pushed.code).toBe(1)
      expect(pushed.all).toContain('the ledger with their policy is gone')
    }
    expect(repository.push('HEAD:feature').code).toBe(0)
    for (const ran of [
      install(repository),
      install(repository, '--policy', repository.policyFolder),
      repository.headgate('policy', 'apply', repository.bare, repository.policyFolder),
      repository.headgate('policy', 'show', repository.bare),
    ]) {
      expect(ran.stderr).toBe(`headgate: ${gone(repository.bare)}`)
      expect(ran.code).toBe(65)
    }
    expect(list()).toBe(listed)
    expect(repository.ref(RELEASE)).toBe(released)

    withoutHooks(repository, 'fetch', '-q', copy, `${LEDGER}:${LEDGER}`)
    expect(repository.push('HEAD:main').code).toBe(0)
    expect(install(repository).code).toBe(0)
    repository.release('third')
  })

  test('it begins a new ledger only after it was uninstalled', () => {
    const repository = guarded()
    const released = repository.release('first')
    withoutHooks(repository, 'update-ref', '-d', LEDGER)
    repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))
    repository.mustRun(install(repository, '--policy', repository.policyFolder))
    expect(repository.ledgerSubjects()).toHaveLength(3)
    expect(repository.ledgerSubjects().at(-1)).toContain(released.slice(0, 7))
    repository.release('second')
  })
})

test('an installation that could not record its first policy is completed by the next one', () => {
  const repository = guarded({ install: false })
  const lock = join(repository.bare, `${LEDGER}.lock`)
  mkdirSync(join(repository.bare, 'refs/headgate'), { recursive: true })
  writeFileSync(lock, '')
  const ran = install(repository, '--policy', repository.policyFolder)
  expect(ran.stderr).toContain(lock)
  expect(ran.code).toBe(69)
  rmSync(lock)

  repository.mustRun(install(repository, '--policy', repository.policyFolder))
  repository.release('first')
})

test('a guarded branch that was made a symbolic ref is put right by the commands of the message', () => {
  const repository = guarded()
  const released = repository.release('first')
  repository.server('branch', 'elsewhere', released)
  // Newer git asks the guard first, and is refused.
  repository.server('-c', 'core.hooksPath=/dev/null', 'symbolic-ref', RELEASE, 'refs/heads/elsewhere')
  const next = repository.commit('next')
  repository.mustRun(repository.push('HEAD:feature'))

  const pushed = repository.push(`${next}:main`)

  expect(pushed.code).toBe(1)
  const [, first = '', second = ''] =
    /it a branch again: git (.*), then git (.*?)\s*\n/.exec(pushed.all) ?? []
  expect(second).toContain(released)
  repository.server(...first.split(' '))
  repository.server(...second.split(' '))
  expect(repository.push(`${next}:main`).code).toBe(0)
  repository.release('after')
})

test('a seal key that was made anew is in the ledger once the policy is applied again', () => {
  const repository = guarded()
  for (const name of ['seal-key.pem', 'seal-key.pub']) rmSync(join(repository.bare, 'headgate', name))
  const ran = repository.mustRun(install(repository))
  expect(ran.stdout).toContain('policy version 2')
  const key = readFileSync(join(repository.bare, 'headgate/seal-key.pub'), 'utf8').trim()
  const files = repository.server('ls-tree', '-r', '--name-only', LEDGER).split('\n')
  const latest = files.findLast((file) => file.endsWith('-policy.json')) ?? ''
  const { envelope } = JSON.parse(repository.server('show', `${LEDGER}:${latest}`))
  const statement = JSON.parse(Buffer.from(envelope.payload, 'base64').toString())
  expect(statement.predicate.version).toBe(2)
  expect(key).toContain(statement.predicate.sealKey.split(' ')[1])
  expect(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder).stdout).toContain(
    'policy version 2 is in force already; nothing changed',
  )
})
