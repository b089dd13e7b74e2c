/**
 * What a repository has committed leads headgate's writes to nowhere outside of the clone, and its reads into no device, pipe
 * or endless file.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { installClientHooks, removeClientHooks } from '../../src/app/client-hooks/install.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { isTreeFile, readTreeFile, removeTreeFile, writeTreeFile } from '../../src/git/tree-file.ts'
import { POLICY, PROGRAM, TestRepository, unwrapped } from '../make-repository.ts'
import { clientOf } from './clones.ts'

let repository: TestRepository
let outside: string
beforeEach(() => {
  repository = new TestRepository({ install: false })
  outside = join(repository.folder, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'file'), 'theirs\n')
})
afterEach(() => repository.remove())

const inTree = (path: string) => join(repository.clone, path)

function put(path: string, text: string): void {
  mkdirSync(dirname(inTree(path)), { recursive: true })
  writeFileSync(inTree(path), text)
}

function link(path: string, target: string): void {
  mkdirSync(dirname(inTree(path)), { recursive: true })
  rmSync(inTree(path), { force: true, recursive: true })
  symlinkSync(target, inTree(path))
}

function expectUntouched(): void {
  expect(readdirSync(outside)).toEqual(['file'])
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs\n')
}

const HUSKY = '{ "devDependencies": { "husky": "9" } }'

const TREES: [string, () => void, string[]][] = [
  [
    'a hook of husky',
    () => {
      put('package.json', HUSKY)
      link('.husky/pre-push', join(outside, 'file'))
    },
    ['init'],
  ],
  [
    'the folder of husky',
    () => {
      put('package.json', HUSKY)
      link('.husky', outside)
    },
    ['init'],
  ],
  [
    'the folder of headgate',
    () => {
      put('package.json', HUSKY)
      link('.headgate', outside)
    },
    ['init'],
  ],
  [
    'the folder of the shared hooks',
    () => {
      put('lefthook.yml', '\n')
      link('.headgate/hooks', outside)
    },
    ['init'],
  ],
  ["lefthook's configuration", () => link('lefthook.yml', join(outside, 'file')), ['init']],
  ["pre-commit's configuration", () => link('.pre-commit-config.yaml', join(outside, 'file')), ['init']],
  [
    'a folder of hooks that core.hooksPath names',
    () => {
      link('.githooks', outside)
      repository.git('config', 'core.hooksPath', '.githooks')
    },
    ['init'],
  ],
  ['the folder of the policy', () => link('.headgate', outside), ['init', '--policy']],
  ['the file of the policy', () => link('.headgate/policy.yaml', join(outside, 'new')), ['init', '--policy']],
  ['the file of keys', () => link('.headgate/allowed_signers', join(outside, 'file')), ['init', '--policy']],
]

/** Of these the program is asked; of the others, what it is made of. */
const PRINTED = ['a hook of husky', 'the folder of the policy', 'the file of the policy', 'the file of keys']

test.each(TREES)('%s is a link: nothing is written', async (name, make, args) => {
  make()
  const client = clientOf(repository)
  if (PRINTED.includes(name)) {
    const ran = repository.headgate(...args)
    expect([ran.code, ran.stderr]).toEqual([78, expect.stringContaining('is a symbolic link')])
  } else
    await expect(installClientHooks(client)).rejects.toMatchObject({
      code: 'configuration',
      message: expect.stringContaining('is a symbolic link'),
    })
  expectUntouched()
  if (name === 'a hook of husky') expect(repository.headgate('init', '--remove').stderr).not.toContain('at ')
  else {
    // No bug: it goes, or says what is in the way.
    const failure = await removeClientHooks(client).catch((error: unknown) => error)
    expect(Array.isArray(failure) || failure instanceof HeadgateError).toBe(true)
  }
  expectUntouched()
})

test('a name beside a hook that leads elsewhere is not followed when the hook is written', () => {
  repository.git('config', 'core.hooksPath', '.githooks')
  put('.githooks/other', '')
  link('.githooks/pre-push.headgate-new', join(outside, 'file'))
  repository.mustRun(repository.headgate('init'))
  expectUntouched()
  expect(lstatSync(inTree('.githooks/pre-push')).isFile()).toBe(true)
})

test('a report is written into the tree, and not through a link in it', () => {
  const policy = POLICY.replaceAll(/gates:\n(?: {6}.*\n)+/g, 'gates: [{ name: a, run: "true" }]\n')
  put('.headgate/policy.yaml', policy.replaceAll(/ {4}servedCommit:.*\n/g, '').replace('required', 'ignore'))
  repository.mustRun(repository.headgate('gate', '--report', 'gates.html', '--junit', 'gates.xml'))
  expect(readFileSync(inTree('gates.xml'), 'utf8')).toContain('<testsuite')
  link('gates.html', join(outside, 'file'))
  const ran = repository.headgate('gate', '--report', 'gates.html')
  expect([ran.code, ran.stderr]).toEqual([78, expect.stringContaining('gates.html is a symbolic link')])
  expectUntouched()
  // Elsewhere it is the caller's own word.
  symlinkSync(join(outside, 'file'), join(repository.folder, 'own'))
  repository.mustRun(repository.headgate('gate', '--report', '../own'))
  expect(readFileSync(join(outside, 'file'), 'utf8')).toContain('<html')
})

const FILES = [
  'package.json',
  '.husky/pre-push',
  'lefthook.yml',
  '.pre-commit-config.yaml',
  '.headgate/policy.yaml',
  '.headgate/hooks/pre-push',
]

describe('what never ends is not read', () => {
  const device = (path: string) => link(path, '/dev/zero')
  const pipe = (path: string) => {
    mkdirSync(dirname(inTree(path)), { recursive: true })
    rmSync(inTree(path), { force: true })
    repository.mustRun(repository.run('mkfifo', [inTree(path)]))
  }
  const huge = (path: string) => {
    put(path, '')
    truncateSync(inTree(path), 3_000_000_000)
  }

  test.each([
    ['a link to a device', device],
    ['a pipe', pipe],
    ['a file of gigabytes', huge],
  ])(
    '%s',
    (_, make) => {
      const run = (...args: string[]) =>
        repository.run('timeout', ['30', process.execPath, PROGRAM, ...args], { cwd: repository.clone })
      for (const path of FILES) {
        if (path.startsWith('.husky')) put('package.json', HUSKY)
        make(path)
        const each = path.startsWith('.headgate/policy') ? ['policy', 'check'] : ['doctor']
        for (const args of [each, ['init', '--remove']]) {
          const ran = run(...args)
          expect([path, args, ran.code]).not.toContain(124)
          expect([0, 64, 69, 77, 78], ran.all).toContain(ran.code)
        }
        rmSync(inTree(path), { force: true })
      }
    },
    120_000,
  )

  test('nor by the hooks of the shell', () => {
    repository.mustRun(repository.headgate('init'))
    rmSync(join(repository.clone, '.git/headgate/remotes'))
    device('.headgate/policy.yaml')
    const ran = repository.run('timeout', ['30', 'git', 'push', '-q', 'origin', 'HEAD:refs/heads/topic'], {
      cwd: repository.clone,
    })
    expect(ran.code, ran.all).toBe(0)
  })
})

test.each(['server.json', 'guarded', 'service'])(
  'a pipe in the place of headgate/%s keeps nobody waiting',
  (name) => {
    repository.install()
    const path = join(repository.bare, 'headgate', name)
    rmSync(path, { force: true })
    repository.mustRun(repository.run('mkfifo', [path]))
    const ran = repository.run('timeout', ['30', process.execPath, PROGRAM, 'doctor', repository.bare])
    expect([0, 77, 78], ran.all).toContain(ran.code)
    repository.commit('more')
    const pushed = repository.run('timeout', ['60', 'git', 'push', 'origin', 'main'], {
      cwd: repository.clone,
    })
    expect([0, 1], pushed.all).toContain(pushed.code)
  },
)

describe('policies', () => {
  test('policy check names a link, and takes a folder that is reached through one', () => {
    put('.headgate/allowed_signers', 'x\n')
    link('.headgate/policy.yaml', join(outside, 'file'))
    for (const args of [[], ['.'], ['.headgate']]) {
      const ran = repository.headgate('policy', 'check', ...args)
      expect([ran.code, ran.stderr]).toEqual([78, expect.stringContaining('policy.yaml is a symbolic link')])
    }
    symlinkSync(repository.policyFolder, join(repository.folder, 'current'))
    repository.mustRun(repository.headgate('policy', 'check', join(repository.folder, 'current')))
  })

  test('doctor says which file it is', () => {
    put('package.json', HUSKY)
    link('.husky/pre-push', '/dev/zero')
    const ran = repository.headgate('doctor')
    expect([ran.code, unwrapped(ran.stdout)]).toEqual([
      77,
      expect.stringContaining('.husky/pre-push is a symbolic link'),
    ])
  })
})

describe('a file of a tree', () => {
  let top: string
  beforeEach(() => {
    top = repository.clone
  })

  test('is read, written and removed, with its folders and its mode', () => {
    expect(readTreeFile(top, 'a/b/c')).toBe(null)
    writeTreeFile(top, 'a/b/c', 'text', 0o755)
    writeTreeFile(top, 'a/b/c', 'te')
    expect(readTreeFile(top, 'a/b/c')?.toString()).toBe('te')
    expect(lstatSync(join(top, 'a/b/c')).mode & 0o100).toBe(0o100)
    expect([removeTreeFile(top, 'a/b/c'), removeTreeFile(top, 'a/b/c')]).toEqual([true, false])
  })

  test('is no link, no folder, nothing below a link or a file, and no larger than told', () => {
    link('link', join(outside, 'file'))
    link('dangling', join(outside, 'nothing'))
    link('away', outside)
    put('file', 'x'.repeat(100))
    for (const path of ['link', 'dangling', 'away', 'away/file', 'away/new', 'file/below', '.git'])
      for (const use of [
        () => readTreeFile(top, path),
        () => isTreeFile(top, path),
        () => writeTreeFile(top, path, 'x'),
      ])
        expect(use, path).toThrow(HeadgateError)
    expect(() => readTreeFile(top, 'file', 99)).toThrow('larger than')
    expect(readTreeFile(top, 'file', 100)).toHaveLength(100)
    expect(() => removeTreeFile(top, 'away/file')).toThrow(HeadgateError)
    expect(removeTreeFile(top, 'link')).toBe(true)
    expectUntouched()
    expect(existsSync(join(outside, 'nothing'))).toBe(false)
  })
})
