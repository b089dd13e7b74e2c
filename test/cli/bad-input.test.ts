/**
 * What people get wrong: keys, commits, remotes, places, files, calls. Each is one line that names the thing and the
 * reason, one that says what to do, the exit code of the documents, nothing on stdout, and nothing recorded.
 */
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PROGRAM, type Ran, TestRepository } from '../make-repository.ts'

type Options = { in?: string; env?: Record<string, string> }
type Case = [title: string, args: readonly string[], code: number, says: RegExp, options?: Options]

let repository: TestRepository
let ledger: string | null

/** Names of the files and places that the cases speak of; they are made before all. */
const KEY = {
  publicHalf: 'only-public',
  publicNamed: 'only-named.pub',
  locked: 'locked',
  open: 'open',
  text: 'text',
  empty: 'empty',
}

beforeAll(() => {
  repository = new TestRepository()
  const { folder, clone } = repository
  const file = (name: string) => join(folder, name)
  copyFileSync(`${repository.key('ci')}.pub`, file(KEY.publicHalf))
  copyFileSync(`${repository.key('ci')}.pub`, file(KEY.publicNamed))
  repository.mustRun(
    repository.run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', file(KEY.locked)]),
  )
  copyFileSync(repository.key('ci'), file(KEY.open))
  chmodSync(file(KEY.open), 0o644)
  writeFileSync(file(KEY.text), 'hello\n', { mode: 0o600 })
  writeFileSync(file(KEY.empty), '', { mode: 0o600 })

  repository.git('remote', 'add', 'plain', file('plain.git'))
  repository.run('git', ['init', '-q', '--bare', file('plain.git')])
  repository.git('remote', 'add', 'gone', file('gone.git'))
  repository.git('remote', 'add', 'down', 'http://127.0.0.1:9/app.git')
  mkdirSync(join(clone, 'deep', 'er'), { recursive: true })
  mkdirSync(file('outside'))
  repository.run('git', ['init', '-q', file('unborn')])
  repository.mustRun(
    repository.run('git', ['remote', 'add', 'origin', repository.bare], { cwd: file('unborn') }),
  )
  repository.git('tag', '-a', '-m', 'a tag', 'tagged')
  repository.git('tag', 'tree', 'HEAD^{tree}')
  makeAmbiguous()
  ledger = repository.ref('refs/headgate/ledger')
})

afterAll(() => repository.remove())

let ambiguous = ''

/** Commits, until the ids of two begin with the same four digits: some hundred. */
function makeAmbiguous(): void {
  const tree = repository.git('rev-parse', 'HEAD^{tree}')
  const stream = Array.from(
    { length: 1200 },
    (_, at) =>
      `commit refs/heads/many\nmark :${at + 1}\ncommitter D <d@example.com> ${1_000_000_000 + at} +0000\ndata 1\nx\nM 040000 ${tree} \n`,
  )
  repository.mustRun(
    repository.run('git', ['fast-import', '--quiet'], { cwd: repository.clone, input: stream.join('') }),
  )
  const seen = new Set<string>()
  for (const oid of repository.git('rev-list', 'refs/heads/many').split('\n')) {
    const start = oid.slice(0, 4)
    if (seen.has(start)) ambiguous = start
    seen.add(start)
  }
  repository.git('update-ref', '-d', 'refs/heads/many')
  expect(ambiguous).not.toBe('')
}

function headgate(args: readonly string[], options: Options = {}): Ran {
  const place = (text: string) =>
    text
      .replace(/^KEY:(.+)$/, (_, name: string) => join(repository.folder, name))
      .replace('FOLDER', repository.folder)
      .replace('BARE', repository.bare)
      .replace('AMBIGUOUS', ambiguous)
  return repository.run(process.execPath, [PROGRAM, ...args.map(place)], {
    cwd: place(options.in ?? repository.clone),
    env: { GIT_CEILING_DIRECTORIES: repository.folder, ...options.env },
  })
}

const signing = (key: string) => ['evidence', 'invalidate', 'HEAD', '--reason', 'x', '--key', key]

const CASES: Case[] = [
  // Keys
  ['a key that is not there', signing('nokey'), 78, /key file nokey does not exist/],
  [
    'a public key',
    signing(`KEY:${KEY.publicHalf}`),
    78,
    /there is no usable private key for .+only-public, neither/,
  ],
  [
    'a .pub without its half',
    signing(`KEY:${KEY.publicNamed}`),
    78,
    /there is no usable private key for .+only-named\.pub, neither/,
  ],
  ['a locked key, no terminal', signing(`KEY:${KEY.locked}`), 78, /locked needs a passphrase or PIN/],
  ['a key that others can read', signing(`KEY:${KEY.open}`), 78, /open is readable for others/],
  ['a text for a key', signing(`KEY:${KEY.text}`), 78, /text is not an SSH key/],
  ['an empty file for a key', signing(`KEY:${KEY.empty}`), 78, /empty is not an SSH key/],
  ['a folder for a key', signing('FOLDER'), 78, /is a directory/],
  ['no key', ['freeze', '--reason', 'x'], 64, /no key to sign with/],
  [
    'an empty HEADGATE_KEY',
    ['freeze', '--reason', 'x'],
    64,
    /no key to sign with/,
    { env: { HEADGATE_KEY: '' } },
  ],
  // Commits
  ['an unknown short id', ['check', 'deadbeef'], 64, /there is no commit "deadbeef" in this clone/],
  [
    'an ambiguous one',
    ['check', 'AMBIGUOUS'],
    64,
    /"[0-9a-f]{4}" is ambiguous: several objects begin with it/,
  ],
  ['a tree', ['evidence', 'list', 'tree'], 64, /"tree" is no commit, but another object/],
  ['a range', ['gate', '--commit', 'HEAD~1..HEAD'], 64, /there is no commit "HEAD~1\.\.HEAD"/],
  ['an empty name', ['check', ''], 64, /COMMIT needs a value/],
  ['an escape sequence', ['check', '\x1b[31m'], 64, /there is no commit "\\x1b\[31m"/],
  ['HEAD before the first commit', ['check'], 64, /nothing is checked out here/, { in: 'FOLDER/unborn' }],
  // Remotes
  [
    'an unguarded remote: check',
    ['check', '--remote', 'plain'],
    78,
    /remote "plain" is not guarded by headgate/,
  ],
  ['an unguarded remote: log', ['log', '--remote', 'plain'], 78, /remote "plain" is not guarded by headgate/],
  [
    'an unguarded remote: gate',
    ['gate', '--record', '--key', 'KEY:ci_key', '--remote', 'plain'],
    78,
    /not guarded/,
  ],
  ['a path that is gone', ['status', '--remote', 'gone'], 69, /remote "gone" cannot be reached/],
  ['a server that is down', ['policy', 'show', '--remote', 'down'], 69, /remote "down" cannot be reached/],
  [
    "a server that ssh does not reach: its word, not git's",
    ['status', '--remote', 'ssh://git@127.0.0.1:1/app.git'],
    69,
    /cannot be reached: ssh: connect to host 127\.0\.0\.1 port 1: Connection refused/,
  ],
  ['no such remote', ['verify', '--remote', 'upstream'], 64, /there is no remote "upstream" in this clone/],
  ['a remote like an option', ['status', '--remote=--all'], 64, /there is no remote "--all" in this clone/],
  // Places
  [
    'no repository: status',
    ['status'],
    64,
    /this folder is not in a git repository/,
    { in: 'FOLDER/outside' },
  ],
  ['no repository: init', ['init'], 64, /this folder is not in a git repository/, { in: 'FOLDER/outside' }],
  [
    'no repository: doctor',
    ['doctor'],
    64,
    /this folder is not in a git repository/,
    { in: 'FOLDER/outside' },
  ],
  ['no policy here', ['policy', 'check'], 78, /^headgate: \/.+\/clone has neither policy\.yaml nor/],
  [
    'no policy from a folder below',
    ['policy', 'check'],
    78,
    /\/clone has neither policy\.yaml/,
    { in: 'FOLDER/clone/deep/er' },
  ],
  ['no policy to try gates of', ['gate'], 78, /\/clone\/\.headgate does not exist/],
  [
    'a policy folder that is none',
    ['policy', 'check', 'FOLDER/policy/policy.yaml'],
    78,
    /policy\.yaml is a file/,
  ],
  [
    'a policy folder that is not there',
    ['policy', 'check', '/nonexistent'],
    78,
    /\/nonexistent does not exist/,
  ],
  ['init in a bare repository', ['init'], 64, /this repository has no working tree/, { in: 'BARE' }],
  ['serve without a repository', ['serve', 'FOLDER/gone.git'], 78, /there is no \/.+gone\.git/],
  // Calls
  [
    'a base URL that is none',
    ['gate', '--record', '--key', 'KEY:ci_key', '--url', 'staging'],
    64,
    /--url: the base URL must be a URL/,
  ],
  [
    'one from BASE',
    ['gate', '--record', '--key', 'KEY:ci_key'],
    64,
    /BASE: the base URL must be a URL/,
    { env: { BASE: 'ftp://x' } },
  ],
  ['another MODE', ['gate'], 64, /MODE=qa is neither staging nor prod/, { env: { MODE: 'qa' } }],
  ['a wait that is none', ['gate', '--wait', 'soon'], 64, /--wait: "soon" is not a duration/],
  ['a date that is none', ['log', '--since', 'yesterday'], 64, /"yesterday" is no date/],
  ['a limit that is none', ['log', '--limit', 'x'], 64, /--limit takes a whole number/],
  ['a receipt of nothing', ['log', '--receipt', '999'], 64, /record 999 authorizes no move/],
  [
    'a trust file that is not there',
    ['verify', '--trust', 'nofile'],
    64,
    /the trust file nofile cannot be read/,
  ],
  [
    'a reason that says nothing',
    ['freeze', '--reason', ' ', '--key', 'KEY:alice_key'],
    64,
    /--reason says nothing/,
  ],
  [
    'an identity of nowhere',
    ['server', 'install', 'BARE', '--identity', 'REMOTE_USER'],
    64,
    /identity source "REMOTE_USER" is not one/,
  ],
  ['nothing to promote', ['promote', '--yes'], 77, /no commit of main can be promoted now/],
  [
    'nothing to roll back',
    ['rollback', '--yes', '--trigger', 't', '--symptoms', 's'],
    64,
    /there is no release to roll back/,
  ],
  [
    'a freeze without a release',
    ['freeze', '--reason', 'x', '--key', 'KEY:alice_key'],
    78,
    /there is no release on origin yet/,
  ],
  [
    'a key of nobody',
    ['evidence', 'invalidate', 'HEAD', '--reason', 'x', '--key', 'KEY:mallory_key'],
    77,
    /the server refused the statement; nothing was recorded\n {2}the key is not listed/,
  ],
  [
    'staging that is down',
    ['gate', '--record', '--key', 'KEY:ci_key'],
    69,
    /staging at http:\/\/127\.0\.0\.1:9 cannot be reached: connection refused/,
  ],
  [
    'a folder for the demo that is not there',
    ['demo'],
    78,
    /\/nonexistent: the demo needs a folder/,
    { env: { TMPDIR: '/nonexistent' } },
  ],
]

describe('one clear error, the documented exit code, and nothing done', () => {
  test.each(CASES)('%s', (_, args, code, says, options) => {
    const ran = headgate(args, options)
    expect(ran.stderr).toMatch(says)
    expect(ran.stderr).toMatch(/(?:^|\n)headgate: .+(?:\n {2}.+)*\n {2}hint: .+\n$/)
    expect(ran.stderr).not.toMatch(/\n +at /)
    expect(ran.stderr).not.toMatch(/\x1b/)
    expect(ran.code).toBe(code)
    expect(ran.stdout.replace(/^\{"level".*\}\n/, '')).toBe('')
    expect(repository.ref('refs/headgate/ledger')).toBe(ledger)
  })
})

test('with --json a failure leaves stdout empty', () => {
  for (const args of [['status'], ['check'], ['log'], ['verify'], ['evidence', 'list'], ['policy', 'show']]) {
    const ran = headgate([...args, '--json', '--remote', 'plain'])
    expect(ran.stdout, args.join(' ')).toBe('')
    expect(ran.code, args.join(' ')).toBe(78)
  }
})

test('a tag of a commit is that commit, also from a folder below', () => {
  const ran = headgate(['evidence', 'list', 'tagged'], { in: 'FOLDER/clone/deep/er' })
  expect(ran).toMatchObject({
    code: 0,
    stdout: `there is no evidence for ${repository.git('rev-parse', '--short=7', 'HEAD')} on origin\n`,
  })
})

test('the policy of the working tree is found from a folder below', () => {
  const work = join(repository.clone, '.headgate')
  mkdirSync(work)
  for (const name of ['policy.yaml', 'allowed_signers'])
    copyFileSync(join(repository.policyFolder, name), join(work, name))
  expect(headgate(['policy', 'check'], { in: 'FOLDER/clone/deep/er' })).toMatchObject({ stderr: '', code: 0 })
})
