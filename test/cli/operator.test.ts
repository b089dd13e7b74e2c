import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lastCommits, proved, released, releasedTwice, unproved } from '../beginnings.ts'
import { POLICY, PROGRAM, type TestRepository } from '../make-repository.ts'
import { guarded } from './run-program.ts'

/** Runs the last line that a command printed, as a person would paste it. */
function paste(repository: TestRepository, stdout: string, as = 'alice') {
  const line = stdout.trimEnd().split('\n').at(-1) ?? ''
  return repository.run('sh', ['-c', line], { cwd: repository.clone, env: { TEST_PUSHER: as } })
}

test('an approval prints the push that lands once', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [first = '', second = ''] = lastCommits(repository, 2)

  const ran = repository.headgate(
    ...['approve', '--from', 'HEAD', '--to', first, '--reason', 'checkout fails', '--trigger', 'pager'],
    ...['--symptoms', '500s', '--key', repository.key('bob')],
  )

  const [from, to] = [second.slice(0, 7), first.slice(0, 7)]
  expect(ran.stdout).toBe(
    `approved: release from ${from} back to ${to}, once, for 1h. An operator runs:\n` +
      `  git push --force-with-lease=release:${from} origin ${to}:refs/heads/release\n`,
  )
  expect(ran).toMatchObject({ stderr: '', code: 0 })
  const push = paste(repository, ran.stdout)
  expect(push.code, push.all).toBe(0)
  expect(repository.ref('refs/heads/release')).toBe(first)

  repository.prove(second)
  repository.mustRun(repository.push(`${second}:release`))
  const again = paste(repository, ran.stdout)
  expect(again.all).toContain('[approval]')
  expect(again.code).toBe(1)
})

test('whoever approves need not fetch first, and a commit that could be several is said to be', () => {
  const repository = guarded({ prepare: released })
  const first = repository.git('rev-parse', 'HEAD')
  const carol = join(repository.folder, 'carol')
  repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, carol]))
  const second = repository.release('two')
  const approve = (from: string) =>
    repository.run(
      process.execPath,
      [
        ...[PROGRAM, 'approve', '--from', from, '--to', first.slice(0, 7), '--reason', 'checkout fails'],
        ...['--key', repository.key('bob')],
      ],
      { cwd: carol },
    )
  expect(approve(second.slice(0, 7))).toMatchObject({ code: 0, stderr: '' })

  const stream = Array.from(
    { length: 1500 },
    (_, index) =>
      `commit refs/heads/many-${index}\ncommitter Dev <dev@example.com> ${1_800_000_000 + index} +0000\ndata 0\n\n`,
  )
  repository.mustRun(
    repository.run('git', ['fast-import', '--quiet'], { cwd: carol, input: stream.join('') }),
  )
  const listed = repository.mustRun(
    repository.run('git', ['for-each-ref', '--format=%(objectname)', 'refs/heads/many-*'], { cwd: carol }),
  )
  const starts = listed.stdout.split('\n').map((oid) => oid.slice(0, 4))
  const twice = starts.find((start, index) => starts.indexOf(start) !== index) ?? ''
  const ran = approve(twice)
  expect(ran.stderr).toContain(`headgate: "${twice}" is ambiguous: several objects begin with it\n`)
  expect(ran.code).toBe(64)
})

test('an override waives what it names, once, and its printed push lands', () => {
  const repository = guarded({ prepare: unproved })
  const [first = '', second = ''] = lastCommits(repository, 2)

  const ran = repository.headgate(
    ...['override', '--from', first, '--to', second, '--waive', 'evidence,served-commit'],
    ...['--reason', 'staging is down', '--key', repository.key('alice')],
  )

  expect(ran.stdout).toBe(
    `OVERRIDE recorded: evidence, served-commit waived once for release ${first.slice(0, 7)} -> ${second.slice(0, 7)}. An operator runs:\n` +
      `  git push --force-with-lease=release:${first.slice(0, 7)} origin ${second.slice(0, 7)}:refs/heads/release\n`,
  )
  const push = paste(repository, ran.stdout)
  expect(push.all).toContain('OVERRIDE signed by alice')
  expect(push.code, push.all).toBe(0)
})

test('freeze and unfreeze', () => {
  const repository = guarded({ prepare: proved })
  const commit = repository.git('rev-parse', 'HEAD')
  const key = ['--key', repository.key('alice')]
  const early = guarded().headgate('freeze', '--reason', 'sale', ...key)
  expect(early.stderr).toBe(
    'headgate: there is no release on origin yet, and a freeze speaks of its tip\n  hint: freeze it after the first promotion\n',
  )
  expect(early.code).toBe(78)

  const frozen = repository.headgate('freeze', '--for', '2d', '--reason', 'sale weekend', ...key)
  expect(frozen.stdout).toMatch(
    /^release is frozen until \d{4}-\d\d-\d\dT[\d:.]+Z; rollbacks stay possible\n$/,
  )
  const refused = repository.push(`${commit}:release`)
  expect(refused.all).toContain('[frozen]')
  expect(refused.all).toContain('sale weekend')
  expect(refused.code).toBe(1)

  const thawed = repository.headgate('unfreeze', '--reason', 'over', ...key)
  expect(thawed).toMatchObject({ stdout: 'release is no longer frozen\n', stderr: '', code: 0 })
  const subjects = repository.ledgerSubjects()
  const again = repository.headgate('unfreeze', '--reason', 'over', ...key)
  expect(again).toMatchObject({ stdout: 'release is not frozen\n', code: 0 })
  expect(repository.ledgerSubjects()).toEqual(subjects)
  expect(repository.push(`${commit}:release`).code).toBe(0)
})

test('drift: the refusal names it, the command settles it', () => {
  const repository = guarded({ prepare: proved })
  const commit = repository.git('rev-parse', 'HEAD')
  const key = ['--key', repository.key('alice')]
  const none = repository.headgate('drift', '--reason', 'x', ...key)
  expect(none).toMatchObject({
    stdout: 'release has not drifted: it is where its last landed move put it\n',
    code: 0,
  })
  writeFileSync(join(repository.bare, 'refs/heads/release'), `${commit}\n`)

  const next = repository.commit('three')
  repository.mustRun(repository.push('main'))
  repository.prove(next)
  expect(repository.push(`${next}:release`).all).toContain('[drift]')

  // A ref that only ends in the same name is another ref.
  repository.mustRun(repository.push(`${next}:refs/a/refs/heads/release`))
  const ran = repository.headgate('drift', '--reason', 'restored from backup', ...key)
  expect(ran.stdout).toBe(`accepted: release is at ${commit.slice(0, 7)}; the next move starts from there\n`)
  expect(ran).toMatchObject({ stderr: '', code: 0 })
  const push = repository.push(`${next}:release`)
  expect(push.code, push.all).toBe(0)
})

test('what the policy shortens, and what does not fit the release, is remarked', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [first = '', second = ''] = lastCommits(repository, 2)
  const third = repository.commit('three')
  repository.mustRun(repository.push('main'))
  const ran = repository.headgate(
    ...[
      'approve',
      '--from',
      third,
      '--to',
      first,
      '--reason',
      'x',
      '--expires',
      '1d',
      '--key',
      repository.key('bob'),
    ],
  )
  expect(ran.stderr).toBe(
    `remark: release is at ${second.slice(0, 7)}, and this counts only while it is at ${third.slice(0, 7)}\n` +
      'remark: the policy lets it count for 1 h only\n',
  )
  expect(ran.code).toBe(0)
})

test('branch names and remotes that a shell would take apart are quoted in the printed push', () => {
  const policy = POLICY.replace('release: release', "release: rel$(date)'s")
  const repository = guarded({ policy, install: false })
  const first = repository.git('rev-parse', 'HEAD')
  repository.git('push', '-q', 'origin', "HEAD:refs/heads/rel$(date)'s")
  repository.install()
  const second = repository.commit('two')
  repository.mustRun(repository.push('main'))
  const ran = repository.headgate(
    ...['override', '--from', first, '--to', second, '--waive', 'evidence', 'served-commit', '--reason', 'x'],
    ...['--remote', repository.bare, '--key', repository.key('alice')],
  )
  expect(ran.code, ran.all).toBe(0)
  const push = paste(repository, ran.stdout)
  expect(push.code, push.all).toBe(0)
})

test('calls that cannot succeed are said without a word to the server', () => {
  const repository = guarded({ prepare: releasedTwice })
  const [first = '', second = ''] = lastCommits(repository, 2)
  const subjects = repository.ledgerSubjects()
  const refs = repository.server('for-each-ref')
  const call = (...args: string[]) => {
    const ran = repository.headgate(...args)
    expect(ran.stdout).toBe('')
    return `${ran.stderr}exit ${ran.code}`
  }
  const move = ['--from', second, '--to', first, '--reason', 'x']
  const key = ['--key', repository.key('alice')]
  const nowhere = ['--remote', '/nonexistent.git']

  expect(call('approve', ...move)).toBe(
    'headgate: no key to sign with\n  hint: name it with --key FILE or HEADGATE_KEY; headgate key generate makes one\nexit 64',
  )
  expect(call('approve', ...move, ...key, '--expires', 'soon', ...nowhere)).toBe(
    'headgate: --expires: "soon" is not a duration: write it like 90s, 15m, 24h, 7d or 1h30m\n  hint: for example --expires 1h30m\nexit 64',
  )
  expect(call('freeze', '--reason', 'x', '--for', '0s', ...key, ...nowhere)).toBe(
    'headgate: --for must be longer than zero\n  hint: for example --for 1h30m\nexit 64',
  )
  expect(call('override', ...move, '--waive', 'evidnce', ...key, ...nowhere)).toBe(
    'headgate: there is no rule named "evidnce"\n' +
      '  hint: these can be waived: on-staging, fast-forward, evidence, served-commit, barred, frozen, known-good, approval, note\nexit 64',
  )
  expect(call('override', ...move, '--waive', 'operator', ...key, ...nowhere)).toMatch(
    /^headgate: the rule operator cannot be waived\n {2}hint: these can be waived: .+\nexit 64$/,
  )
  expect(call('approve', '--from', first, '--to', 'HEAD~1', '--reason', 'x', ...key)).toBe(
    `headgate: --from and --to are the same commit, ${first.slice(0, 7)}\n  hint: from is the release as it is now, to the one that it must become\nexit 64`,
  )
  expect(call('approve', '--from', 'nowhere', '--to', first, '--reason', 'x', ...key)).toMatch(
    /^headgate: there is no commit "nowhere" in this clone\n {2}hint: .+\nexit 64$/,
  )
  expect(call('freeze', '--reason', ' ', ...key, ...nowhere)).toBe(
    'headgate: --reason says nothing\n  hint: say why in a sentence or two\nexit 64',
  )
  expect(call('drift', '--reason', 'x'.repeat(4097), ...key, ...nowhere)).toBe(
    'headgate: --reason is longer than 4096 characters\n  hint: say why in a sentence or two\nexit 64',
  )
  expect(call('drift', '--reason', '', ...key)).toBe(
    'headgate: --reason needs a value\n  hint: give it one, or leave it out where it may be left out\nexit 64',
  )
  expect(repository.ledgerSubjects()).toEqual(subjects)
  expect(repository.server('for-each-ref')).toBe(refs)
})

test("an approval by somebody who may not: the server's reason, exit 77, and nothing is recorded", () => {
  const policy = POLICY.replace('approvers: [alice, bob]', 'approvers: [alice]')
  const repository = guarded({ policy, prepare: releasedTwice })
  const [first = '', second = ''] = lastCommits(repository, 2)
  const subjects = repository.ledgerSubjects()
  const ran = repository.headgate(
    ...['approve', '--from', second, '--to', first, '--reason', 'x', '--key', repository.key('bob')],
  )
  expect(ran.stderr).toBe(
    'headgate: the server refused the statement; nothing was recorded\n' +
      '  bob may not approve rollbacks\n' +
      '  hint: headgate policy show prints the policy that the server judges by\n',
  )
  expect(ran.stdout).toBe('')
  expect(ran.code).toBe(77)
  expect(repository.ledgerSubjects()).toEqual(subjects)
  expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
})
