/**
 * git's own tests of pushes and refs, with headgate's hooks in every repository that they make: nothing may change for refs
 * that nobody guards. Not part of `npm test`, since it needs git's sources, built (`make`):
 *
 *     npm run build && node test/git-suite.ts GIT-SOURCES [t5516 t5400 ...]
 *
 * Every test runs as it is, then in a copy of `t/` with the hooks; what is told is where the two differ. In the copy
 * repositories are made with a template, which holds the hooks and what `server install` puts beside them; hooks that the
 * tests write themselves go where the hooks of a repository are kept when headgate is installed, and so run with ours. Its
 * guarded branches have names that no test of git uses.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { POLICY, TestRepository } from './make-repository.ts'

/** Pushes, hooks, transactions, namespaces, worktrees, fetches. */
const SUITE =
  't0410 t1400 t1405 t1409 t1416 t2400 t3200 t5400 t5401 t5404 t5405 t5406 t5407 t5408 t5410 t5411 t5505 t5509 t5510 t5516 t5518 t5519 t5523 t5527 t5528 t5531 t5533 t5534 t5538 t5543 t5544 t5545 t5546 t5547 t5548'
const HOOKS = ['pre-receive', 'post-receive', 'reference-transaction'] as const

const [sources, ...only] = process.argv.slice(2)
if (sources === undefined || !existsSync(join(sources, 'templates', 'blt'))) {
  console.error(
    'usage: node test/git-suite.ts GIT-SOURCES [t5516 ...]; GIT-SOURCES is where git was built with make',
  )
  process.exit(64)
}
const git = resolve(sources)
const folder = mkdtempSync(join(tmpdir(), 'headgate-git-suite-'))
try {
  const plain = join(git, 't')
  // The tests look for the program beside the folder that they are in.
  const beside = join(folder, 'git')
  mkdirSync(beside)
  for (const name of readdirSync(git))
    if (!['t', 'bin-wrappers'].includes(name)) symlinkSync(join(git, name), join(beside, name))
  const template = join(folder, 'template')
  makeTemplate(template)
  // What they start names the template that it was built with.
  const wrappers = join(beside, 'bin-wrappers')
  cpSync(join(git, 'bin-wrappers'), wrappers, { recursive: true })
  for (const name of readdirSync(wrappers))
    edit(join(wrappers, name), (text) =>
      text.replace(/GIT_TEMPLATE_DIR='.*'/, `GIT_TEMPLATE_DIR='${template}'`),
    )
  execFileSync(join(wrappers, 'git'), ['init', '--quiet', join(folder, 'probe')])
  if (!existsSync(join(folder, 'probe', '.git', 'hooks', 'pre-receive')))
    throw new Error('the repositories of the tests would have no hooks')
  const guarded = join(beside, 't')
  cpSync(plain, guarded, {
    recursive: true,
    filter: (path) => !/\/(?:trash directory|test-results)/.test(path),
  })
  editTests(guarded)
  let different = 0
  let same = 0
  for (const script of scripts(plain, only.length > 0 ? only : SUITE.split(' '))) {
    const before = results(plain, script)
    const after = results(guarded, script)
    if (after.size === 0) throw new Error(`${script} does not run in ${guarded}`)
    const changed = [...before].filter(([name, outcome]) => after.get(name) !== outcome)
    same += before.size - changed.length
    different += changed.length
    console.log(`${script}: ${before.size} tests, ${changed.length} with another outcome`)
    for (const [name, outcome] of changed)
      console.log(`  ${outcome} -> ${after.get(name) ?? 'not run'}: ${name}`)
  }
  console.log(`${same} tests with the same outcome, ${different} with another`)
  process.exitCode = different === 0 && same > 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function scripts(directory: string, names: readonly string[]): string[] {
  const all = readdirSync(directory).filter((name) => name.endsWith('.sh'))
  return names.flatMap((name) => {
    const found = all.filter((script) => script.startsWith(`${name}-`))
    if (found.length === 0) console.log(`${name}: not in these sources`)
    return found
  })
}

/** What each test of a script came to, by its name. */
function results(directory: string, script: string): Map<string, string> {
  const root = join(folder, 'trash')
  const ran = spawnSync('sh', [`./${script}`, `--root=${root}`], {
    cwd: directory,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  })
  rmSync(root, { recursive: true, force: true })
  const lines = [...ran.stdout.matchAll(/^(ok|not ok) (\d+ - .*)$/gm)]
  return new Map(lines.map(([, outcome = '', name = '']) => [name, outcome]))
}

/** The hooks of a guarded repository, and the folder that they read. */
function makeTemplate(template: string): void {
  const policy = POLICY.replace('staging: main', 'staging: guarded-staging').replace(
    'release: release',
    'release: guarded-release',
  )
  const repository = new TestRepository({ policy })
  try {
    mkdirSync(join(template, 'hooks'), { recursive: true })
    cpSync(join(repository.bare, 'headgate'), join(template, 'headgate'), { recursive: true })
    for (const name of HOOKS) {
      const hook = readFileSync(join(repository.bare, 'hooks', name), 'utf8')
      writeFileSync(join(template, 'hooks', name), hook.replace("KEPT=''", `KEPT='${name}.kept'`), {
        mode: 0o755,
      })
    }
  } finally {
    repository.remove()
  }
}

function editTests(directory: string): void {
  const found = execFileSync('find', [directory, '-name', '*.sh'], { encoding: 'utf8' }).trim().split('\n')
  for (const name of found) edit(name, (text) => withGuard(name, text))
}

function withGuard(name: string, text: string): string {
  const edited = text
    .replaceAll('git init --template= ', 'git init ')
    .replaceAll(/^TEST_CREATE_REPO_NO_TEMPLATE=1/gm, ':')
    .replaceAll(/mkdir ("\$repo_name"\/)?\.git\/hooks/g, 'mkdir -p $1.git/hooks')
    .replace(
      'hook_file="$hook_dir/$1" &&',
      `case $1 in ${HOOKS.join('|')}) hook_file="$hook_dir/$1.kept" ;; *) hook_file="$hook_dir/$1" ;; esac &&
	mkdir -p "$hook_dir" &&`,
    )
  // These name the file of a hook, or print what it is called.
  if (name.includes('/t5411'))
    return edited.replaceAll(/hooks\/(pre-receive|post-receive)\b(?!\.ok)/g, 'hooks/$1.kept')
  if (name.includes('/t1416'))
    return edited.replaceAll(/(hooks\/reference-transaction) (prepar\w+|committed|aborted)/g, '$1.kept $2')
  return edited
}

function edit(file: string, change: (text: string) => string): void {
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}
