import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ObjectReader } from '../../src/git/object-reader.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { parseTree } from '../../src/git/tree.ts'
import { GIT, openRepository } from '../open-repository.ts'

const REPOSITORY = resolve(import.meta.dirname, '..', '..', 'src', 'git', 'repository.ts')
const ENV = {
  ...process.env,
  GIT_COMMITTER_NAME: 'Dev',
  GIT_COMMITTER_EMAIL: 'd@example.com',
  GIT_AUTHOR_NAME: 'Dev',
  GIT_AUTHOR_EMAIL: 'd@example.com',
}

let folder: string
let bare: string
let repository: GitRepository
let reader: ObjectReader

function git(args: string[], input: string | Buffer = ''): string {
  return execFileSync('git', ['--git-dir', bare, ...args], {
    input,
    encoding: 'utf8',
    env: ENV,
    stdio: ['pipe', 'pipe', 'pipe'],
  }).trim()
}
const blob = (content: string | Buffer) => git(['hash-object', '-w', '--stdin'], content)
function packedBlob(content: string): string {
  const oid = blob(content)
  git(['pack-objects', '-q', join(bare, 'objects', 'pack', 'pack')], `${oid}\n`)
  git(['prune-packed'])
  return oid
}

async function setUp(objectFormat: string): Promise<void> {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'headgate-objects-')))
  bare = join(folder, 'app.git')
  execFileSync('git', ['init', '-q', '--bare', `--object-format=${objectFormat}`, bare])
  repository = await openRepository(bare)
  reader = repository.objects()
}
afterEach(() => {
  repository.close()
  rmSync(folder, { recursive: true, force: true })
})

describe.each(['sha1', 'sha256'])('an object reader on %s', (objectFormat) => {
  beforeEach(() => setUp(objectFormat))

  test('reads objects of every type by id and by path', async () => {
    const file = blob('hello\n')
    const tree = git(['mktree'], `100644 blob ${file}\tthe file\n`)
    const root = git(['mktree'], `040000 tree ${tree}\tä\n100755 blob ${file}\trun\n`)
    const commit = git(['commit-tree', '-m', 'x', root])
    git(['tag', '-a', '-m', 'x', 'v1', commit])
    const tag = git(['rev-parse', 'v1'])
    expect(await reader.read(file)).toEqual({
      oid: file,
      type: 'blob',
      size: 6,
      body: Buffer.from('hello\n'),
    })
    expect(await reader.read(`${commit}:ä/the file`)).toEqual({
      oid: file,
      type: 'blob',
      size: 6,
      body: Buffer.from('hello\n'),
    })
    expect(await reader.read(`${root}:`)).toMatchObject({ oid: root, type: 'tree' })
    expect((await reader.read(commit))?.body.toString()).toContain(`tree ${root}\n`)
    expect(await reader.info(tag)).toMatchObject({ oid: tag, type: 'tag' })
    expect(await reader.tree(commit)).toEqual([
      { mode: '100755', name: 'run', oid: file },
      { mode: '40000', name: 'ä', oid: tree },
    ])
    expect(await reader.tree(tree)).toEqual([{ mode: '100644', name: 'the file', oid: file }])
  })

  test('what is missing is null', async () => {
    const file = blob('hello')
    const tree = git(['mktree'], `100644 blob ${file}\tfile\n`)
    const missing = '1'.repeat(file.length)
    for (const name of [
      missing,
      `${missing}:file`,
      `${tree}:other`,
      `${tree}:file/below`,
      `${tree}: missing`,
      `${tree}:file `,
    ]) {
      expect(await reader.read(name), name).toBeNull()
      expect(await reader.info(name), name).toBeNull()
    }
    expect(await reader.tree(missing)).toBeNull()
    await expect(reader.tree(file)).rejects.toMatchObject({ code: 'data' })
  })

  test('an id of the other length names nothing, not even a ref of that name', async () => {
    const commit = git(['commit-tree', '-m', 'x', git(['mktree'])])
    const other = (commit + commit).slice(0, commit.length === 40 ? 64 : 40)
    git(['update-ref', `refs/heads/${other}`, commit])
    expect(git(['rev-parse', other])).toBe(commit)
    expect(await reader.read(other)).toBeNull()
    expect(await reader.info(other)).toBeNull()
  })
})

describe('an object reader', () => {
  beforeEach(() => setUp('sha1'))

  test.each([
    '',
    'HEAD',
    'refs/heads/main',
    'main',
    '-x',
    `${'a'.repeat(40)}^`,
    `${'a'.repeat(40)}:a\nb`,
    `${'a'.repeat(40)}\n`,
    `${'A'.repeat(40)}`,
    `${'a'.repeat(40)}:${'x'.repeat(10_000)}`,
  ])('refuses the name %j', async (name) => {
    await expect(reader.read(name)).rejects.toMatchObject({ code: 'data' })
    await expect(reader.info(name)).rejects.toMatchObject({ code: 'data' })
  })

  test('answers thousands of requests at once, each with its own', async () => {
    const contents = Array.from({ length: 3000 }, (_, index) =>
      index % 7 === 0 ? '' : `${index}\n`.repeat(index % 50),
    )
    const stream = contents.map(
      (text, index) => `blob\nmark :${index + 1}\ndata ${text.length}\n${text}\nget-mark :${index + 1}\n`,
    )
    const oids = git(['fast-import', '--quiet'], stream.join('')).split('\n')
    const missing = '1'.repeat(40)
    const answers = await Promise.all(
      oids.flatMap((oid) => [reader.read(oid), reader.read(missing), reader.info(oid)]),
    )
    for (const [index, text] of contents.entries()) {
      expect(answers[index * 3]).toMatchObject({ oid: oids[index], body: Buffer.from(text) })
      expect(answers[index * 3 + 1]).toBeNull()
      expect(answers[index * 3 + 2]).toEqual({ oid: oids[index], type: 'blob', size: text.length })
    }
  })

  test('keeps every byte', async () => {
    const bytes = Buffer.concat([Buffer.from('\n\0missing\n'), randomBytes(3_000_000), Buffer.from('\n\n')])
    expect((await reader.read(blob(bytes)))?.body.equals(bytes)).toBe(true)
  })

  test('does not read what is larger than wanted, tells its size, and goes on with the rest', async () => {
    const large = blob(Buffer.alloc(40 * 1024 * 1024))
    const middling = blob(Buffer.alloc(100_000))
    const small = blob('small')
    const answers = await Promise.allSettled([
      reader.read(small),
      reader.read(large),
      reader.info(large),
      reader.read(middling, 1000),
      reader.read(small, 5),
      reader.read(small, 4),
      reader.info(small),
    ])
    expect(answers).toMatchObject([
      { value: { body: Buffer.from('small') } },
      {
        reason: { code: 'data', message: expect.stringContaining('41943040 bytes, more than the 33554432') },
      },
      { value: { type: 'blob', size: 41943040 } },
      { reason: { code: 'data', message: expect.stringContaining('100000 bytes, more than the 1000') } },
      { value: { body: Buffer.from('small') } },
      { reason: { code: 'data' } },
      { value: { size: 5 } },
    ])
    expect((await reader.read(large, 50 * 1024 * 1024))?.size).toBe(41943040)
  })

  test('sees objects that were made after it started, and packed since', async () => {
    const first = blob('first')
    expect(await reader.read(first)).not.toBeNull()
    const second = blob('second')
    expect((await reader.read(second))?.body.toString()).toBe('second')
    git([
      'update-ref',
      'refs/heads/x',
      git(['commit-tree', '-m', 'x', git(['mktree'], `100644 blob ${first}\ta\n100644 blob ${second}\tb\n`)]),
    ])
    git(['gc', '--quiet', '--prune=now'])
    expect((await reader.read(first))?.body.toString()).toBe('first')
    expect((await reader.read(second))?.body.toString()).toBe('second')
  })

  test('goes on with another process when one dies', async () => {
    const oid = packedBlob('hello')
    // What was read before is remembered; whether it is there is asked.
    const pidFile = join(folder, 'pid')
    const script = join(folder, 'git')
    writeFileSync(script, `#!/bin/sh\necho $$ > ${pidFile}\nexec ${GIT} "$@"\n`, { mode: 0o755 })
    const other = await openRepository(bare, { gitPath: script })
    const pid = () => Number(readFileSync(pidFile, 'utf8'))
    expect((await other.objects().info(oid))?.size).toBe(5)
    // While it is asked, while it is idle, and just before it is asked.
    process.kill(pid(), 'SIGSTOP')
    const pending = [other.objects().info(oid), other.objects().info(oid)]
    process.kill(pid(), 'SIGKILL')
    expect(await Promise.all(pending)).toMatchObject([{ size: 5 }, { size: 5 }])
    process.kill(pid(), 'SIGKILL')
    await new Promise((done) => setTimeout(done, 100))
    expect((await other.objects().info(oid))?.size).toBe(5)
    process.kill(pid(), 'SIGKILL')
    expect((await other.objects().info(oid))?.size).toBe(5)
    other.close()
  })

  test.each([
    ['cut off', 25],
    ['empty', 0],
    ['cut off near its end', -1],
  ])('an object that is %s is an error, and the only one', async (_, length) => {
    const oid = blob(randomBytes(10_000))
    const fine = blob('fine')
    const path = join(bare, 'objects', oid.slice(0, 2), oid.slice(2))
    chmodSync(path, 0o644)
    truncateSync(path, length < 0 ? statSync(path).size + length : length)
    const answers = await Promise.allSettled([reader.read(fine), reader.read(oid), reader.read(fine)])
    expect(answers).toMatchObject([
      { value: { body: Buffer.from('fine') } },
      { reason: { name: 'HeadgateError', code: expect.stringMatching(/^(data|unavailable)$/) } },
      { value: { body: Buffer.from('fine') } },
    ])
  })

  test.each([
    ['nonsense', 'printf "hello\\n"'],
    ['an answer to nobody', `printf "${'a'.repeat(40)} missing\\n${'b'.repeat(40)} missing\\n"`],
    ['a body too long', `printf "${'a'.repeat(40)} blob 2\\nabcd\\n"`],
    ['an endless line', 'yes | tr -d "\\n"'],
    ['a complaint', 'echo "fatal: no" >&2; exit 128'],
  ])('%s from git is an error', async (_, script) => {
    const path = join(folder, 'fake')
    writeFileSync(path, `#!/bin/sh\nread name\n${script}\n`, { mode: 0o755 })
    const fake = await openRepository(bare, { gitPath: path })
    const [one, two] = [fake.objects().read('c'.repeat(40)), fake.objects().read('d'.repeat(40))]
    const refused = { status: 'rejected', reason: { code: 'unavailable' } }
    expect(await Promise.allSettled([one, two])).toMatchObject([refused, refused])
    fake.close()
  })

  test('a git that is too old for it is named', async () => {
    const path = join(folder, 'old-git')
    const lines = [
      'for word; do test "$word" != version || { echo git version 2.34.1; exit; }; done',
      `echo "error: unknown option \\\`batch-command'" >&2`,
      'exit 129',
    ]
    writeFileSync(path, `#!/bin/sh\n${lines.join('\n')}\n`, { mode: 0o755 })
    const old = await openRepository(bare, { gitPath: path })
    await expect(old.objects().read('c'.repeat(40))).rejects.toMatchObject({
      code: 'configuration',
      message: `${path} is git 2.34, and headgate needs 2.36`,
    })
    old.close()
  })

  test('starts one process for all objects, loose, packed or missing', async () => {
    const script = join(folder, 'git')
    const started = join(folder, 'started')
    writeFileSync(script, `#!/bin/sh\necho x >> ${started}\nexec ${GIT} "$@"\n`, { mode: 0o755 })
    const other = await openRepository(bare, { gitPath: script })
    const file = blob('hello')
    const tree = git(['mktree'], `100644 blob ${file}\tf\n`)
    const commit = git(['commit-tree', '-m', 'x', tree])
    expect(existsSync(started)).toBe(false)
    expect(await other.objects().read(`${commit}^{tree}`)).toMatchObject({ oid: tree, type: 'tree' })
    expect(await other.objects().info(commit)).toMatchObject({ type: 'commit' })
    expect(await other.objects().read('c'.repeat(file.length))).toBeNull()
    expect((await other.objects().read(packedBlob('packed')))?.size).toBe(6)
    expect(readFileSync(started, 'utf8')).toBe('x\n')
    other.close()
  })

  test('cannot be asked after it was closed', async () => {
    const oid = packedBlob('hello')
    const pending = reader.read(oid)
    reader.close()
    await expect(pending).rejects.toMatchObject({ code: 'unavailable' })
    await expect(reader.read(oid)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a program that forgets to close it ends all the same, and with it the process', async () => {
    const oid = blob('hello')
    const program = `import { openRepository } from ${JSON.stringify(REPOSITORY)}
      const repository = await openRepository(${JSON.stringify(bare)}, { gitPath: ${JSON.stringify(GIT)} })
      console.log((await repository.objects().read('${oid}')).body.toString())`
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 300_000,
    })
    expect(ran).toMatchObject({ status: 0, stdout: 'hello\n' })
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(`--git-dir=${bare}`)
  })
})

describe('a tree object', () => {
  beforeEach(() => setUp('sha1'))
  const id = Buffer.alloc(20, 0xab)
  const entry = (mode: string, name: string | Buffer) =>
    Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name as string), Buffer.from([0]), id])

  test('parses', () => {
    expect(parseTree(Buffer.alloc(0), 20)).toEqual([])
    expect(
      parseTree(
        Buffer.concat([entry('100644', 'a b'), entry('160000', 'module'), entry('040000', 'sub')]),
        20,
      ),
    ).toEqual([
      { mode: '100644', name: 'a b', oid: 'ab'.repeat(20) },
      { mode: '160000', name: 'module', oid: 'ab'.repeat(20) },
      { mode: '40000', name: 'sub', oid: 'ab'.repeat(20) },
    ])
    // Two names that are not UTF-8 stay two entries, and neither is an ASCII name.
    const names = parseTree(
      Buffer.concat([entry('100644', Buffer.from([0xfe])), entry('100644', Buffer.from([0xff]))]),
      20,
    )
    expect(names).toHaveLength(2)
  })

  test.each<[string, Buffer]>([
    ['that ends early', entry('100644', 'a').subarray(0, -1)],
    ['with ids of the other length', Buffer.concat([entry('100644', 'a'), Buffer.alloc(12)])],
    ['without a mode', entry('', 'a')],
    ['with a mode that is not octal', entry('10064x', 'a')],
    ['without a name', entry('100644', '')],
    ['with a path for a name', entry('100644', 'a/b')],
    ['with a name for the parent', entry('40000', '..')],
    ['with a name twice', Buffer.concat([entry('100644', 'a'), entry('40000', 'a')])],
    ['out of order', Buffer.concat([entry('100644', 'b'), entry('100644', 'a')])],
    [
      'with a folder before the file that comes first',
      Buffer.concat([entry('40000', 'a'), entry('100644', 'a.b')]),
    ],
    ['of noise', Buffer.from('hello')],
  ])('%s is an error', (_, body) => {
    expect(() => parseTree(body, 20)).toThrow(expect.objectContaining({ code: 'data' }))
  })
})
