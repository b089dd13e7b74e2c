/** A policy that changes between a record and the move that rests on it: keys that go, gates that are renamed. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { POLICY, TestRepository } from '../make-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger, spoken } from './attack.ts'
import { served } from './running-service.ts'

const TWO = POLICY.replace(
  'approvers: [alice, bob], approvals: 1',
  'approvers: [alice, bob, robert], approvals: 2',
)
const RENAMED = TWO.replace('name: chat,', 'name: talk,')

let repository: TestRepository
let signers: string
let commit: string

beforeAll(async () => {
  repository = new TestRepository({ policy: TWO })
  signers = readFileSync(join(repository.policyFolder, 'allowed_signers'), 'utf8')
  commit = repository.commit('proved')
  repository.mustRun(repository.push('main'))
  repository.prove(commit)
  return served(repository)
})
afterAll(() => repository.remove())

function apply(files: { policy?: string; allowedSigners?: string }): string {
  writeFileSync(join(repository.policyFolder, 'policy.yaml'), files.policy ?? TWO)
  writeFileSync(join(repository.policyFolder, 'allowed_signers'), files.allowedSigners ?? signers)
  const ran = repository.headgate('policy', 'apply', repository.bare, repository.policyFolder)
  return repository.mustRun(ran).all
}
const promote = () => repository.push(`${commit}:refs/heads/release`)
const evidence = (name = 'ci') =>
  repository.sign(repository.evidencePayload(commit), name, 'headgate-evidence')

test('a gate that was renamed voids the evidence, and the older policy brings it back under a new version', async () => {
  expect(apply({ policy: RENAMED })).toContain('version 2')
  const { all } = await expectRefused(repository, ['evidence'], promote)
  expect(spoken(all)).toMatch(
    /\(record 2, by ci@example\.com, .* ago\) was made under another gate configuration/,
  )
  expect(apply({})).toContain('version 3')
})

test('a key that was taken out, or has expired since, signs nothing new; what it signed before still counts', async () => {
  const other = repository.makeKey('ci2', 'ci@example.com', 'headgate-evidence')
  const without = signers.split('\n').filter((line) => !line.startsWith('ci@'))
  apply({ allowedSigners: [...without, other, ''].join('\n') })
  await expectRefused(repository, ['inbox'], () => repository.submit(evidence()))
  apply({
    allowedSigners: signers.replace('headgate-evidence"', 'headgate-evidence",valid-before="20200101Z"'),
  })
  const { all } = await expectRefused(repository, ['inbox'], () => repository.submit(evidence()))
  expect(spoken(all)).toContain('the key was valid until 2020-01-01T00:00:00Z')
  await expectChanged(repository, { 'refs/heads/release': commit }, promote)
  apply({})
})

test('one person under a new name, or with a second key, is no second approver', async () => {
  const good = commit
  commit = repository.release('bad')
  const bob2 = repository.makeKey('bob2', 'bob', 'headgate-approval')
  apply({ allowedSigners: `${signers}${bob2}\n` })
  const approve = (key: string) =>
    repository.mustRun(
      repository.submit(
        repository.sign(repository.approvalPayload(commit, good), key, 'headgate-approval'),
        'bob',
      ),
    )
  approve('bob')
  approve('bob2')
  const renamed = signers.replace('bob namespaces', 'robert namespaces')
  const remark = apply({
    allowedSigners: `${renamed}${renamed
      .split('\n')
      .find((line) => line.startsWith('robert'))
      ?.replace('robert', 'bob')}\n`,
  })
  expect(spoken(remark)).toContain('the key of bob is also that of robert')
  approve('bob')
  const { all } = await expectRefused(repository, ['approval', 'fast-forward'], () =>
    repository.push(`+${good}:refs/heads/release`),
  )
  expect(spoken(all)).toContain('needs 2 valid approvals and has 1 (bob)')
  expect(spoken(all)).toContain('is a second one by the same approver')
  expect(spoken(all)).toContain('the approval by robert (record')
  expect(spoken(all)).toContain('is a second one by the same key')
  expectSoundLedger(repository)
})

test('a branch in the place of a new release branch is told before anything is authorized', async () => {
  repository.server('update-ref', 'refs/heads/deploy/old', commit)
  apply({ policy: TWO.replace('release: release', 'release: deploy') })
  const tip = repository.commit('next')
  repository.mustRun(repository.push('main'))
  repository.prove(tip)
  const { all } = await expectRefused(repository, [], () => repository.push(`${tip}:refs/heads/deploy`))
  expect(spoken(all)).toContain('git cannot create refs/heads/deploy while there is refs/heads/deploy/old')
  repository.mustRun(repository.push(':refs/heads/deploy/old'))
  await expectChanged(repository, { 'refs/heads/deploy': tip }, () =>
    repository.push(`${tip}:refs/heads/deploy`),
  )
})
