/**
 * What a policy says stands as JSON beside its text: hooks decide by it without a reader of YAML, a ledger from before has
 * none and still works, and an auditor finds one that says something else than the text.
 */

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { policyJson } from '../../src/core/policy/policy-json.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { LEDGER_REF } from '../../src/core/refs.ts'
import { Forger } from '../audit/forged-ledger.ts'
import { POLICY, PROGRAM, TestRepository, unwrapped } from '../make-repository.ts'
import { RunningService } from './running-service.ts'

const PATH = 'policies/1/policy.json'
const READER = 'read-policy.js'
const SECOND = join(import.meta.dirname, '..', 'audit', 'second-verifier', 'verify.py')
const hasPython = spawnSync('python3', ['-c', 'import yaml']).status === 0

function guarded(): TestRepository {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  return repository
}

/** Gives the policies of the ledger other JSON beside their texts, or none, in commits that are otherwise the server's. */
async function rewriteLedger(repository: TestRepository, json: string | null): Promise<void> {
  const forger = await Forger.of(repository)
  const commits = forger.commits(forger.drafts())
  for (const { files } of commits)
    for (const path of [...files.keys()].filter((one) => /^policies\/\d+\/policy\.yaml$/.test(one)))
      if (json !== null) files.set(path.replace(/yaml$/, 'json'), json)
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', LEDGER_REF, forger.write(commits))
}

/** The hooks run a copy of the program from now on; returns the file that reads YAML for them. */
function ownProgram(repository: TestRepository): string {
  const program = join(repository.folder, 'dist')
  cpSync(dirname(PROGRAM), program, { recursive: true })
  for (const name of ['pre-receive', 'reference-transaction', 'post-receive']) {
    const hook = join(repository.bare, 'hooks', name)
    const text = readFileSync(hook, 'utf8')
    writeFileSync(hook, text.replace(/APP='[^']*'/, `APP='${join(program, 'hook.cjs')}'`))
  }
  return join(program, READER)
}

function prepareRelease(repository: TestRepository): string {
  const commit = repository.commit('a release')
  repository.pushProved(commit)
  return commit
}

const LYING = policyJson(parsePolicy(POLICY)).replace(
  '"operators":["alice","bob"]',
  '"operators":["alice","bob","mallory"]',
)

test('applying a policy stores what it says beside the texts; hooks decide by that and need no reader of YAML', () => {
  const repository = guarded()
  const stored = () =>
    repository.run('git', ['cat-file', 'blob', `${LEDGER_REF}:${PATH}`], { cwd: repository.bare })
  expect(stored().stdout).toBe(policyJson(parsePolicy(POLICY)))
  rmSync(ownProgram(repository))
  repository.release('a release')
  repository.mustRun(repository.headgate('verify'))

  const stricter = POLICY.replace('operators: [alice, bob]', 'operators: [bob]')
  writeFileSync(join(repository.policyFolder, 'policy.yaml'), stricter)
  repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
  const commit = prepareRelease(repository)
  expect(repository.push(`${commit}:refs/heads/release`).all).toContain('alice is not an operator')
  repository.mustRun(repository.push(`${commit}:refs/heads/release`, { as: 'bob' }))
  repository.mustRun(repository.headgate('verify'))
})

test('a ledger from before has no JSON and still works; installing again puts it there', async () => {
  const repository = guarded()
  await rewriteLedger(repository, null)
  const reader = ownProgram(repository)
  repository.release('a release')
  repository.mustRun(repository.headgate('verify', '--full'))
  const remark = unwrapped(repository.headgate('doctor', repository.bare).all)
  expect(remark).toContain('an older headgate applied the policy')

  const code = readFileSync(reader, 'utf8')
  const commit = repository.commit('another release', { 'docs/RELEASE_LOG.md': 'to be judged\n' })
  for (const damage of [() => writeFileSync(reader, 'throw new Error("torn")'), () => rmSync(reader)]) {
    damage()
    const refused = repository.push('main')
    expect(refused.code).toBe(1)
    expect(refused.all).toMatch(
      /no decision can be made: .*read-policy\.js cannot run.*\n.*headgate server install/,
    )
    expect(refused.all).not.toContain('a bug')
    repository.mustRun(repository.push(`${commit}:refs/heads/topic`, { args: ['--force'] }))
  }
  writeFileSync(reader, code)
  repository.mustRun(repository.push('main'))

  // What an earlier version kept there goes, too.
  const cache = join(repository.bare, 'headgate', 'cache')
  mkdirSync(cache)
  writeFileSync(join(cache, 'code'), 'compiled')
  repository.mustRun(repository.headgate('server', 'install', repository.bare))
  expect(existsSync(cache)).toBe(false)
  expect(repository.ledgerSubjects().at(-1)).toContain('policy version 2 applied')
  rmSync(ownProgram(repository))
  repository.release('without a reader')
  repository.mustRun(repository.headgate('verify'))
  expect(repository.headgate('doctor', repository.bare).all).not.toContain('older headgate')
})

test('the service reads the text where there is no JSON', async () => {
  const repository = guarded()
  await rewriteLedger(repository, null)
  const service = await RunningService.start([repository.bare])
  onTestFinished(async () => {
    await service.stop()
  })
  repository.release('a release')
})

test('of a later form the text counts; what is no JSON of a policy keeps the branches shut', async () => {
  const repository = guarded()
  await rewriteLedger(repository, '{"form":2,"lanes":[]}\n')
  repository.release('a release')
  await rewriteLedger(repository, LYING.slice(0, -20))
  const commit = repository.commit('another', { 'docs/RELEASE_LOG.md': 'to be judged\n' })
  const refused = repository.push('main')
  expect(refused.code).toBe(1)
  expect(refused.all).toMatch(/no decision can be made: the ledger's policies\/1\/policy\.json is not JSON/)
  repository.mustRun(repository.push(`${commit}:refs/heads/topic`))
  // The admin's way out needs none of it.
  repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
  repository.mustRun(repository.push('main'))
})

test('JSON that says something else than the text is found by every look at the ledger', async () => {
  const repository = guarded()
  repository.release('an honest release')
  await rewriteLedger(repository, LYING)
  const commit = prepareRelease(repository)
  repository.mustRun(repository.push(`${commit}:refs/heads/release`, { as: 'mallory' }))

  const found = /policies\/1\/policy\.json.* is not what its policy\.yaml says/
  for (const command of [
    ['verify', '--full'],
    ['verify', '--commit', commit],
    ['check', commit],
    ['deploy-check', commit, '--environment', 'production'],
    ['doctor', repository.bare],
  ]) {
    const told = repository.headgate(...command)
    expect(told.code, command.join(' ')).not.toBe(0)
    expect(unwrapped(told.all).replace(/\s+/g, ' '), command.join(' ')).toMatch(found)
  }

  // Also for whoever goes on from what was honest.
  const fresh = guarded()
  fresh.mustRun(fresh.headgate('verify'))
  writeFileSync(join(fresh.policyFolder, 'policy.yaml'), `${POLICY}# changed\n`)
  fresh.mustRun(fresh.headgate('policy', 'apply', fresh.bare, fresh.policyFolder))
  const tip = await rewriteLast(fresh, LYING)
  expect(fresh.ref(LEDGER_REF)).toBe(tip)
  const told = fresh.headgate('verify', '--format', 'json')
  expect(told.code).not.toBe(0)
  expect(JSON.parse(told.stdout).findings).toContainEqual(
    expect.objectContaining({ grade: 'violation', rule: 'tree', record: 2 }),
  )
})

test.skipIf(!hasPython)('a second verifier knows the JSON of a policy, too', async () => {
  const repository = guarded()
  const verify = () =>
    repository.run('python3', [
      SECOND,
      repository.bare,
      '--seal-key',
      join(repository.bare, 'headgate', 'seal-key.pub'),
    ])
  repository.mustRun(verify())
  await rewriteLedger(repository, LYING)
  const told = verify()
  expect(told.code).not.toBe(0)
  expect(told.all).toContain(PATH)
})

/** Gives the policy in the last commit other JSON; the commits before it stay. */
async function rewriteLast(repository: TestRepository, json: string): Promise<string> {
  const raw = repository.server('cat-file', 'commit', LEDGER_REF)
  const blob = repository.run('git', ['hash-object', '-w', '--stdin'], { cwd: repository.bare, input: json })
  const env = { GIT_INDEX_FILE: join(repository.folder, 'index') }
  const git = (args: string[], input = '') =>
    repository.mustRun(repository.run('git', args, { cwd: repository.bare, env, input })).stdout.trim()
  git(['read-tree', LEDGER_REF])
  git(['update-index', '--cacheinfo', `100644,${blob.stdout.trim()},policies/2/policy.json`])
  const changed = raw.replace(/^tree .*/, `tree ${git(['write-tree'])}`)
  const tip = git(['hash-object', '-t', 'commit', '-w', '--stdin'], `${changed}\n`)
  git(['-c', 'core.hooksPath=/dev/null', 'update-ref', LEDGER_REF, tip])
  return tip
}
