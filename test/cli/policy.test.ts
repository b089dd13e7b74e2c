import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { released } from '../beginnings.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'
import { guarded } from './run-program.ts'

function edit(
  repository: TestRepository,
  file: 'policy.yaml' | 'allowed_signers',
  change: (text: string) => string,
): void {
  const path = join(repository.policyFolder, file)
  writeFileSync(path, change(readFileSync(path, 'utf8')))
}

function call(repository: TestRepository, ...args: string[]): string {
  const { stdout, stderr, code } = repository.headgate(...args)
  return `${stdout}${stderr}exit ${code}`
}

describe('policy check', () => {
  test('says that a policy is valid', () => {
    const repository = guarded({ install: false })
    expect(call(repository, 'policy', 'check', repository.policyFolder)).toBe(
      `${repository.policyFolder} is a valid policy: release follows main, 2 staging gates, 3 keys\nexit 0`,
    )
    const json = JSON.parse(repository.headgate('policy', 'check', repository.policyFolder, '--json').stdout)
    expect(json).toMatchObject({
      policy: { release: 'release', promotion: { operators: ['alice', 'bob'] } },
      remarks: [],
    })
  })

  test('lists every problem of both files, with line and column', () => {
    const repository = guarded({ install: false })
    edit(repository, 'policy.yaml', (text) =>
      text.replace('staging: main', 'stagin: main').replace('operators: [alice, bob]', 'operators: []'),
    )
    edit(repository, 'allowed_signers', (text) => `${text}bob ssh-ed25519 garbage!\ncarol\n`)
    const ran = repository.headgate('policy', 'check', repository.policyFolder)
    expect(ran.stderr.split('\n')).toEqual([
      'headgate: policy.yaml has 3 problems',
      '  policy.yaml:1:1: staging: is missing',
      '  policy.yaml:3:1: stagin: is unknown here; did you mean `staging`?',
      '  policy.yaml:6:25: promotion.operators: must not be empty',
      expect.stringMatching(/^ {2}allowed_signers:4: .+/),
      expect.stringMatching(/^ {2}allowed_signers:5: .+/),
      expect.stringMatching(/^ {2}hint: .+/),
      '',
    ])
    expect(ran.stdout).toBe('')
    expect(ran.code).toBe(78)
  })

  test('remarks on what is valid and probably not meant', () => {
    const repository = guarded({ install: false })
    edit(repository, 'policy.yaml', (text) =>
      text
        .replace('approvers: [alice, bob], approvals: 1', 'approvers: [alice, bob, carol], approvals: 3')
        .replace('signedPush: if-offered', 'signedPush: required'),
    )
    edit(repository, 'allowed_signers', (text) =>
      text
        .split('\n')
        .filter((line) => !line.startsWith('ci@'))
        .map((line) =>
          line.startsWith('bob') ? line.replace('headgate-approval,git', 'headgate-approval') : line,
        )
        .join('\n'),
    )
    const ran = repository.headgate('policy', 'check', repository.policyFolder)
    expect(ran.stderr).toBe(
      `remark: no key in allowed_signers may sign evidence (namespace headgate-evidence), so nothing can be promoted
remark: carol may approve rollbacks but has no key for namespace headgate-approval in allowed_signers
remark: rollback.approvals is 3, and fewer approvers than that have a key, so no rollback is possible
remark: bob may promote but has no key for namespace git in allowed_signers, and signedPush is required
`,
    )
    expect(ran.code).toBe(0)

    edit(repository, 'allowed_signers', (text) => text.replace(/^alice namespaces="[^"]+"/m, 'alice'))
    expect(repository.headgate('policy', 'check', repository.policyFolder).stderr).toContain(
      'remark: allowed_signers:1: without namespaces= this key may sign anything, evidence and approvals alike\n',
    )
  })

  test.each([
    ['no folder', (folder: string) => rmSync(folder, { recursive: true }), /policy does not exist/],
    [
      'no allowed_signers',
      (folder: string) => rmSync(join(folder, 'allowed_signers')),
      /allowed_signers does not exist/,
    ],
    [
      'a folder for a file',
      (folder: string) => {
        rmSync(join(folder, 'allowed_signers'))
        mkdirSync(join(folder, 'allowed_signers'))
      },
      /allowed_signers is a folder, not a regular file/,
    ],
    [
      'other bytes than text',
      (folder: string) => writeFileSync(join(folder, 'policy.yaml'), Buffer.from([0xff, 0xfe, 0x41])),
      /policy\.yaml is not UTF-8 text/,
    ],
    [
      'a huge file',
      (folder: string) => writeFileSync(join(folder, 'policy.yaml'), '#'.repeat(300_000)),
      /policy\.yaml is larger than 256 KiB/,
    ],
    [
      'no YAML',
      (folder: string) => writeFileSync(join(folder, 'policy.yaml'), 'a: [\n'),
      /policy\.yaml has 1 problem\n {2}policy\.yaml:2:1: .+/,
    ],
    [
      'an empty file',
      (folder: string) => writeFileSync(join(folder, 'policy.yaml'), ''),
      /policy\.yaml has 1 problem\n {2}policy\.yaml:1:1: .+/,
    ],
    [
      'a wrong line among the keys',
      (folder: string) => writeFileSync(join(folder, 'allowed_signers'), 'alice ssh-rsa\n'),
      /allowed_signers:1: .+/,
    ],
  ])('%s is one clear error', (_, breakIt, message) => {
    const repository = guarded({ install: false })
    breakIt(repository.policyFolder)
    const ran = repository.headgate('policy', 'check', repository.policyFolder)
    expect(ran.stderr).toMatch(new RegExp(`^headgate: .*${message.source}\\n {2}hint: .+\\n$`))
    expect(ran.stdout).toBe('')
    expect(ran.code).toBe(78)
  })
})

describe('policy apply', () => {
  test('a changed policy raises the version, the same one changes nothing', () => {
    const repository = guarded()
    const apply = () => call(repository, 'policy', 'apply', repository.bare, repository.policyFolder)

    expect(apply()).toBe('policy version 1 is in force already; nothing changed\nexit 0')
    expect(repository.ledgerSubjects()).toHaveLength(1)

    edit(repository, 'policy.yaml', (text) => text.replace('maxAge: 24h', 'maxAge: 2h'))
    expect(apply()).toBe(
      `policy version 2 is in force now, from ${repository.policyFolder}: release follows main, enforce\nexit 0`,
    )
    edit(repository, 'allowed_signers', (text) => `# a comment\n${text}`)
    expect(apply()).toContain('policy version 3 is in force now')
    edit(repository, 'policy.yaml', () => POLICY)
    expect(apply()).toContain('policy version 4 is in force now')
    expect(repository.ledgerSubjects().map((subject) => subject.split(',')[0])).toEqual([
      'policy version 1 applied',
      'policy version 2 applied',
      'policy version 3 applied',
      'policy version 4 applied',
    ])
  })

  test('a wrong policy changes nothing', () => {
    const repository = guarded()
    const head = repository.ref('refs/headgate/ledger')
    const list = readFileSync(join(repository.bare, 'headgate', 'guarded'), 'utf8')
    edit(repository, 'policy.yaml', (text) => text.replace('release: release', 'release: [x]'))
    edit(repository, 'allowed_signers', (text) => `${text}nonsense\n`)

    const ran = repository.headgate('policy', 'apply', repository.bare, repository.policyFolder)

    expect(ran.stderr).toMatch(
      /^headgate: policy\.yaml has 1 problem\n {2}policy\.yaml:4:10: .+\n {2}allowed_signers:4: .+\n {2}hint: .+\n$/,
    )
    expect(ran.code).toBe(78)
    expect(repository.ref('refs/headgate/ledger')).toBe(head)
    expect(readFileSync(join(repository.bare, 'headgate', 'guarded'), 'utf8')).toBe(list)
    expect(repository.push('HEAD:refs/heads/release').code).toBe(1)
  })

  test('takes what was reviewed on the staging branch, and a push alone changes no policy', () => {
    const repository = guarded()
    expect(call(repository, 'policy', 'apply', repository.bare)).toBe(
      `headgate: there is no .headgate/policy.yaml at the tip of the staging branch of ${repository.bare}\n` +
        '  hint: push it there, or name a folder that has one: headgate policy apply REPO.git DIR\nexit 78',
    )
    const commit = repository.commit('policy', {
      '.headgate/policy.yaml': POLICY.replace('operators: [alice, bob]', 'operators: [mallory]'),
      '.headgate/allowed_signers': readFileSync(join(repository.policyFolder, 'allowed_signers'), 'utf8'),
    })
    repository.mustRun(repository.push('main'))
    repository.prove(commit)
    expect(repository.push(`${commit}:refs/heads/release`, { as: 'mallory' }).code).toBe(1)

    expect(call(repository, 'policy', 'apply', repository.bare)).toBe(
      `policy version 2 is in force now, from .headgate/ at the tip of main (${commit.slice(0, 7)}): release follows main, enforce\nexit 0`,
    )
    expect(repository.push(`${commit}:refs/heads/release`).code).toBe(1)
    expect(repository.push(`${commit}:refs/heads/release`, { as: 'mallory' }).code).toBe(0)
  })

  test('another release branch: its tip becomes the baseline, and the old one stays where it is', () => {
    const repository = guarded({ prepare: released })
    const one = repository.git('rev-parse', 'HEAD')
    repository.mustRun(repository.push(`${one}:refs/heads/production`))
    edit(repository, 'policy.yaml', (text) => text.replace('release: release', 'release: production'))

    expect(call(repository, 'policy', 'apply', repository.bare, repository.policyFolder)).toBe(
      `policy version 2 is in force now, from ${repository.policyFolder}: production follows main, enforce\n` +
        `  production at ${one.slice(0, 7)} is recorded as the baseline\nexit 0`,
    )
    repository.commit('unproved')
    expect(repository.push('HEAD:refs/heads/production').code).toBe(1)
    expect(repository.push('HEAD:refs/heads/release').all).toContain('[former-branch]')
    const next = repository.commit('two')
    repository.mustRun(repository.push('main'))
    repository.prove(next)
    expect(repository.push(`${next}:production`).code).toBe(0)
  })

  test('a release branch that appears after the installation is a promotion like any other', () => {
    const repository = guarded()
    expect(repository.push('HEAD:refs/heads/release').all).toContain('[evidence]')
    repository.prove(repository.git('rev-parse', 'HEAD'))
    expect(repository.push('HEAD:refs/heads/release').code).toBe(0)
    expect(call(repository, 'policy', 'apply', repository.bare, repository.policyFolder)).toBe(
      'policy version 1 is in force already; nothing changed\nexit 0',
    )
  })

  test('says when headgate only evaluates, and remarks', () => {
    const repository = guarded({
      install: false,
      policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
    })
    edit(repository, 'policy.yaml', (text) =>
      text.replace('approvers: [alice, bob]', 'approvers: [alice, carol]'),
    )
    const ran = repository.headgate(
      'server',
      'install',
      repository.bare,
      '--identity',
      'env:USER',
      '--policy',
      repository.policyFolder,
    )
    expect(ran.stdout).toContain(
      ': release follows main, evaluate\n  enforcement: evaluate judges and records every push and refuses none\n',
    )
    expect(ran.stderr).toBe(
      'remark: carol may approve rollbacks but has no key for namespace headgate-approval in allowed_signers\n',
    )
    expect(ran.code).toBe(0)
    expect(repository.push('HEAD:refs/heads/release').code).toBe(0)
  })

  test('where headgate is not installed, nothing is written', () => {
    const repository = guarded({ install: false })
    const ran = repository.headgate('policy', 'apply', repository.bare, repository.policyFolder)
    expect(ran.stderr).toMatch(
      /^headgate: .+ has no readable headgate\/server\.json\n {2}hint: run: headgate server install .+\n$/,
    )
    expect(ran.code).toBe(78)
    expect(repository.ref('refs/headgate/ledger')).toBeNull()
  })
})

describe('policy show', () => {
  test('on the server and from a clone it shows the same, as it was applied', () => {
    const repository = guarded()
    const keys = readFileSync(join(repository.policyFolder, 'allowed_signers'), 'utf8')
    const expected = `# policy version 1\n${POLICY}\n# allowed_signers\n${keys}exit 0`
    expect(call(repository, 'policy', 'show')).toBe(expected)
    expect(call(repository, 'policy', 'show', repository.bare)).toBe(expected)
    expect(JSON.parse(repository.headgate('policy', 'show', '--json').stdout)).toEqual({
      version: 1,
      policy: POLICY,
      allowedSigners: keys,
    })
  })

  test('a path without a guard is an error that says what to name', () => {
    const repository = guarded()
    expect(call(repository, 'policy', 'show', repository.clone)).toBe(
      `headgate: headgate is not installed in ${repository.clone}/.git\n` +
        '  hint: name a guarded bare repository; in a clone, headgate policy show asks its remote\nexit 78',
    )
    expect(call(repository, 'policy', 'show', '/nonexistent.git')).toBe(
      'headgate: /nonexistent.git is not a git repository\n' +
        '  hint: name a bare repository on this machine, such as /srv/git/app.git\nexit 78',
    )
  })
})
