/** pre-commit, pre-merge-commit and prepare-commit-msg: nothing lands on a local release branch by accident. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CLIENT_HOOKS, hookScript } from '../../src/app/client-hooks/hook-script.ts'
import { released } from '../beginnings.ts'
import type { Ran, TestRepository } from '../make-repository.ts'
import { hookedClone, ROOT } from './clones.ts'

/** A clone on `release`, with branches to merge and pick from. */
function onRelease(): { repository: TestRepository; git: (...args: string[]) => Ran } {
  const repository = hookedClone({ prepare: [...released, branchOut] })
  const git = (...args: string[]) => repository.run('git', args, { cwd: repository.clone })
  return { repository, git }
}

function branchOut(repository: TestRepository): void {
  repository.git('branch', 'release')
  repository.git('switch', '-q', '-c', 'topic')
  repository.commit('topic', { 'topic.txt': '1' })
  repository.git('switch', '-q', '-c', 'conflict', 'main')
  repository.commit('conflict', { 'file.txt': 'theirs\n' })
  repository.git('switch', '-q', 'release')
}

/** What is on the staging branch after the command that the hook printed. */
const MADE: Record<string, string[]> = {
  'an older stash stays': [''],
  'an octopus': ["Merge branches 'topic' and 'conflict'", 'a', 'b', 'conflict', 'topic'],
  'a pull': ['a', 'b', 'topic'],
  'several commits': ['a', 'b'],
  'several reverts': ['Revert "a"', 'Revert "b"'],
  'the revert of a merge': ['Revert "merged topic"'],
}

/** Runs the command that the hook printed. */
function follow(repository: TestRepository, { stderr }: Ran): Ran {
  const command = /^ {4}(git .+)$/m.exec(stderr)?.[1] ?? 'false'
  return repository.run('sh', ['-c', command], { cwd: repository.clone, env: { GIT_EDITOR: 'true' } })
}

describe('on the release branch', () => {
  test('a commit is refused, and the message moves it to the staging branch', () => {
    const { repository, git } = onRelease()
    const before = repository.git('rev-parse', 'release')
    writeFileSync(join(repository.clone, 'fix.txt'), 'fix\n')
    git('add', 'fix.txt')
    const ran = git('commit', '-m', 'hotfix')
    expect(ran.code).toBe(1)
    expect(ran.stderr).toBe(
      [
        'headgate: no commit is made on release',
        '  release only takes commits of main that staging has proved: the server would',
        '  refuse this one. Move the work to main:',
        '    git stash && git switch main && git stash pop',
        '  If it is meant to be here all the same: git commit --no-verify',
        '',
      ].join('\n'),
    )
    expect(follow(repository, ran).code).toBe(0)
    expect(git('commit', '-qm', 'hotfix').code).toBe(0)
    expect(repository.git('show', '--stat', '--format=%s', 'main')).toContain('fix.txt')
    expect(repository.git('rev-parse', 'release')).toBe(before)
  })

  test('merges, cherry-picks and reverts are refused, and can be made on the staging branch', () => {
    const { repository, git } = onRelease()
    const base = repository.git('rev-parse', 'release')
    const ways = [
      ['merge', '--no-ff', 'topic'],
      ['merge', 'conflict'],
      ['cherry-pick', 'topic'],
      ['cherry-pick', '--edit', 'topic'],
      ['cherry-pick', 'conflict'],
      ['revert', '--no-edit', 'HEAD'],
      ['revert', '--edit', 'HEAD'],
    ]
    for (const args of ways) {
      const way = args.join(' ')
      git('switch', '-q', '--force-create', 'release', base)
      git('branch', '-f', 'main', base)
      const conflicts = args.includes('conflict')
      if (conflicts) {
        // Something for it to conflict with, made on purpose.
        writeFileSync(join(repository.clone, 'file.txt'), 'ours\n')
        git('commit', '-qam', 'ours', '--no-verify')
      }
      const before = repository.git('rev-parse', 'release')
      let ran = repository.run('git', args, { cwd: repository.clone, env: { GIT_EDITOR: 'true' } })
      if (conflicts) {
        writeFileSync(join(repository.clone, 'file.txt'), 'both\n')
        git('add', 'file.txt')
        ran = git('commit', '-m', 'resolved')
      }
      expect(ran.code, `${way}\n${ran.all}`).not.toBe(0)
      expect(ran.stderr, way).toContain(`headgate: no ${conflicts ? 'commit' : args[0]} is made on release`)
      expect(repository.git('rev-parse', 'release'), way).toBe(before)
      const moved = follow(repository, ran)
      expect(moved.code, `${way}\n${moved.all}`).toBe(0)
      expect(repository.git('rev-parse', '--abbrev-ref', 'HEAD'), way).toBe('main')
      expect(repository.git('status', '--porcelain'), way).toBe('')
    }
  })

  test('nothing but what is under way is moved, and all of it', () => {
    const { repository, git } = onRelease()
    const base = repository.git('rev-parse', 'release')
    git('switch', '-q', 'topic')
    for (const name of ['a', 'b']) repository.commit(name, { [`${name}.txt`]: name })
    git('switch', '-q', '-c', 'merged', base)
    git('merge', '-q', '--no-ff', '-m', 'merged topic', 'topic')
    const stash = () => repository.git('stash', 'list')
    const ways: [string, string[]][] = [
      ['an older stash stays', ['commit', '--amend', '-m', 'x']],
      ['an octopus', ['merge', '--no-ff', '-m', 'x', 'topic', 'conflict']],
      ['a pull', ['pull', '-q', '--no-rebase', '--no-ff', '--no-edit', '.', 'topic']],
      ['several commits', ['cherry-pick', 'topic~2..topic']],
      ['several reverts', ['revert', '--no-edit', 'merged^2', 'merged^2~1']],
      ['the revert of a merge', ['revert', '--no-edit', '-m', '1', 'merged']],
    ]
    for (const [way, args] of ways) {
      const reverts = args[0] === 'revert'
      git('switch', '-q', '--force-create', 'release', reverts ? 'merged' : base)
      git('branch', '-f', 'main', reverts ? 'merged' : base)
      if (stash() === '') {
        writeFileSync(join(repository.clone, 'file.txt'), 'for later\n')
        git('stash')
      }
      const before = repository.git('rev-parse', 'main')
      const ran = repository.run('git', args, { cwd: repository.clone, env: { GIT_EDITOR: 'true' } })
      expect(ran.stderr, way).toContain('headgate: no ')
      const moved = follow(repository, ran)
      expect(moved.code, `${way}\n${moved.all}`).toBe(0)
      expect(repository.git('rev-parse', '--abbrev-ref', 'HEAD'), way).toBe('main')
      expect(repository.git('status', '--porcelain'), way).toBe('')
      expect(stash(), way).not.toBe('')
      const made = repository.git('log', '--format=%s', `${before}..main`)
      // Commits of one second are listed in any order.
      expect(made.split('\n').sort(), way).toEqual(MADE[way])
    }
  })

  test('what is meant all the same is made by the command that the message ends with', () => {
    const { repository, git } = onRelease()
    const base = repository.git('rev-parse', 'release')
    const ways = [
      ['merge', '--no-ff', 'topic'],
      ['cherry-pick', 'topic'],
      ['revert', '--no-edit', 'HEAD'],
    ]
    for (const args of ways) {
      git('reset', '-q', '--hard', base)
      const env = { GIT_EDITOR: 'true' }
      const { stderr } = repository.run('git', args, { cwd: repository.clone, env })
      const command = /all the same: (git .+)$/m.exec(stderr)?.[1] ?? 'false'
      const ran = repository.run('sh', ['-c', command], { cwd: repository.clone, env })
      expect(ran.code, `${command}\n${ran.all}`).toBe(0)
      expect(repository.git('rev-parse', 'release~1'), command).toBe(base)
      expect(repository.git('status', '--porcelain'), command).toBe('')
    }
    git('reset', '-q', '--hard', base)
    const message = `Revert "one"\n\nThis reverts commit ${base}.`
    expect(git('commit', '-q', '--no-verify', '--allow-empty', '-m', message).code).toBe(0)
  })

  test('what is no accident passes: --no-verify, fast-forwards, resets', () => {
    const { repository, git } = onRelease()
    expect(git('merge', '-q', '--ff-only', 'topic').code).toBe(0)
    expect(git('commit', '-q', '--allow-empty', '--no-verify', '-m', 'on purpose').code).toBe(0)
    expect(git('merge', '-q', '--no-verify', '-m', 'on purpose', 'conflict').code).toBe(0)
    expect(git('reset', '-q', '--hard', 'origin/release').code).toBe(0)
    const { code, all } = git('-c', 'core.hooksPath=/dev/null', 'cherry-pick', 'topic')
    expect(code, all).toBe(0)
    expect(repository.git('log', '-1', '--format=%s', 'release')).toBe('topic')
  })
})

test('on every other branch, and on none, all of it passes', () => {
  const { repository, git } = onRelease()
  git('switch', '-q', '-c', 'release-notes', 'main')
  const commands = [
    ['commit', '-q', '--allow-empty', '-m', 'x'],
    ['merge', '-q', '--no-ff', '-m', 'x', 'topic'],
    ['cherry-pick', '--allow-empty', '--keep-redundant-commits', 'conflict'],
    ['revert', '--no-edit', 'HEAD'],
    ['commit', '-q', '--amend', '--no-edit'],
  ]
  for (const branch of ['release-notes', '--detach']) {
    git('switch', '-q', branch)
    for (const command of commands) {
      const ran = git(...command)
      expect(ran.all, command.join(' ')).not.toContain('headgate:')
      expect(ran.code, ran.all).toBe(0)
    }
    git('reset', '-q', '--hard', 'main')
  }
  expect(repository.git('rev-parse', 'HEAD')).toBe(repository.git('rev-parse', 'main'))
})

test('a linked worktree on the release branch is looked at by its own HEAD', () => {
  const { repository, git } = onRelease()
  git('switch', '-q', 'main')
  const worktree = join(repository.folder, 'hot fix')
  git('worktree', 'add', '-q', worktree, 'release')
  const run = (...args: string[]) => repository.run('git', args, { cwd: worktree })
  expect(run('commit', '--allow-empty', '-m', 'x').stderr).toContain('no commit is made on release')
  expect(run('cherry-pick', 'topic').stderr).toContain('no cherry-pick is made on release')
  expect(git('commit', '-q', '--allow-empty', '-m', 'x').code).toBe(0)
})

describe('the scripts are plain POSIX shell', () => {
  const shells = [['dash'], ['busybox', 'sh'], ['bash', '--posix']].filter(
    ([name = '']) => spawnSync(name, ['-c', ':']).status === 0 || spawnSync(name, ['true']).status === 0,
  )

  test.for(shells)('%s', (shell) => {
    const [program = '', ...args] = shell
    for (const file of readdirSync(join(ROOT, 'hooks', 'client')))
      expect(
        spawnSync(program, [...args, '-n', join(ROOT, 'hooks', 'client', file)], { encoding: 'utf8' }).stderr,
      ).toBe('')
    const { repository, git } = onRelease()
    for (const name of CLIENT_HOOKS) {
      const text = hookScript(name)
      expect(text).toMatch(/^#!\/bin\/sh\n# headgate /)
      expect(text).not.toMatch(/\[\[|^\s*local |<<<|\$'|&>|function /m)
      // The same script, run by this shell.
      const script = join(repository.clone, '.git', 'hooks', `${name}.script`)
      writeFileSync(script, text)
      writeFileSync(
        join(repository.clone, '.git', 'hooks', name),
        `#!/bin/sh\nexec ${shell.join(' ')} '${script}' "$@"\n`,
      )
    }
    expect(git('commit', '--allow-empty', '-m', 'x').stderr).toContain('no commit is made on release')
    expect(git('merge', '--no-ff', 'topic').stderr).toContain(
      'git merge --abort && git switch main && git merge topic',
    )
    git('merge', '--abort')
    expect(git('revert', '--no-edit', 'HEAD').stderr).toContain('no revert is made on release')
    git('reset', '-q', '--merge')
    expect(git('push', 'origin', 'topic:release').stderr).toContain('Nothing was sent.')
    expect(git('push', 'origin', 'topic').stderr).not.toContain('headgate:')
  })
})

test('the hooks in the package have the executable bit, and what they share is a file beside them', () => {
  expect(readFileSync(join(ROOT, 'hooks', 'client', 'pre-push'), 'utf8')).toContain('. "${0%/*}/clone"')
  for (const name of CLIENT_HOOKS)
    expect(spawnSync(join(ROOT, 'hooks', 'client', name), [], { cwd: '/', input: '' }).status, name).toBe(0)
})
