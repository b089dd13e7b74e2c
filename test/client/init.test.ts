/** headgate init beside husky, lefthook, pre-commit, hooks that are there, and none; and its way back. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findPlaces } from '../../src/app/client-hooks/clone-places.ts'
import { addToHusky, removeFromHusky } from '../../src/app/client-hooks/husky.ts'
import {
  findRunner,
  installClientHooks,
  type Runner,
  removeClientHooks,
} from '../../src/app/client-hooks/install.ts'
import { addToLefthook, removeFromLefthook } from '../../src/app/client-hooks/lefthook.ts'
import { addToPreCommit, removeFromPreCommit } from '../../src/app/client-hooks/pre-commit.ts'
import { ClientRepository } from '../../src/app/clone/client-repository.ts'
import { checkCloneHooks } from '../../src/app/doctor/clone-hooks.ts'
import { PROGRAM, type Ran, type Step, type TestRepository, unwrapped } from '../make-repository.ts'
import {
  clientOf,
  gitIn,
  guardedClone,
  HAS_PRE_COMMIT,
  HUSKY,
  LEFTHOOK,
  ROOT,
  refusedBefore,
  traces,
  write,
} from './clones.ts'

/** A hook that says that it ran, and what it read. */
const MINE = '#!/bin/sh\necho "mine: $(cat)" >&2\n'

const SETUPS: Record<string, (repository: TestRepository) => void> = {
  'no hooks': () => {},
  'hooks of its own': (repository) => write(repository, '.git/hooks/pre-push', MINE),
  husky: (repository) => {
    symlinkSync(join(ROOT, 'node_modules'), join(repository.clone, 'node_modules'))
    write(repository, '.git/info/exclude', 'node_modules\n')
    write(repository, 'package.json', '{ "devDependencies": { "husky": "^9.0.0" } }\n')
    repository.mustRun(repository.run(process.execPath, [HUSKY], { cwd: repository.clone }))
    write(repository, '.husky/pre-push', 'echo "mine: $(cat)" >&2\n')
  },
  lefthook: (repository) => {
    write(
      repository,
      'lefthook.yml',
      '# ours\npre-push:\n  commands:\n    mine:\n      run: echo "mine:" && cat\n      use_stdin: true\n',
    )
    repository.mustRun(repository.run('lefthook', ['install'], { cwd: repository.clone }))
  },
  'pre-commit': (repository) => {
    write(
      repository,
      '.pre-commit-config.yaml',
      'repos:\n  - repo: local\n    hooks:\n      - id: mine\n        name: "mine:"\n        entry: "true"\n        language: system\n        always_run: true\n        stages: [push]\n',
    )
    const types = ['pre-commit', 'pre-push'].flatMap((type) => ['--hook-type', type])
    repository.mustRun(repository.run('pre-commit', ['install', ...types], { cwd: repository.clone }))
  },
  'a hooks path for all repositories': (repository) => {
    const shared = join(repository.folder, "everybody's hooks")
    write(repository, join(shared, 'pre-push'), MINE)
    write(repository, join(shared, 'commit-msg'), '#!/bin/sh\necho "commit-msg ran" >&2\n')
    repository.git('config', '--global', 'core.hooksPath', shared)
  },
  'a hooks path in the project': (repository) => {
    write(repository, '.githooks/pre-push', MINE)
    repository.git('config', 'core.hooksPath', '.githooks')
  },
}

/** A clone of a guarded repository with what a project may have for its hooks; `init` has been run in it, if so asked. */
function setUp(name: string, options: { init?: true } = {}): { readonly repository: TestRepository } {
  const prepare = [begin(name), ...(options.init ? [runInit] : [])]
  return { repository: guardedClone({ prepare }) }
}

function begin(name: string): Step {
  const step = (repository: TestRepository) => {
    makeProject(repository, name)
    emptyCache(repository)
  }
  return Object.defineProperty(step, 'name', { value: `project with ${name}` })
}

function runInit(repository: TestRepository): void {
  repository.mustRun(repository.headgate('init'))
  emptyCache(repository)
}

/** pre-commit remembers where repositories are in a database, which no copy could be told of. */
function emptyCache(repository: TestRepository): void {
  rmSync(join(repository.folder, 'home', '.cache'), { recursive: true, force: true })
}

function makeProject(repository: TestRepository, name: string): void {
  repository.env.PATH += `:${dirname(LEFTHOOK)}`
  SETUPS[name]?.(repository)
  repository.git('add', '-A')
  repository.git('commit', '-q', '--allow-empty', '--no-verify', '-m', 'set up')
  repository.git('-c', 'core.hooksPath=/dev/null', 'commit', '-q', '--allow-empty', '-m', 'side')
  repository.git('branch', 'side')
  repository.git('reset', '-q', '--hard', 'HEAD~1')
}

const names = Object.keys(SETUPS).filter((name) => name !== 'pre-commit' || HAS_PRE_COMMIT)
if (!HAS_PRE_COMMIT)
  console.log('skipped: tests with pre-commit, which is not installed (Debian: pre-commit)')

describe.for(names)('beside %s', (name) => {
  test('the hooks run, what was there runs as well, and init can be run again and be undone', async () => {
    const { repository } = setUp(name)
    const client = clientOf(repository)
    const before = traces(repository)
    const first = repository.headgate('init')
    expect(first.code, first.all).toBe(0)
    expect(first.stdout).toMatch(/the client hooks are there now/)
    expect(first.stdout).toContain('origin is guarded: main and release')
    const once = traces(repository)
    // What the program says of that is the same beside all of them.
    // lefthook is started as well: the program has it in its PATH.
    if (name === 'no hooks' || name === 'lefthook')
      expect(repository.headgate('init').stdout).toMatch(/the client hooks are there already/)
    else expect((await installClientHooks(client)).changed).toEqual([])
    expect(traces(repository)).toEqual(once)
    expect(repository.headgate('doctor').all).toMatch(/ is healthy$/m)

    repository.git('add', '-A')
    const ours = gitIn(repository, repository.clone, 'commit', '-q', '--allow-empty', '-m', 'hooks')
    expect(ours.code, ours.all).toBe(0)
    if (name === 'a hooks path for all repositories') goOnRunning(repository, ours)
    const refused = repository.push(['main:topic', 'main:refs/heads/release'])
    expect(refused.code, refused.all).toBe(1)
    expect(refused.all).toContain('Nothing was sent.')
    expect(refused.all).not.toContain('remote:')
    const fine = repository.push(['main', 'main:topic'])
    expect(fine.code, fine.all).toBe(0)
    if (name !== 'no hooks') expect(fine.all).toContain('mine:')
    if (name !== 'no hooks' && name !== 'pre-commit') {
      // With every ref, as git told it.
      expect(fine.all).toMatch(/refs\/heads\/main [0-9a-f]{40} refs\/heads\/main [0-9a-f]{40}/)
      expect(fine.all).toMatch(/refs\/heads\/main [0-9a-f]{40} refs\/heads\/topic 0{40}/)
    }

    repository.git('switch', '-q', '-c', 'release')
    write(repository, 'fix.txt', 'x')
    repository.git('add', '-A')
    const commit = gitIn(repository, repository.clone, 'commit', '-m', 'x')
    expect(commit.code).not.toBe(0)
    expect(commit.all).toContain('headgate: no commit is made on release')
    repository.git('reset', '-q', '--hard')
    const pick = gitIn(repository, repository.clone, 'cherry-pick', '--allow-empty', 'side')
    expect(pick.all).toContain('headgate: no cherry-pick is made on release')
    repository.git('cherry-pick', '--abort')
    repository.git('reset', '-q', '--hard')
    repository.git('switch', '-q', 'main')
    repository.git('branch', '-q', '-D', 'release')

    const removed = repository.headgate('init', '--remove')
    expect(removed.code, removed.all).toBe(0)
    const after = traces(repository)
    // git and lefthook leave what they made themselves.
    for (const [path, text] of Object.entries(before)) expect(after[path], path).toBe(text)
    for (const [path, text] of Object.entries(after)) {
      if (path in before || (name === 'lefthook' && path.includes('/.git/hooks/'))) continue
      expect(text, path).not.toContain('headgate')
    }
    if (name === 'no hooks')
      expect(repository.headgate('init', '--remove').stdout).toBe(
        'there are no client hooks of headgate here\n',
      )
    else expect(await removeClientHooks(client)).toEqual([])
    expect(repository.push('main~1:refs/heads/release').all).toContain('remote: headgate: push refused')
  })
})

/** Hooks of all repositories go on running, one that comes later too, and their folder is left alone. */
function goOnRunning(repository: TestRepository, commit: Ran): void {
  const shared = join(repository.folder, "everybody's hooks")
  expect(readFileSync(join(shared, 'pre-push'), 'utf8')).toBe(MINE)
  expect(existsSync(join(shared, 'pre-commit'))).toBe(false)
  expect(commit.stderr).toContain('commit-msg ran')
  write(repository, join(shared, 'post-commit'), '#!/bin/sh\necho later >&2\n')
  const doctor = repository.headgate('doctor')
  expect(doctor.stdout).toContain('the post-commit hook that all repositories share does not run here yet')
  expect(repository.headgate('doctor', '--fix').code).toBe(0)
  expect(gitIn(repository, repository.clone, 'commit', '--allow-empty', '-m', 'x').stderr).toContain('later')
}

test('a folder for all repositories that an included file names is left alone, too', async () => {
  const repository = guardedClone({ install: false })
  const client = clientOf(repository)
  const shared = join(repository.folder, 'everybody')
  write(repository, join(shared, 'pre-commit'), '#!/bin/sh\necho shared ran >&2\n')
  const included = join(repository.folder, 'included')
  write(repository, included, `[core]\n\thooksPath = ${shared}\n`)
  repository.git('config', '--global', 'include.path', included)
  write(repository, 'lefthook.yml', 'output: [failure]\n')
  repository.mustRun(repository.headgate('init'))
  expect(readdirSync(shared)).toEqual(['pre-commit'])
  expect(gitIn(repository, repository.clone, 'commit', '--allow-empty', '-m', 'x').stderr).toBe(
    'shared ran\n',
  )
  expect(await removeClientHooks(client)).not.toEqual([])
  expect(repository.git('config', 'core.hooksPath')).toBe(shared)
  // Many switch all hooks off so.
  write(repository, included, '[core]\n\thooksPath = /dev/null\n')
  await installClientHooks(client)
  expect(repository.git('rev-parse', '--git-path', 'hooks')).toMatch(/\.git\/headgate\/hooks$/)
  expect(await removeClientHooks(client)).not.toEqual([])
})

test('hooks that are switched off in this clone: init says so, and the doctor how to undo it', async () => {
  const repository = guardedClone({ install: false })
  const client = clientOf(repository)
  for (const value of ['', '/dev/null']) {
    repository.git('config', 'core.hooksPath', value)
    const words = `core.hooksPath is "${value}" (local configuration): git starts no hooks here`
    await expect(installClientHooks(client)).rejects.toThrow(words)
    expect(await removeClientHooks(client)).toEqual([])
    const places = await findPlaces(client)
    expect(checkCloneHooks(places, findRunner(places))).toMatchObject([
      { fix: 'git config --local --unset-all core.hooksPath && headgate init' },
    ])
  }
  const ran = repository.headgate('init')
  expect(ran.code, ran.all).toBe(78)
  expect(ran.stderr).toContain('core.hooksPath is "/dev/null" (local configuration)')
  expect(repository.headgate('init', '--remove').code).toBe(0)
  expect(repository.headgate('doctor').stdout).toContain(
    '  fix: git config --local --unset-all core.hooksPath && headgate init\n',
  )
  expect(existsSync(join(repository.clone, 'pre-push'))).toBe(false)
})

describe('what another program did to the hooks since then', () => {
  const names = ({ clone }: TestRepository) =>
    readdirSync(join(clone, '.git/hooks')).filter((name) => !name.endsWith('.sample'))

  test('it wrote its own hook over ours: that one runs after ours, and comes back with --remove', async () => {
    const repository = guardedClone({ install: false })
    const client = clientOf(repository)
    const hook = (words: string) =>
      write(repository, '.git/hooks/pre-commit', `#!/bin/sh\necho ${words} >&2\n`)
    const commit = () => gitIn(repository, repository.clone, 'commit', '--allow-empty', '-m', 'x').stderr
    for (const words of ['first', 'first', 'second', 'third']) {
      hook(words)
      await installClientHooks(client)
      expect(commit()).toBe(`${words}\n`)
    }
    // What was put out of use is not lost.
    const kept = (number: number) => `.git/hooks/pre-commit.kept-by-headgate.${number}`
    expect(readFileSync(join(repository.clone, kept(1)), 'utf8')).toContain('first')
    expect(readFileSync(join(repository.clone, kept(2)), 'utf8')).toContain('second')
    expect((await installClientHooks(client)).changed).toEqual([])
    await removeClientHooks(client)
    expect(readFileSync(join(repository.clone, '.git/hooks/pre-commit'), 'utf8')).toContain('third')

    // It removed ours: the one that was kept is there again.
    repository.mustRun(repository.headgate('init'))
    rmSync(join(repository.clone, '.git/hooks/pre-commit'))
    repository.mustRun(repository.headgate('init', '--remove'))
    expect(readFileSync(join(repository.clone, '.git/hooks/pre-commit'), 'utf8')).toContain('third')
  })

  test('lefthook moved ours away: init removes them, and --remove those that are left', () => {
    const repository = guardedClone({ install: false })
    write(repository, '.git/hooks/pre-push', MINE)
    repository.mustRun(repository.headgate('init'))
    const text = 'pre-push:\n  commands:\n    mine:\n      run: echo mine'
    write(repository, 'lefthook.yml', text)
    repository.mustRun(repository.run('lefthook', ['install'], { cwd: repository.clone }))
    expect(names(repository)).toContain('pre-push.old')
    repository.mustRun(repository.headgate('init'))
    expect(names(repository)).toEqual([
      'pre-commit',
      'pre-merge-commit',
      'pre-push',
      'pre-push.old',
      'prepare-commit-msg',
    ])
    expect(readFileSync(join(repository.clone, '.git/hooks/pre-push.old'), 'utf8')).toBe(MINE)
    repository.mustRun(repository.headgate('init', '--remove'))
    // Byte for byte, without a line break at its end.
    expect(readFileSync(join(repository.clone, 'lefthook.yml'), 'utf8')).toBe(text)
  })

  test('a hook that is a link to a file of another branch is kept', async () => {
    const repository = guardedClone({ install: false })
    const client = clientOf(repository)
    symlinkSync('../../scripts/pre-push', join(repository.clone, '.git/hooks/pre-push'))
    expect((await installClientHooks(client)).changed).not.toEqual([])
    expect(await removeClientHooks(client)).not.toEqual([])
    expect(readlinkSync(join(repository.clone, '.git/hooks/pre-push'))).toBe('../../scripts/pre-push')
  })
})

test('a configuration of pre-commit without hooks comes back byte for byte', async () => {
  const repository = guardedClone({ install: false })
  const client = clientOf(repository)
  const text = 'fail_fast: true\nrepos: [ ] # later\ndefault_stages: [commit]\n'
  write(repository, '.pre-commit-config.yaml', text)
  await installClientHooks(client)
  expect(readFileSync(join(repository.clone, '.pre-commit-config.yaml'), 'utf8')).toContain(
    'id: headgate-pre-push',
  )
  expect((await installClientHooks(client)).changed).toEqual([])
  await removeClientHooks(client)
  expect(readFileSync(join(repository.clone, '.pre-commit-config.yaml'), 'utf8')).toBe(text)
})

test('a hook with a folder of parts still finds them', async () => {
  const repository = guardedClone()
  const client = clientOf(repository)
  write(repository, '.git/hooks/pre-push', '#!/bin/sh\nfor part in "$0".d/*; do "$part" "$@" || exit; done\n')
  write(repository, '.git/hooks/pre-push.d/one', '#!/bin/sh\necho "part of $1" >&2\n')
  await installClientHooks(client)
  expect(repository.push('main:topic').stderr).toContain('part of origin')
  write(repository, '.git/hooks/pre-push.d/two', '#!/bin/sh\nexit 3\n')
  expect(repository.push('main:topic2').code).not.toBe(0)
  await removeClientHooks(client)
  expect(existsSync(join(repository.clone, '.git/hooks/pre-push.kept-by-headgate.d'))).toBe(false)
})

test('a teammate of a husky project has the hooks after npm install, without headgate init', () => {
  const { repository } = setUp('husky', { init: true })
  write(repository, '.headgate/policy.yaml', repository.policy)
  repository.git('add', '-A')
  repository.git('commit', '-q', '-m', 'hooks')
  repository.mustRun(repository.push('main'))
  const clone = join(repository.folder, 'teammate')
  repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, clone]))
  mkdirSync(join(clone, 'node_modules', 'headgate'), { recursive: true })
  for (const part of ['dist', 'hooks', 'package.json'])
    symlinkSync(join(ROOT, part), join(clone, 'node_modules', 'headgate', part))
  repository.mustRun(repository.run(process.execPath, [HUSKY], { cwd: clone }))
  const push = (refspec: string) => gitIn(repository, clone, 'push', 'origin', refspec)
  const topic = push('main:topic')
  expect(topic.all).not.toContain('headgate:')
  expect(topic.code).toBe(0)
  expect(existsSync(join(clone, '.git', 'headgate'))).toBe(false)
  const refused = push('main:refs/heads/release')
  expect(refused.all).toContain('Nothing was sent.')
  expect(readFileSync(join(clone, '.git', 'headgate', 'remotes'), 'utf8')).toContain(
    'release refs/heads/release',
  )
})

test('husky is in package.json and was never set up: the hooks are there for when it is', () => {
  const repository = guardedClone()
  write(repository, 'package.json', '{ "devDependencies": { "husky": "^9.0.0" } }\n')
  const ran = repository.headgate('init')
  expect(ran.stdout).toContain('started by husky')
  expect(ran.stderr).toContain(
    'husky is not set up in this working tree, so no hook runs here yet: npx husky',
  )
  repository.mustRun(repository.run(process.execPath, [HUSKY], { cwd: repository.clone }))
  repository.commit('hooks')
  expect(repository.push('main:refs/heads/release').all).toContain('Nothing was sent.')
})

test('a checkout on Windows leaves the line ends of the scripts alone', () => {
  const { repository } = setUp('husky', { init: true })
  repository.commit('hooks')
  const windows = join(repository.folder, 'windows')
  repository.mustRun(
    repository.run('git', ['clone', '-q', '-c', 'core.autocrlf=true', repository.clone, windows]),
  )
  expect(readFileSync(join(windows, 'package.json'), 'utf8')).toContain('\r\n')
  for (const name of ['pre-push', 'pre-commit', 'pre-merge-commit', 'prepare-commit-msg'])
    expect(readFileSync(join(windows, '.headgate/hooks', name), 'utf8')).not.toContain('\r')
})

describe('where git checks files out with CRLF (core.autocrlf)', () => {
  const PARTS = ['dist', 'hooks', 'package.json']
  const START: Record<string, (repository: TestRepository, cwd: string) => void> = {
    husky: (repository, cwd) => void repository.mustRun(repository.run(process.execPath, [HUSKY], { cwd })),
    lefthook: (repository, cwd) => void repository.mustRun(repository.run('lefthook', ['install'], { cwd })),
    'pre-commit': (repository, cwd) => {
      const types = ['pre-commit', 'pre-push', 'prepare-commit-msg'].flatMap((type) => ['-t', type])
      repository.mustRun(repository.run('pre-commit', ['install', ...types], { cwd }))
    },
  }
  // Lines of the project's own that a shell takes with CRLF, which headgate can do nothing for.
  const OWN: Record<string, [string, string]> = {
    husky: ['.husky/pre-push', 'cat >.git/refs-seen # mine\n'],
    lefthook: ['lefthook.yml', '# ours\noutput: [failure]\n'],
    'pre-commit': ['.pre-commit-config.yaml', '# ours\nrepos: [] # none\n'],
  }

  test.for(names.filter((name) => name in START))(
    '%s still starts the hooks, and pushes work',
    async (name) => {
      const { repository } = setUp(name)
      const [path, text] = OWN[name] ?? ['', '']
      write(repository, path, text)
      repository.mustRun(repository.headgate('init'))
      const shown = readFileSync(join(repository.clone, path), 'utf8')
      // One line is ours, wherever it stands.
      const others = shown.split('\n').filter((line) => !text.split('\n').includes(line))
      expect(others, shown).toHaveLength(1)
      write(repository, '.headgate/policy.yaml', repository.policy)
      repository.git('add', '-A')
      repository.git('commit', '-q', '--no-verify', '-m', 'hooks')
      repository.mustRun(repository.push('main'))

      const windows = join(repository.folder, 'windows')
      const clone = ['clone', '-q', '-c', 'core.autocrlf=true', repository.bare, windows]
      repository.mustRun(repository.run('git', clone))
      expect(readFileSync(join(windows, path), 'utf8')).toContain(' # by headgate init')
      expect(readFileSync(join(windows, path), 'utf8').replaceAll('\r\n', '')).not.toContain('\n')
      mkdirSync(join(windows, 'node_modules', 'headgate'), { recursive: true })
      for (const part of PARTS) symlinkSync(join(ROOT, part), join(windows, 'node_modules', 'headgate', part))
      START[name]?.(repository, windows)

      gitIn(repository, windows, 'switch', '-q', '-c', 'topic')
      const commit = gitIn(repository, windows, 'commit', '-q', '--allow-empty', '-m', 'work')
      expect(commit.code, commit.all).toBe(0)
      const topic = gitIn(repository, windows, 'push', 'origin', 'topic')
      expect(topic.code, topic.all).toBe(0)
      expect(topic.all).not.toContain('headgate: ')
      if (name === 'husky')
        expect(readFileSync(join(windows, '.git/refs-seen'), 'utf8')).toMatch(
          /^refs\/heads\/topic [0-9a-f]{40} refs\/heads\/topic 0{40}\n$/,
        )
      // lefthook and pre-commit start nothing where the remote has every file already.
      writeFileSync(join(windows, 'more.txt'), 'more\n')
      gitIn(repository, windows, 'add', 'more.txt')
      expect(gitIn(repository, windows, 'commit', '-q', '-m', 'more').code).toBe(0)
      expect(gitIn(repository, windows, 'push', 'origin', 'topic:refs/heads/release').all).toContain(
        'Nothing was sent.',
      )
      gitIn(repository, windows, 'switch', '-q', '-c', 'release')
      writeFileSync(join(windows, 'more.txt'), 'fix\n')
      expect(gitIn(repository, windows, 'commit', '-a', '-m', 'x').all).toContain(
        'no commit is made on release',
      )
      gitIn(repository, windows, 'reset', '-q', '--hard')
      gitIn(repository, windows, 'switch', '-q', 'main')
      const run = (...args: string[]) =>
        repository.run(process.execPath, [PROGRAM, ...args], { cwd: windows })
      repository.mustRun(run('init'))
      const doctor = run('doctor').stdout
      expect(doctor).toMatch(/has 1 problem$/m)
      // No word of hooks: that the policy lacks the keys is said, which is this test's own doing.
      expect(doctor).toMatch(/^problem {2}\.headgate\/ on main differs/)
      if (name === 'lefthook') {
        expect(run('init').stdout).toContain('are there already')
        expect(run('init', '--remove').code).toBe(0)
      } else {
        const client = new ClientRepository({ folder: windows, environment: repository.env })
        expect((await installClientHooks(client)).changed).toEqual([])
        await removeClientHooks(client)
      }
      expect(readFileSync(join(windows, path), 'utf8')).toBe(text.replaceAll('\n', '\r\n'))
    },
  )

  const OLD: Record<string, [string, string]> = {
    husky: [
      '.husky/pre-push',
      '# headgate: begin\nif test -r .headgate/hooks/pre-push; then\n  headgate_refs=$(cat)\nfi\n# headgate: end\necho mine\n',
    ],
    lefthook: [
      'lefthook.yml',
      'extends:\n  # headgate: begin\n  - .headgate/lefthook.yml\n  # headgate: end\n  - team.yml\n',
    ],
    'pre-commit': [
      '.pre-commit-config.yaml',
      `# headgate: begin\n# in place of: repos: []\nrepos:\n- repo: local\n  hooks:\n${['pre-push', 'pre-commit', 'pre-merge-commit', 'prepare-commit-msg'].map((name) => `    - { id: headgate-${name}, entry: sh .headgate/hooks/${name}, name: h, language: system }\n`).join('')}# headgate: end\nci: {}\n`,
    ],
  }
  const EXPECTED: Record<string, RegExp> = {
    husky: /^test ! -r \S+ \|\| \. \S+ # by headgate init(\r?)\necho mine\1\n$/,
    lefthook: /^extends:(\r?)\n {2}- \.headgate\/lefthook\.yml # by headgate init\1\n {2}- team\.yml\1\n$/,
    'pre-commit':
      /^repos: \[\{ repo: local, .* \}\] # by headgate init, in place of: repos: \[\](\r?)\nci: \{\}\1\n$/,
  }

  /** What the program does to files of the working tree, and what the doctor sees in them, asked here. */
  const RUNNERS: Record<string, (top: string) => { runner: Runner; add(): unknown; remove(): unknown }> = {
    husky: (top) => {
      const folder = join(top, '.husky')
      return {
        runner: { kind: 'husky', folder, active: true },
        add: () => addToHusky(top, folder),
        remove: () => removeFromHusky(top, folder),
      }
    },
    lefthook: (top) => ({
      runner: { kind: 'lefthook', file: 'lefthook.yml' },
      add: () => addToLefthook(top, 'lefthook.yml'),
      remove: () => removeFromLefthook(top),
    }),
    'pre-commit': (top) => ({
      runner: { kind: 'pre-commit' },
      add: () => addToPreCommit(top),
      remove: () => removeFromPreCommit(top),
    }),
  }

  test.for(Object.keys(OLD).flatMap((name) => ['\n', '\r\n'].map((end) => [name, end] as const)))(
    'several lines of an older version give way to one (%s, line end %j)',
    ([name, end]) => {
      const top = mkdtempSync(join(tmpdir(), 'headgate-test-'))
      onTestFinished(() => rmSync(top, { recursive: true }))
      const { runner, add, remove } = RUNNERS[name]?.(top) ?? expect.fail(name)
      const hooks = join(top, '.git/hooks')
      const places = { top, common: join(top, '.git'), hooks, hooksPath: null, shared: null }
      const older = () =>
        checkCloneHooks(places, runner).filter(({ what }) => what.includes('lines of an older headgate'))
      const [path, text] = OLD[name] ?? ['', '']
      const file = join(top, path)
      const writeOld = () => {
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, text.replaceAll('\n', end))
      }
      // The other files of ours are there.
      writeOld()
      add()
      writeOld()
      expect(older()).toMatchObject([
        {
          code: 'hook-stale',
          what: `${path} has several lines of an older headgate, which no shell takes with CRLF line ends`,
          fix: 'headgate init  # then commit it',
        },
      ])
      add()
      expect(readFileSync(file, 'utf8')).toMatch(EXPECTED[name] ?? /^$/)
      expect(older()).toEqual([])
      writeOld()
      remove()
      expect(readFileSync(file, 'utf8')).not.toContain('headgate')
    },
  )

  test('several lines of an older version: the doctor says so, init puts one there, --remove none', () => {
    const name = 'lefthook'
    const { repository } = setUp(name, { init: true })
    write(repository, 'team.yml', 'output: [failure]\n')
    const [path, text] = OLD[name] ?? ['', '']
    write(repository, path, text.replaceAll('\n', '\r\n'))
    const doctor = repository.headgate('doctor')
    expect(doctor.code).toBe(77)
    expect(unwrapped(doctor.stdout)).toContain(
      `${path} has several lines of an older headgate, which no shell takes with CRLF line ends`,
    )
    expect(doctor.stdout).toContain('fix: headgate init  # then commit it')
    repository.mustRun(repository.headgate('init'))
    expect(readFileSync(join(repository.clone, path), 'utf8')).toMatch(EXPECTED[name] ?? /^$/)
    expect(repository.headgate('doctor').all).not.toContain('older headgate')
    write(repository, path, text.replaceAll('\n', '\r\n'))
    repository.mustRun(repository.headgate('init', '--remove'))
    expect(readFileSync(join(repository.clone, path), 'utf8')).not.toContain('headgate')
  })
})

test('what names the hooks by other lines is not left without them', async () => {
  const begin = (path: string, text: string) => {
    const repository = guardedClone({ install: false })
    write(repository, path, text)
    return repository
  }
  const lefthook = begin('lefthook.yml', 'extends:\n  - .headgate/lefthook.yml\n')
  lefthook.mustRun(lefthook.headgate('init'))
  const ran = lefthook.headgate('init', '--remove')
  expect(ran.code, ran.all).toBe(78)
  expect(ran.stderr).toContain('lefthook.yml')
  expect(ran.stderr).toContain('by hand, then run headgate init --remove again')
  const preCommit = begin(
    '.pre-commit-config.yaml',
    'repos:\n  - repo: local\n    hooks:\n      - id: x\n        name: x\n        entry: sh .headgate/hooks/pre-push\n        language: system\n',
  )
  await installClientHooks(clientOf(preCommit))
  await expect(removeClientHooks(clientOf(preCommit))).rejects.toMatchObject({
    code: 'configuration',
    message: expect.stringContaining('.pre-commit-config.yaml'),
    hint: expect.stringContaining('by hand, then run headgate init --remove again'),
  })
  for (const repository of [lefthook, preCommit])
    expect(existsSync(join(repository.clone, '.headgate/hooks/pre-push'))).toBe(true)
})

test('in a linked worktree where husky is not set up yet, init and the doctor say so', () => {
  const { repository } = setUp('husky', { init: true })
  repository.git('add', '-A')
  repository.git('commit', '-q', '-m', 'hooks')
  const worktree = join(repository.folder, 'worktree')
  repository.git('worktree', 'add', '-q', '-b', 'other', worktree)
  const doctor = repository.run(process.execPath, [PROGRAM, 'doctor'], { cwd: worktree })
  expect(doctor.code).toBe(77)
  expect(doctor.stdout).toContain('husky is not set up in this working tree, so no hook runs here')
  symlinkSync(join(ROOT, 'node_modules'), join(worktree, 'node_modules'))
  const fixed = repository.run(process.execPath, [PROGRAM, 'doctor', '--fix'], { cwd: worktree })
  expect(fixed.code, fixed.all).toBe(0)
  expect(gitIn(repository, worktree, 'push', 'origin', 'other:refs/heads/release').all).toContain(
    'Nothing was sent.',
  )
})

test('in a submodule', () => {
  const repository = guardedClone()
  const outer = join(repository.folder, 'outer project')
  const git = (cwd: string, ...args: string[]): Ran =>
    repository.mustRun(gitIn(repository, cwd, '-c', 'protocol.file.allow=always', ...args))
  git(repository.folder, 'init', '-q', outer)
  git(outer, 'submodule', '--quiet', 'add', repository.bare, 'lib')
  const lib = join(outer, 'lib')
  const init = repository.run(process.execPath, [PROGRAM, 'init'], { cwd: lib })
  expect(init.stdout).toContain('origin is guarded: main and release')
  git(lib, 'commit', '-q', '--allow-empty', '-m', 'x')
  expect(refusedBefore(gitIn(repository, lib, 'push', 'origin', 'main:refs/heads/release'))).toBe(true)
  git(lib, 'switch', '-q', '-c', 'release')
  expect(gitIn(repository, lib, 'commit', '--allow-empty', '-m', 'x').stderr).toContain(
    'no commit is made on release',
  )
  git(outer, 'commit', '-q', '--allow-empty', '-m', 'the outer project has no such hooks')
  expect(repository.run(process.execPath, [PROGRAM, 'doctor'], { cwd: lib }).stdout).toMatch(/is healthy$/m)
})

describe('lefthook', () => {
  test('that has a list `extends` keeps it', () => {
    const { repository } = setUp('lefthook')
    write(repository, 'team.yml', 'commit-msg:\n  commands:\n    team:\n      run: echo team\n')
    write(repository, 'lefthook.yml', 'extends:\n    - team.yml\n')
    repository.mustRun(repository.headgate('init'))
    expect(readFileSync(join(repository.clone, 'lefthook.yml'), 'utf8')).toBe(
      'extends:\n    - .headgate/lefthook.yml # by headgate init\n    - team.yml\n',
    )
    const dump = repository.run('lefthook', ['dump'], { cwd: repository.clone }).stdout
    expect(dump).toContain('team')
    expect(dump).toContain('.headgate/hooks/pre-push')
  })

  test('that is configured in a way that headgate does not edit', () => {
    const { repository } = setUp('lefthook')
    write(repository, 'lefthook.yml', 'extends: [team.yml]\n')
    const ran = repository.headgate('init')
    expect(ran.code).toBe(78)
    expect(ran.stderr).toContain('add ".headgate/lefthook.yml" to its list `extends` by hand')
  })
})

describe.skipIf(!HAS_PRE_COMMIT)('pre-commit', () => {
  test('installed later than headgate runs the hooks as well', () => {
    const { repository } = setUp('pre-commit')
    repository.mustRun(
      repository.run('pre-commit', ['uninstall', '-t', 'pre-push', '-t', 'pre-commit'], {
        cwd: repository.clone,
      }),
    )
    repository.mustRun(repository.headgate('init'))
    const types = ['pre-commit', 'pre-push', 'pre-merge-commit', 'prepare-commit-msg'].flatMap((type) => [
      '-t',
      type,
    ])
    repository.mustRun(repository.run('pre-commit', ['install', ...types], { cwd: repository.clone }))
    expect(repository.headgate('doctor').all).toMatch(/ is healthy$/m)
    const ran = repository.push(['main:topic', 'main:refs/heads/release'])
    expect(ran.all).toContain('Nothing was sent.')
    repository.mustRun(repository.headgate('init', '--remove'))
    expect(existsSync(join(repository.clone, '.git/hooks/pre-push.legacy'))).toBe(false)
  })

  test('runs them for those who never ran headgate init, from the configuration or from the manifest', () => {
    const { repository } = setUp('pre-commit')
    // What pre-commit clones: a repository with the manifest and the hooks.
    const source = join(repository.folder, 'headgate')
    mkdirSync(source)
    for (const part of ['.pre-commit-hooks.yaml', 'hooks'])
      cpSync(join(ROOT, part), join(source, part), { recursive: true })
    const git = (...args: string[]) => repository.mustRun(gitIn(repository, source, ...args))
    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '-m', 'headgate')
    const rev = git('rev-parse', 'HEAD').stdout.trim()
    const ids = ['pre-push', 'pre-commit', 'prepare-commit-msg'].map((name) => `{ id: headgate-${name} }`)
    const manifest = `repos:\n  - repo: ${source}\n    rev: ${rev}\n    hooks: [${ids.join(', ')}]\n`
    repository.mustRun(repository.headgate('init'))
    const configured = readFileSync(join(repository.clone, '.pre-commit-config.yaml'), 'utf8')
    const clone = join(repository.folder, 'teammate')
    write(repository, '.headgate/policy.yaml', repository.policy)
    repository.git('add', '-A')
    repository.git('commit', '-q', '-m', 'hooks')
    repository.mustRun(repository.push('main'))
    repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, clone]))
    const types = ['pre-commit', 'pre-push', 'prepare-commit-msg'].flatMap((type) => ['-t', type])
    repository.mustRun(repository.run('pre-commit', ['install', ...types], { cwd: clone }))
    mkdirSync(join(clone, 'node_modules', 'headgate'), { recursive: true })
    for (const part of ['dist', 'hooks'])
      symlinkSync(join(ROOT, part), join(clone, 'node_modules', 'headgate', part))
    for (const text of [configured, manifest]) {
      writeFileSync(join(clone, '.pre-commit-config.yaml'), text)
      gitIn(repository, clone, 'add', '.pre-commit-config.yaml')
      // pre-commit starts no hook where every commit is on the remote already.
      gitIn(repository, clone, 'commit', '-q', '--no-verify', '--allow-empty', '-m', 'new')
      const push = gitIn(repository, clone, 'push', 'origin', 'main:refs/heads/release')
      expect(push.code, push.all).not.toBe(0)
      expect(push.all).toContain('Nothing was sent.')
      gitIn(repository, clone, 'switch', '-q', '-C', 'release')
      const commit = gitIn(repository, clone, 'commit', '--allow-empty', '-m', 'x')
      expect(commit.all).toContain('no commit is made on release')
      gitIn(repository, clone, 'switch', '-q', 'main')
    }
  })
})

describe('a starting policy', () => {
  test('is one that policy check takes, is named after the remote, and replaces nothing', () => {
    const repository = guardedClone()
    repository.git('remote', 'add', 'other', 'x')
    repository.git('config', 'remote.origin.url', 'ssh://git@git.shop.example:2222/team/shop.git')
    const ran = repository.headgate('init', '--policy')
    expect(ran.code, ran.all).toBe(0)
    expect(ran.stdout).toContain('wrote .headgate/policy.yaml')
    const policy = readFileSync(join(repository.clone, '.headgate/policy.yaml'), 'utf8')
    expect(policy).toContain('repository: git.shop.example/team/shop\n')
    // The keys are placeholders, and it says so.
    const unfinished = repository.headgate('policy', 'check')
    expect(unfinished.stderr).toContain('allowed_signers')
    expect(unfinished.code).toBe(78)
    const signers = readFileSync(join(repository.policyFolder, 'allowed_signers'), 'utf8')
    write(repository, '.headgate/allowed_signers', signers)
    expect(repository.headgate('policy', 'check').code).toBe(0)
    write(repository, '.headgate/policy.yaml', repository.policy)
    expect(repository.headgate('init', '--policy').stderr).toContain('.headgate/policy.yaml is there already')
    expect(readFileSync(join(repository.clone, '.headgate/policy.yaml'), 'utf8')).toBe(repository.policy)
  })
})

test('where it makes no sense: a bare repository, no repository, a hook that is a folder', () => {
  const repository = guardedClone()
  const run = (cwd: string) => repository.run(process.execPath, [PROGRAM, 'init'], { cwd })
  expect(run(repository.bare).stderr).toContain('headgate server install REPO.git')
  expect(run(repository.bare).code).toBe(64)
  expect(run(repository.folder).stderr).toContain('not in a git repository')
  mkdirSync(join(repository.clone, '.git/hooks/pre-push'))
  expect(run(repository.clone).code).toBe(78)
  expect(statSync(join(repository.clone, '.git/hooks/pre-push')).isDirectory()).toBe(true)
})
