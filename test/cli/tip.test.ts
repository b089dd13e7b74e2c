/** A command fetches what it needs of the ledger, and the clone stays as it is. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { proved, releasedTwice } from '../beginnings.ts'
import { PROGRAM, type TestRepository } from '../make-repository.ts'
import { guarded } from './run-program.ts'

const TIP = '.git/headgate/tips/origin.git'
const COPY = 'refs/headgate-copies/origin/ledger'

function inClone(repository: TestRepository, ...args: string[]): string {
  return repository.mustRun(repository.run('git', ['-C', repository.clone, ...args])).stdout.trim()
}

function hasCopy(repository: TestRepository): boolean {
  return repository.run('git', ['-C', repository.clone, 'rev-parse', '--verify', '-q', COPY]).code === 0
}

/** The objects of the tip's folder, by type. */
function fetched(repository: TestRepository): Record<string, number> {
  const counts: Record<string, number> = {}
  const list = inClone(
    repository,
    `--git-dir=${TIP}`,
    'cat-file',
    '--batch-all-objects',
    '--batch-check=%(objecttype)',
  )
  for (const type of list.split('\n')) counts[type] = (counts[type] ?? 0) + 1
  return counts
}

test('commands fetch the tip, and the files that they read', () => {
  const repository = guarded({ prepare: proved })
  const head = repository.git('rev-parse', 'HEAD')
  repository.mustRun(repository.headgate('policy', 'show'))
  expect(hasCopy(repository)).toBe(false)
  expect(fetched(repository)).toMatchObject({ commit: 1, blob: 4 })
  expect(repository.headgate('check', head).code).toBe(0)
  repository.mustRun(repository.headgate('status'))
  repository.mustRun(
    repository.headgate('deploy-check', repository.git('rev-parse', 'HEAD~'), '--environment', 'production'),
  )
  expect(repository.mustRun(repository.headgate('evidence', 'list', head)).stdout).toContain('PASSED')
  expect(hasCopy(repository)).toBe(false)
  expect(fetched(repository).commit).toBe(1)

  const ask = () => repository.mustRun(repository.headgate('evidence', 'list', head, '--json')).stdout
  const told = ask()
  repository.mustRun(repository.headgate('verify'))
  expect(hasCopy(repository)).toBe(true)
  expect(ask()).toBe(told)
})

test('what was fetched whole is brought up to date whole', () => {
  const repository = guarded({ prepare: proved })
  repository.headgate('log')
  expect(hasCopy(repository)).toBe(true)
  const before = inClone(repository, 'rev-parse', COPY)
  repository.mustRun(repository.push('HEAD:refs/heads/release'))
  repository.mustRun(repository.headgate('status'))
  expect(inClone(repository, 'rev-parse', `${COPY}~2`)).toBe(before)
  expect(existsSync(join(repository.clone, TIP))).toBe(false)
})

test('new records come with the next look, and the clone stays whole', () => {
  const repository = guarded({ prepare: proved })
  const head = repository.git('rev-parse', 'HEAD')
  const ask = () => repository.headgate('deploy-check', head, '--environment', 'production').code
  expect(ask()).toBe(77)
  repository.mustRun(repository.push('HEAD:refs/heads/release'))
  expect(ask()).toBe(0)
  expect(inClone(repository, 'rev-parse', '--is-shallow-repository')).toBe('false')
  expect(inClone(repository, 'config', '--get-regexp', '^(remote|extensions)\\.')).not.toMatch(
    /promisor|filter/,
  )
  expect(inClone(repository, 'fsck', '--strict', '--no-dangling')).toBe('')
  expect(existsSync(join(repository.clone, '.git/shallow'))).toBe(false)
})

test('a shallow clone stays as deep as it is, a partial one as partial', () => {
  const repository = guarded({ prepare: proved })
  for (const option of ['--depth=1', '--filter=blob:none']) {
    const clone = join(repository.folder, option.replaceAll(/\W/g, ''))
    repository.mustRun(
      repository.run('git', ['clone', '-q', option, '-b', 'main', `file://${repository.bare}`, clone]),
    )
    const git = (...args: string[]) =>
      repository.mustRun(repository.run('git', ['-C', clone, ...args])).stdout.trim()
    const headgate = (...args: string[]) =>
      repository.mustRun(repository.run(process.execPath, [PROGRAM, ...args], { cwd: clone }))
    const count = () => git('rev-list', '--count', '--all')
    const before = [git('rev-parse', '--is-shallow-repository'), count(), git('config', '--local', '--list')]
    headgate('policy', 'show')
    headgate('evidence', 'list', 'HEAD')
    expect([
      git('rev-parse', '--is-shallow-repository'),
      count(),
      git('config', '--local', '--list'),
    ]).toEqual(before)
  }
})

test('a host that filters nothing gives more, and the answers are the same', () => {
  const repository = guarded({ prepare: proved })
  repository.server('config', 'uploadpack.allowFilter', 'false')
  const head = repository.git('rev-parse', 'HEAD')
  expect(repository.headgate('check', head).code).toBe(0)
  expect(repository.mustRun(repository.headgate('evidence', 'list', head)).stdout).toContain('PASSED')
  expect(hasCopy(repository)).toBe(false)
})

test('a host that gives no file by its id gives the whole ledger', () => {
  const repository = guarded({ prepare: proved })
  // Protocol 0 asks for what is advertised, and for nothing else.
  inClone(repository, 'config', 'protocol.version', '0')
  const head = repository.git('rev-parse', 'HEAD')
  expect(repository.headgate('check', head).code).toBe(0)
  expect(hasCopy(repository)).toBe(true)
})

test('a folder that is damaged or gone is made anew', () => {
  const repository = guarded({ prepare: releasedTwice })
  const ask = () => repository.mustRun(repository.headgate('policy', 'show')).stdout
  const policy = ask()
  const packs = join(repository.clone, TIP, 'objects/pack')
  repository.mustRun(repository.run('sh', ['-c', 'rm -f "$1"/*', 'sh', packs]))
  expect(readdirSync(packs)).toEqual([])
  expect(ask()).toBe(policy)
  repository.mustRun(repository.run('rm', ['-rf', join(repository.clone, TIP)]))
  expect(ask()).toBe(policy)
})

test.each([
  ['an empty ref, as a power failure leaves one', ': >"$1/refs/headgate/ledger"'],
  ['a ref of nothing', 'printf "%040d\\n" 1 >"$1/refs/headgate/ledger"'],
  ['no configuration', 'rm "$1/config"'],
  ['torn packs', 'for pack in "$1"/objects/pack/*.pack; do chmod u+w "$pack" && printf x >"$pack"; done'],
])('a tip with %s: the whole ledger answers', (_, damage) => {
  const repository = guarded({ prepare: proved })
  const head = repository.git('rev-parse', 'HEAD')
  const ask = () => repository.mustRun(repository.headgate('evidence', 'list', head, '--json')).stdout
  const told = ask()
  repository.mustRun(repository.run('sh', ['-c', damage, 'sh', join(repository.clone, TIP)]))
  expect(ask()).toBe(told)
  expect(repository.headgate('check', head).code).toBe(0)
})
