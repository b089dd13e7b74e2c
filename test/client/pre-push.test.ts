/** pre-push: the server's verdict before anything is sent, for every way to push. */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lastCommits, proved, released, releasedTwice, unproved } from '../beginnings.ts'
import { run } from '../cli/run-program.ts'
import { POLICY, type TestRepository } from '../make-repository.ts'
import { served } from '../server/running-service.ts'
import { guardedClone, hookedClone, refusedBefore, write } from './clones.ts'
import { serveGit } from './smart-http.ts'

describe('a push that the server would refuse is refused before anything is sent', () => {
  test('with the words of the server', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const before = repository.push(`${commit}:release`)
    expect(before.code).toBe(1)
    const short = commit.slice(0, 7)
    const from = repository.ref('refs/heads/release')?.slice(0, 7)
    expect(before.stderr).toBe(
      [
        'headgate: push refused',
        '',
        `release: ${from} -> ${short}, a promotion`,
        '  [evidence]',
        `    there is no staging evidence for ${short}`,
        `    fix: deploy ${short} to staging, then run the gates there and record`,
        '         the result:',
        `           headgate gate --mode staging --commit ${short} --record --key FILE`,
        '',
        'git takes or refuses a push as a whole, so nothing was moved.',
        '',
        'Nothing was sent. This is what the server would say; git push --no-verify asks it.',
        `error: failed to push some refs to '${repository.bare}'`,
        '',
      ].join('\n'),
    )
    const after = repository.push(`${commit}:release`, { args: ['--no-verify'] })
    expect(after.stderr).toContain('remote:   [evidence]')
  })

  test('for every way to push', async () => {
    const repository = hookedClone({ prepare: releasedTwice })
    onTestFinished(await served(repository))
    repository.git('branch', 'behind', 'main~1')
    repository.git('switch', '-q', '-c', 'stray')
    repository.commit('stray', { 'stray.txt': '1' })
    repository.git('branch', 'release')
    repository.git('tag', '-a', '-m', 'v1', 'v1')
    const ways: [string, string[], string[]][] = [
      ['one of several refs', ['main:topic', 'HEAD~1:refs/heads/other', 'release'], []],
      ['a deletion', [':release'], []],
      ['a deletion of the staging branch', [':main'], []],
      ['a rewrite of the staging branch', ['+behind:main'], []],
      ['a tag object as the release', ['v1:refs/heads/release'], ['--force']],
      ['a rollback without approval', ['main~1:release'], ['--force-with-lease']],
      ["a ref of headgate's own", ['main:refs/headgate/ledger'], []],
      ['--all', [], ['--all']],
      ['--mirror', [], ['--mirror']],
      ['--prune', ['refs/heads/*'], ['--prune']],
      ['--atomic', ['main:topic', 'release'], ['--atomic']],
      ['--follow-tags', ['release'], ['--follow-tags']],
    ]
    for (const [way, refspecs, args] of ways) {
      const ran = repository.push(refspecs, { args })
      expect(refusedBefore(ran), `${way}\n${ran.all}`).toBe(true)
      const server = repository.push(refspecs, { args: [...args, '--no-verify'] })
      expect(server.code, way).not.toBe(0)
      expect(server.all, way).toContain('remote: headgate: push refused')
    }
  })
})

describe('a push that the server takes goes through', () => {
  test('promotion, staging branch, tags, rollback with approval', () => {
    const repository = hookedClone({ prepare: releasedTwice })
    const [one = '', two = ''] = lastCommits(repository, 2)
    repository.git('tag', 'v2')
    expect(repository.push([], { args: ['--tags'] }).code).toBe(0)
    expect(repository.push([], { args: ['--all'] }).code).toBe(0)
    const early = repository.push(`${one}:release`, { args: [`--force-with-lease=release:${two}`] })
    expect(refusedBefore(early), early.all).toBe(true)
    const approval = repository.sign(repository.approvalPayload(two, one), 'bob', 'headgate-approval')
    repository.mustRun(repository.submit(approval, 'bob'))
    const back = repository.push(`${one}:release`, { args: [`--force-with-lease=release:${two}`] })
    expect(back.code, back.all).toBe(0)
    expect(back.all).toContain('rollback')
    expect(repository.ref('refs/heads/release')).toBe(one)
  })

  test('with a submission that justifies the move in the same push, which the server judges', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const evidence = repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')
    const ran = repository.push([repository.inboxRefspec(evidence), `${commit}:release`])
    expect(ran.code, ran.all).toBe(0)
    expect(ran.all).toContain('so the server decides: the push brings submissions with release')
  })

  test('where the policy only evaluates', () => {
    const repository = hookedClone({
      policy: POLICY.replace('release: release', 'release: release\nenforcement: evaluate'),
    })
    const ran = repository.push('main:refs/heads/release')
    expect(ran.code, ran.all).toBe(0)
    expect(ran.all).not.toContain('Nothing was sent.')
  })

  test('whoever pushes, since only the server knows who that is', () => {
    const repository = hookedClone({ prepare: proved })
    const commit = repository.git('rev-parse', 'HEAD')
    const mallory = repository.push(`${commit}:release`, { as: 'mallory' })
    expect(mallory.all).toContain('remote:   [operator]')
    expect(repository.push(`${commit}:release`, { as: 'bob' }).code).toBe(0)
  })
})

describe('what somebody else did meanwhile is seen', () => {
  test('a promotion, a new main and a new policy that this clone never fetched', () => {
    const repository = hookedClone({ prepare: released })
    const other = join(repository.folder, 'other')
    repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, other]))
    writeFileSync(join(other, 'other.txt'), 'x')
    repository.mustRun(repository.run('git', ['add', '-A'], { cwd: other }))
    repository.mustRun(repository.run('git', ['commit', '-qm', 'theirs'], { cwd: other }))
    repository.mustRun(repository.run('git', ['push', '-q', 'origin', 'main'], { cwd: other }))
    const theirs = repository.ref('refs/heads/main') ?? ''
    const tracking = repository.git('rev-parse', 'refs/remotes/origin/main')
    repository.git('branch', 'mine')
    const ran = repository.push('mine:main', { args: ['--force'] })
    expect(refusedBefore(ran), ran.all).toBe(true)
    expect(ran.all).toContain('[staging-history]')
    // The hook has fetched what it needed, and moved no branch: --force-with-lease compares with them.
    expect(repository.git('rev-parse', 'refs/remotes/origin/main')).toBe(tracking)
    expect(repository.git('cat-file', '-t', theirs)).toBe('commit')
  })
})

test('a promotion that lands while the refs are listed is no drift', () => {
  const repository = hookedClone({ prepare: proved })
  const two = repository.git('rev-parse', 'HEAD')
  const old = join(repository.folder, 'old.git')
  cpSync(repository.bare, old, { recursive: true })
  repository.mustRun(repository.push(`${two}:release`))
  // What such a list looks like: the ledger of before, the branch of after. It is answered once.
  const moved = ['-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', two]
  repository.mustRun(repository.run('git', moved, { cwd: old }))
  const once = join(repository.folder, 'once')
  const serve = join(repository.folder, 'serve')
  write(repository, once, '')
  write(
    repository,
    serve,
    `#!/bin/sh\nrm '${once}' 2>/dev/null || exec git-upload-pack "$@"\nexec git-upload-pack '${old}'\n`,
  )
  repository.git('config', 'remote.origin.uploadpack', serve)
  const { rules } = JSON.parse(repository.headgate('check', 'main~1', '--json').stdout)
  expect(existsSync(once)).toBe(false)
  expect(rules.find(({ rule }: { rule: string }) => rule === 'drift').verdict).toBe('passed')
})

describe('nothing for everyone else', () => {
  /** Whether anything but the shell was started: the list names programs that would leave a trace. */
  function withTrap(repository: TestRepository): () => boolean {
    const trace = join(repository.folder, 'started')
    write(repository, join(repository.folder, 'trap'), `#!/bin/sh\necho "$@" >>'${trace}'\nexit 0\n`)
    const list = join(repository.clone, '.git', 'headgate', 'remotes')
    const text = readFileSync(list, 'utf8').replace(/^node .*/m, `node ${join(repository.folder, 'trap')}`)
    writeFileSync(list, text)
    return () => existsSync(trace)
  }

  test('a push of another branch starts no Node; one of a guarded branch does', () => {
    const repository = hookedClone({ prepare: released })
    const started = withTrap(repository)
    repository.commit('two')
    for (const refspecs of [
      ['main:topic'],
      [':topic'],
      ['main:refs/heads/release-2', 'main:refs/tags/main-2'],
    ])
      repository.mustRun(repository.push(refspecs))
    expect(started()).toBe(false)
    repository.mustRun(repository.push('main'))
    expect(started()).toBe(true)
  })

  test('nor does a push of guarded names to a remote that is not guarded, once that is known', () => {
    const repository = hookedClone()
    repository.mustRun(repository.run('git', ['init', '-q', '--bare', join(repository.folder, 'fork.git')]))
    repository.git('remote', 'add', 'fork', join(repository.folder, 'fork.git'))
    repository.git('push', '-q', 'fork', 'main', 'main:release')
    const started = withTrap(repository)
    repository.commit('two')
    repository.git('push', '-q', 'fork', 'main', 'main:release')
    repository.git('push', '-q', 'fork', ':release')
    expect(started()).toBe(false)
  })

  test('a remote that came later, by another name, with two places that it pushes to', () => {
    const repository = guardedClone({ prepare: released })
    const commit = repository.commit('two')
    const mirror = join(repository.folder, 'mirror.git')
    repository.mustRun(repository.run('git', ['init', '-q', '--bare', mirror]))
    repository.git('remote', 'remove', 'origin')
    repository.mustRun(repository.headgate('init'))
    const push = (to: string, ...refspecs: string[]) =>
      repository.run('git', ['push', to, ...refspecs], { cwd: repository.clone })
    // What is known of neither name nor place is looked at when one of the usual names is pushed.
    expect(refusedBefore(push(repository.bare, `${commit}:release`))).toBe(true)
    repository.git('remote', 'add', 'upstream', '/elsewhere/app.git')
    repository.git('config', `url.${repository.folder}/.pushInsteadOf`, '/elsewhere/')
    repository.mustRun(repository.headgate('init'))
    expect(refusedBefore(push('upstream', `${commit}:release`))).toBe(true)
    repository.git('remote', 'set-url', '--add', '--push', 'upstream', repository.bare)
    repository.git('remote', 'set-url', '--add', '--push', 'upstream', mirror)
    expect(repository.headgate('init').stdout).toContain(
      'upstream is guarded: main and release\nupstream is not',
    )
    expect(push('upstream', 'main').code).toBe(0)
    const ran = push('upstream', `${commit}:refs/heads/release`)
    expect(ran.all).toContain('Nothing was sent.')
    expect(repository.headgate('doctor').stdout).toMatch(/is healthy$/m)
  })

  test('a clone that knows nothing yet goes by .headgate/policy.yaml', () => {
    const repository = hookedClone({ prepare: released })
    repository.commit('policy', {
      '.headgate/policy.yaml': repository.policy.replace('release: release', "release: 'release' # the shop"),
    })
    const list = join(repository.clone, '.git', 'headgate', 'remotes')
    writeFileSync(list, `${readFileSync(list, 'utf8').split('\n').slice(0, 2).join('\n')}\n`)
    const started = withTrap(repository)
    repository.mustRun(repository.push('main:topic'))
    expect(started()).toBe(false)
    repository.mustRun(
      repository.run('git', ['push', '-q', '--no-verify', 'origin', 'main'], { cwd: repository.clone }),
    )
    repository.push('main:release')
    expect(started()).toBe(true)
    rmSync(list)
  })
})

describe('headgate or its Node is missing', () => {
  test('one line, and the push goes on to the server', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const list = join(repository.clone, '.git', 'headgate', 'remotes')
    writeFileSync(list, readFileSync(list, 'utf8').replace(/^app .*/m, 'app /nowhere/headgate.js'))
    const ran = repository.push(`${commit}:release`)
    expect(ran.stderr.split('\n')[0]).toBe(
      'headgate: not found here, so only the server judges this push (to find it: npm install, or headgate init)',
    )
    expect(ran.all).toContain('remote:   [evidence]')
  })

  test('Node need not be in PATH: the one that ran headgate init is known', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const ran = repository.push(`${commit}:release`, { env: { PATH: '/usr/bin:/bin' } })
    expect(refusedBefore(ran), ran.all).toBe(true)
  })

  test('a Node that is gone is looked for where Nodes live', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const list = join(repository.clone, '.git', 'headgate', 'remotes')
    writeFileSync(list, readFileSync(list, 'utf8').replace(/^node .*/m, 'node /nowhere/node'))
    const home = repository.env.HOME ?? ''
    write(
      repository,
      join(home, '.nvm/versions/node/v24.1.0/bin/node'),
      `#!/bin/sh\nexec '${process.execPath}' "$@"\n`,
    )
    const ran = repository.push(`${commit}:release`, { env: { PATH: '/usr/bin:/bin' } })
    expect(refusedBefore(ran), ran.all).toBe(true)
  })
})

describe('over ssh', () => {
  /** A stand-in for the program ssh alone: git's own protocol goes through it. `fetch` is what it does for reads. */
  function overSsh(repository: TestRepository, fetch: string): Record<string, string> {
    const ssh = join(repository.folder, 'ssh-here')
    write(
      repository,
      ssh,
      `#!/bin/sh\nfor last; do :; done\ncase $last in *upload-pack*) ${fetch} ;; esac\nexec sh -c "$last"\n`,
    )
    repository.git('remote', 'set-url', 'origin', `ssh://host${repository.bare}`)
    return { GIT_SSH_COMMAND: ssh }
  }

  test('the verdict comes before anything is sent', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const env = overSsh(repository, ':')
    const ran = repository.push(`${commit}:release`, { env })
    expect(refusedBefore(ran), ran.all).toBe(true)
  })

  test('the second connection asks for no password: it fails, and the server decides', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const trace = join(repository.folder, 'asked')
    const ssh = join(repository.folder, 'bin', 'ssh')
    write(
      repository,
      ssh,
      `#!/bin/sh\necho "$GIT_TERMINAL_PROMPT $*" >>'${trace}'\nfor last; do :; done\nexec sh -c "$last"\n`,
    )
    repository.git('remote', 'set-url', 'origin', `ssh://host${repository.bare}`)
    repository.git('config', 'core.sshCommand', `${ssh} -o Some=option`)
    expect(refusedBefore(repository.push(`${commit}:release`))).toBe(true)
    const [push = '', read = ''] = readFileSync(trace, 'utf8').split('\n')
    expect(push).toMatch(/^ -o Some=option .*receive-pack/)
    expect(read).toMatch(/^0 -o Some=option -o BatchMode=yes .*upload-pack/)
  })

  test('a remote that cannot be read lets the push go, and says that the server decides', () => {
    const repository = hookedClone({ prepare: unproved })
    const commit = repository.git('rev-parse', 'HEAD')
    const env = overSsh(repository, 'echo gone fishing >&2; exit 1')
    const ran = repository.push(`${commit}:release`, { env })
    expect(ran.stderr).toMatch(/^headgate: could not tell beforehand, so the server decides: .+/)
    expect(ran.all).toContain('remote:   [evidence]')
  })

  test('a remote that is too slow does so, too, after five seconds', () => {
    const repository = hookedClone({ prepare: proved })
    const commit = repository.git('rev-parse', 'HEAD')
    const env = overSsh(repository, 'exec sleep 60')
    const start = performance.now()
    const ran = repository.push(`${commit}:release`, { env })
    expect(performance.now() - start).toBeLessThan(15_000)
    expect(ran.code, ran.all).toBe(0)
    expect(ran.stderr).toContain('origin did not answer within 5 seconds')
  })

  test('a push of the staging branch asks nobody while nothing speaks against it', () => {
    const repository = hookedClone({ prepare: released })
    repository.commit('two')
    const env = overSsh(repository, 'echo asked >&2; exit 1')
    const ran = repository.push('main', { env })
    expect(ran.code, ran.all).toBe(0)
    expect(ran.all).not.toContain('headgate:')
  })
})

test('a clone in a folder with spaces, a linked worktree, a remote named by its URL', () => {
  const repository = guardedClone({ prepare: released })
  const clone = join(repository.folder, "it's a clone")
  repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, clone]))
  const run = (cwd: string, ...args: string[]) => repository.run('git', args, { cwd })
  repository.mustRun(
    repository.run(process.execPath, [join(import.meta.dirname, '../../dist/headgate.js'), 'init'], {
      cwd: clone,
    }),
  )
  const worktree = join(repository.folder, 'a work tree')
  repository.mustRun(run(clone, 'worktree', 'add', '-q', '-b', 'other', worktree))
  for (const cwd of [clone, worktree]) {
    repository.mustRun(run(cwd, 'commit', '-q', '--allow-empty', '-m', 'stray'))
    expect(refusedBefore(run(cwd, 'push', 'origin', 'HEAD:release'))).toBe(true)
    expect(refusedBefore(run(cwd, 'push', repository.bare, 'HEAD:release'))).toBe(true)
    expect(run(cwd, 'push', 'origin', 'HEAD:refs/heads/topic').code).toBe(0)
    repository.mustRun(run(cwd, 'push', 'origin', ':topic'))
  }
})

test('over smart HTTP', async () => {
  const repository = hookedClone({ prepare: unproved })
  const commit = repository.git('rev-parse', 'HEAD')
  repository.server('config', 'http.receivepack', 'true')
  const url = await serveGit(repository)
  repository.git('remote', 'set-url', 'origin', `${url}/app.git`)
  const push = (...args: string[]) =>
    run('git', ['push', ...args, 'origin', `${commit}:release`], {
      cwd: repository.clone,
      env: repository.env,
    })
  const before = await push()
  expect(refusedBefore(before), before.all).toBe(true)
  const server = await push('--no-verify')
  expect(server.all).toContain('remote:   [evidence]')
})

test('a SHA-256 repository', () => {
  const repository = hookedClone({ objectFormat: 'sha256', prepare: released })
  const commit = repository.commit('two')
  expect(repository.push('main').code).toBe(0)
  expect(refusedBefore(repository.push(`${commit}:release`))).toBe(true)
  expect(refusedBefore(repository.push(':release'))).toBe(true)
  expect(repository.push(`${commit}:refs/heads/topic`).code).toBe(0)
})

test('git told where its folder is: --git-dir and --work-tree, from another folder', () => {
  const repository = hookedClone({ prepare: released })
  repository.commit('two')
  const where = [`--git-dir=${join(repository.clone, '.git')}`, `--work-tree=${repository.clone}`]
  const git = (...args: string[]) => repository.run('git', [...where, ...args], { cwd: repository.folder })
  expect(refusedBefore(git('push', 'origin', 'main:release'))).toBe(true)
  expect(git('push', 'origin', 'main').code).toBe(0)
  git('switch', '-q', '-c', 'release')
  expect(git('commit', '--allow-empty', '-m', 'x').stderr).toContain('no commit is made on release')
})

test('ten thousand refs are looked at in the shell alone, in little time, and a guarded one among them is found', async () => {
  const repository = hookedClone({ prepare: released })
  const head = repository.commit('two')
  const zeros = '0'.repeat(40)
  const lines = Array.from(
    { length: 10_000 },
    (_, i) => `refs/heads/b${i} ${head} refs/heads/b${i} ${zeros}\n`,
  )
  const hook = async (input: string) => {
    const start = performance.now()
    const child = spawn(join(repository.clone, '.git', 'hooks', 'pre-push'), ['origin', repository.bare], {
      cwd: repository.clone,
      env: repository.env,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    child.stdin.end(input)
    const code = await new Promise((resolve) => child.on('close', resolve))
    return { code, ms: performance.now() - start }
  }
  const many = await hook(lines.join(''))
  expect(many.code).toBe(0)
  expect(many.ms).toBeLessThan(8_000)
  lines.splice(7_000, 0, `(delete) ${zeros} refs/heads/release ${repository.ref('refs/heads/release')}\n`)
  expect((await hook(lines.join(''))).code).toBe(1)
})
