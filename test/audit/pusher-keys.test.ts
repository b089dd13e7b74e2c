/** `rollback.approverMayPush: false`: a key of the pusher's under another name is the pusher still. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sha256 } from '../../src/core/canonical-json.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { guarded } from '../cli/run-program.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'
import { Forger, violations } from './forged-ledger.ts'

const OTHERS = POLICY.replace(
  'approvers: [alice, bob], approvals: 1, approverMayPush: true',
  'approvers: [al, bob, carol], approvals: 1, approverMayPush: false',
)
const hasPython = spawnSync('python3', ['-c', 'import yaml']).status === 0

function applySigners(repository: TestRepository, change: (text: string) => string): void {
  const file = join(repository.policyFolder, 'allowed_signers')
  writeFileSync(file, change(readFileSync(file, 'utf8')))
  repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
}

function approve(repository: TestRepository, from: string, to: string, key: string): void {
  const payload = repository.approvalPayload(from, to)
  repository.mustRun(repository.submit(repository.sign(payload, key, 'headgate-approval')))
}

function secondVerifier(repository: TestRepository): number | null {
  const script = join(import.meta.dirname, 'second-verifier', 'verify.py')
  const env = { PATH: process.env.PATH ?? '', PYTHONDONTWRITEBYTECODE: '1' }
  return hasPython ? spawnSync('python3', [script, repository.bare], { env }).status : 0
}

/** `two` is released, and alice goes back to `one`: her key pushes as alice and approves as al, her other one pushes too. */
function beginning() {
  const repository = guarded({ policy: OTHERS, prepare: releasedTwice })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const spare = repository.makeKey('spare', 'alice', 'git')
  const als = repository.makeKey('carol', 'carol', 'headgate-approval')
  applySigners(repository, (text) => {
    const [, key = ''] = /^alice namespaces="[^"]*" (.*)$/m.exec(text) ?? []
    const lines = text.replace(
      /^alice .*$/m,
      `alice namespaces="git" ${key}\nal namespaces="headgate-approval" ${key}`,
    )
    return `${lines}${spare}\n${als}\n`
  })
  const signing = ['-c', 'gpg.format=ssh', '-c', `user.signingKey=${repository.key('alice')}.pub`]
  const back = (...args: string[]) =>
    repository.run('git', [...signing, 'push', ...args, 'origin', `+${one}:refs/heads/release`], {
      cwd: repository.clone,
    })
  return { repository, one, two, als, back }
}

test('an approval by the key that pushes does not count under another name', () => {
  const { repository, one, two, back } = beginning()
  approve(repository, two, one, 'alice')
  for (const args of [[], ['--signed']]) {
    const refused = back(...args)
    expect(refused.code, refused.all).toBe(1)
    expect(refused.all.replace(/\s*\nremote: */g, ' ')).toContain(
      'the approval by al (record 9) is by the pusher, and the policy asks for somebody else',
    )
  }
  approve(repository, two, one, 'carol')
  repository.mustRun(back('--signed'))
  expect([repository.headgate('verify').code, secondVerifier(repository)]).toEqual([0, 0])
})

test('the record tells the keys, and they are judged again', async () => {
  const { repository, one, two, als, back } = beginning()
  approve(repository, two, one, 'carol')
  repository.mustRun(back('--signed'))
  expect([repository.headgate('verify').code, secondVerifier(repository)]).toEqual([0, 0])

  const forger = await Forger.of(repository)
  const index = forger.honest.findLastIndex(({ statement }) => statement.kind === 'authorization')
  const [rollback] = forger.honest.slice(index)
  if (rollback?.statement.kind !== 'authorization') throw new TypeError('it is one')
  const { facts } = rollback.statement.predicate['urn:headgate:move']
  expect(facts.pusherKeys).toHaveLength(2)
  const restated = (change: (facts: Record<string, unknown>) => void, policy?: (text: string) => string) => {
    const signing = { key: forger.serverKey, namespace: 'headgate-ledger' }
    const drafts = forger.drafts()
    let digest: string | null = null
    for (const [at, { statement }] of forger.honest.entries()) {
      if (statement.kind === 'policy' && statement.predicate.version === 2 && policy !== undefined) {
        const text = policy(statement.predicate.allowedSigners.text)
        digest = sha256(text)
        forger.rewrite(
          drafts[at]!,
          ({ predicate }) => {
            predicate.allowedSigners = { text, digest: { sha256: digest } }
          },
          signing,
        )
      }
      if (at !== index) continue
      forger.rewrite(
        drafts[at]!,
        ({ predicate }) => {
          const said = predicate['urn:headgate:move'].facts
          if (digest !== null) said.allowedSigners = digest
          change(said)
        },
        signing,
      )
    }
    return forger.audit(forger.forge(forger.rechain(drafts)))
  }
  const changed = await restated((said) => {
    said.pusherKeys = []
  })
  expect(violations(changed)).toContain(`replay@${index + 1}`)
  // Records of servers that compared names alone stay what they were.
  const older = await restated((said) => {
    delete said.pusherKeys
  })
  expect(violations(older)).toEqual([])
  expect(older.findings.filter(({ rule }) => rule === 'replay')).toEqual([])
  // What would be refused today is told.
  const carols = als.replace('carol namespaces="headgate-approval"', 'alice namespaces="git"')
  const told = await restated(
    (said) => {
      delete said.pusherKeys
    },
    (text) => `${text}${carols}\n`,
  )
  expect(violations(told)).toEqual([])
  expect(told.findings.find(({ rule }) => rule === 'replay')).toMatchObject({
    grade: 'exception',
    record: index + 1,
    found: expect.stringContaining('approvals were compared with the pusher by name alone'),
  })
})
