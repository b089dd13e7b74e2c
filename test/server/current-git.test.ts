/**
 * What newer versions of git do by default or can be told: bare repositories that must be named, hooks from configuration.
 * The second needs the git (2.55 or newer) that HEADGATE_CURRENT_GIT names; without one these tests are skipped.
 */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { CURRENT_GIT, PROGRAM, type Ran, TestRepository, unwrapped } from '../make-repository.ts'

let repository: TestRepository
afterEach(() => repository.remove())

function at(folder: string, ...args: string[]): Ran {
  return repository.run(process.execPath, [PROGRAM, ...args], { cwd: folder })
}

function explicit(value: 'explicit' | 'all'): void {
  repository.mustRun(repository.run('git', ['config', '--global', 'safe.bareRepository', value]))
}

describe('with safe.bareRepository=explicit', () => {
  test('commands work in a bare repository as they do without it', () => {
    repository = new TestRepository()
    repository.release('first')
    const mirror = join(repository.folder, 'mirror.git')
    repository.mustRun(repository.run('git', ['clone', '-q', '--mirror', repository.bare, mirror]))
    const commands: [string, ...string[]][] = [
      [repository.bare, 'doctor'],
      [repository.bare, 'verify', '--offline'],
      [join(repository.bare, 'hooks'), 'verify', '--offline'],
      [repository.bare, 'log', '--offline'],
      [mirror, 'verify'],
      [mirror, 'log'],
      [mirror, 'status', '--no-environments'],
    ]
    for (const [folder, ...args] of commands) {
      explicit('all')
      // The first audit of a copy has more to say.
      at(folder, ...args)
      const before = at(folder, ...args)
      explicit('explicit')
      const ran = at(folder, ...args)
      const steady = (text: string) => text.replace(/\d+ (?:s|min|ms)\b|\d{4}-\d\d-\d\dT\S+/g, 'TIME')
      expect([args, ran.code, steady(ran.all)]).toEqual([args, 0, steady(before.all)])
    }
  })

  test('a bare repository that somebody committed into a working tree is left to git, which refuses it', () => {
    repository = new TestRepository()
    explicit('explicit')
    const inside = join(repository.clone, 'fixture.git')
    renameSync(repository.bare, inside)
    const ran = at(inside, 'verify', '--offline')
    expect(ran.stderr).toContain("safe.bareRepository is 'explicit'")
    expect(ran.code).toBe(78)
    renameSync(inside, repository.bare)
  })

  test('what the doctor says to do works', () => {
    repository = new TestRepository()
    repository.release('first')
    explicit('explicit')
    const off = ['--git-dir', repository.bare, '-c', 'core.hooksPath=/dev/null']
    repository.mustRun(repository.run('git', [...off, 'update-ref', 'refs/heads/elsewhere', 'main']))
    repository.mustRun(
      repository.run('git', [...off, 'symbolic-ref', 'refs/heads/release', 'refs/heads/elsewhere']),
    )
    const { stdout } = repository.headgate('doctor', repository.bare)
    const [, fix = ''] = /fix: (git .+symbolic-ref .+)/.exec(stdout) ?? []
    const commit = repository.git('rev-parse', 'main')
    const mended = repository.run('/bin/sh', ['-c', fix.replace('COMMIT', commit)])
    expect(mended).toMatchObject({ code: 0 })
    expect(repository.headgate('doctor', repository.bare).stdout).not.toContain('symbolic')
  })
})

describe.skipIf(CURRENT_GIT === undefined)('with a hook from configuration (HEADGATE_CURRENT_GIT)', () => {
  function withCurrentGit(): TestRepository {
    repository = new TestRepository({ install: false })
    repository.env.PATH = `${dirname(CURRENT_GIT ?? '')}:${repository.env.PATH}`
    repository.install()
    return repository
  }

  function configure(text: string): void {
    appendFileSync(join(repository.bare, 'config'), text)
  }

  test("headgate's own processes run none, and the doctor names it", () => {
    withCurrentGit()
    const seen = join(repository.folder, 'seen')
    const hook = join(repository.folder, 'hook')
    writeFileSync(hook, `#!/bin/sh\ncat >>'${seen}'\n! grep -q refs/headgate '${seen}'\n`, { mode: 0o755 })
    configure(`[hook "my = own"]\n\tevent = reference-transaction\n\tcommand = ${hook}\n`)

    const first = repository.commit('first')
    repository.mustRun(repository.push('main'))
    // A statement comes by a ref of the push itself, which is git's: only the ledger is asked about here.
    writeFileSync(hook, `#!/bin/sh\ncat >>'${seen}'\n! grep -q refs/headgate/ledger '${seen}'\n`, {
      mode: 0o755,
    })
    repository.prove(first)
    expect(repository.push(`${first}:refs/heads/release`)).toMatchObject({ code: 0 })

    expect(readFileSync(seen, 'utf8')).toContain('refs/heads/release')
    expect(readFileSync(seen, 'utf8')).not.toContain('refs/headgate/ledger')
    const doctor = repository.headgate('doctor', repository.bare)
    expect(unwrapped(doctor.stdout)).toContain(
      "the hook my = own of git's configuration runs for reference-transaction",
    )
    expect(doctor.code).toBe(0)
  })

  test('the inbox is emptied although one refuses that', () => {
    withCurrentGit()
    const first = repository.commit('first')
    repository.mustRun(repository.push('main'))
    const seen = join(repository.folder, 'seen')
    const hook = join(repository.folder, 'hook')
    writeFileSync(
      hook,
      `#!/bin/sh\ncat >'${seen}'\n! grep -q ' 0000000000000000000000000000000000000000 refs/headgate/inbox' '${seen}'\n`,
      {
        mode: 0o755,
      },
    )
    configure(`[hook "keeper"]\n\tevent = reference-transaction\n\tcommand = ${hook}\n`)
    repository.prove(first)
    expect(existsSync(seen)).toBe(true)
    expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
  })

  test('one without a command, which stops every push of git itself, is a problem', () => {
    withCurrentGit()
    configure('[hook "broken"]\n\tevent = pre-receive\n')
    repository.commit('first')
    expect(repository.push('main').all).toContain('hook.broken.command')
    const doctor = repository.headgate('doctor', repository.bare)
    expect(unwrapped(doctor.stdout)).toContain(
      "the hook broken of git's configuration has no command: git refuses every push",
    )
    const [, fix = ''] = /fix: (git .+hook\.broken.+)/.exec(doctor.stdout) ?? []
    repository.mustRun(repository.run('/bin/sh', ['-c', fix]))
    expect(repository.headgate('doctor', repository.bare).code).toBe(0)
  })
})
