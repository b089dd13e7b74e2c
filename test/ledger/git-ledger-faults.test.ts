/**
 * A table of faults: each step of an append fails, once before it took effect and once after. Either the records are
 * stored and the append says so, or they are not and it says that; where it cannot know, it says that it does not.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { LEDGER_REF } from '../../src/core/refs.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import type { Head } from '../../src/ledger/ledger.ts'
import type { LedgerRepository } from '../../src/ledger/ledger-repository.ts'
import { openRepository } from '../open-repository.ts'
import { evidence, invalidation, oidOf, seal } from './records.ts'

let folder: string
let bare: string
let repository: GitRepository
let sound: GitLedger
let head: Head
const a = oidOf('a')

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-ledger-'))
  bare = join(folder, 'app.git')
  execFileSync('git', ['init', '-q', '--bare', bare])
  repository = await openRepository(bare)
  sound = new GitLedger(repository, seal)
  const { head: first } = await sound.append(await sound.head(), [evidence(a)])
  head = (await sound.append(first, [evidence(a)])).head
})
afterEach(() => {
  repository.close()
  rmSync(folder, { recursive: true, force: true })
})

type Faults = {
  readonly store?: (store: () => Promise<string>) => Promise<string>
  readonly swap?: (swap: () => Promise<boolean>) => Promise<boolean>
  /** Runs when the objects are written and the ref is not yet moved. */
  readonly between?: () => Promise<unknown> | unknown
  readonly refs?: (
    read: () => ReturnType<LedgerRepository['refs']>,
    count: number,
  ) => ReturnType<LedgerRepository['refs']>
}

/** The same repository, with steps that go wrong. */
function faulty(faults: Faults): GitLedger {
  let reads = 0
  const wrapped: LedgerRepository = {
    commonDirectory: repository.commonDirectory,
    oidLength: repository.oidLength,
    refs: (names) => (faults.refs ?? ((read) => read()))(() => repository.refs(names), ++reads),
    objects: () => repository.objects(),
    isAncestor: (ancestor, descendant) => repository.isAncestor(ancestor, descendant),
    readInOrder: (oids, maxBytes) => repository.readInOrder(oids, maxBytes),
    stream: (args) => repository.stream(args),
    blobId: (body) => repository.blobId(body),
    importObjects: (stream) => (faults.store ?? ((store) => store()))(() => repository.importObjects(stream)),
    moveRef: async (...move) => {
      await faults.between?.()
      return (faults.swap ?? ((swap) => swap()))(() => repository.moveRef(...move))
    },
  }
  return new GitLedger(wrapped, seal)
}

const broken = () => Promise.reject(new HeadgateError('unavailable', 'git broke'))
const afterwards = async (write: () => Promise<unknown>): Promise<never> => {
  await write()
  throw new HeadgateError('unavailable', 'git broke')
}
const git = (...args: string[]) =>
  execFileSync('git', ['--git-dir', bare, ...args], { encoding: 'utf8' }).trim()
const append = (ledger: GitLedger) => ledger.append(head, [invalidation(a), invalidation(a, 'second')])
const stored = async () =>
  (await sound.about(a)).filter(({ statement }) => statement.kind === 'invalidation').length

test.each<[string, Faults]>([
  ['the objects cannot be written', { store: broken }],
  ['the objects are written, and then it fails', { store: afterwards }],
  ['the swap does not start', { swap: broken }],
])('nothing is stored, and the append fails, when %s', async (_, faults) => {
  await expect(append(faulty(faults))).rejects.toMatchObject({ name: 'HeadgateError', code: 'unavailable' })
  expect(await sound.head()).toEqual(head)
  expect(await stored()).toBe(0)
  expect((await append(sound)).kind).toBe('appended')
})

test('the records are stored, and the append says so, when the swap is made and then reports a failure', async () => {
  const appended = await append(faulty({ swap: afterwards }))
  expect(appended).toMatchObject({ kind: 'appended', head: await sound.head() })
  expect(await stored()).toBe(2)
})

test('the same when others have appended since', async () => {
  const appended = await append(
    faulty({
      swap: async (write) => {
        await write()
        await sound.append(await sound.head(), [evidence(a)])
        throw new HeadgateError('unavailable', 'git broke')
      },
    }),
  )
  expect(appended).toMatchObject({ kind: 'appended', head: { seq: 4 } })
  expect((await sound.head()).seq).toBe(5)
  expect(await stored()).toBe(2)
})

test('the append says that it cannot tell when the swap failed and the ref cannot be read', async () => {
  for (const swap of [broken, afterwards]) {
    const blind = faulty({ swap, refs: (read, count) => (count === 1 ? read() : broken()) })
    await expect(append(blind)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`could not tell whether ${LEDGER_REF} was moved`),
    })
  }
})

test.each<[string, () => Promise<unknown> | unknown]>([
  ['another append', () => sound.append(head, [evidence(a)])],
  ['a rewind of the ref', () => git('update-ref', LEDGER_REF, `${LEDGER_REF}~1`)],
  ['a deletion of the ref', () => git('update-ref', '-d', LEDGER_REF)],
])('the append is stale, and nothing is stored, after %s in the last moment', async (_, between) => {
  const result = await append(faulty({ between }))
  expect(result).toEqual({ kind: 'stale', head: await sound.head() })
  expect(result.head).not.toEqual(head)
  expect(await stored()).toBe(0)
})

test('with a ref that is held, the append is stale where that is elsewhere, and nothing is stored', async () => {
  const branch = 'refs/heads/release'
  const zeros = '0'.repeat(40)
  const append = (ledger: GitLedger, oid: string) =>
    ledger.append(head, [invalidation(a)], [{ ref: branch, oid }])
  expect((await append(sound, git('rev-parse', LEDGER_REF))).kind).toBe('stale')
  const late = faulty({ between: () => git('update-ref', branch, LEDGER_REF) })
  expect((await append(late, zeros)).kind).toBe('stale')
  expect(await stored()).toBe(0)
  expect((await append(sound, git('rev-parse', LEDGER_REF))).kind).toBe('appended')
  expect(git('rev-parse', branch)).toBe(git('rev-parse', `${LEDGER_REF}~1`))
})

test('with a ref that is held, the append waits for its lock and is refused while somebody has it', async () => {
  const branch = 'refs/heads/release'
  const lock = join(bare, `${branch}.lock`)
  writeFileSync(lock, '')
  const held = [{ ref: branch, oid: '0'.repeat(40) }]
  await expect(sound.append(head, [invalidation(a)], held)).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining(lock),
  })
  expect(await stored()).toBe(0)
  const waiting = sound.append(head, [invalidation(a)], held)
  await new Promise((done) => setTimeout(done, 300))
  rmSync(lock)
  expect((await waiting).kind).toBe('appended')
})

test('where git cannot write objects, it says so and leaves nothing behind', async () => {
  rmSync(join(bare, 'objects', 'pack'), { recursive: true })
  writeFileSync(join(bare, 'objects', 'pack'), 'a file in its place')
  const before = readdirSync(bare)
  await expect(append(sound)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('git fast-import failed'),
  })
  expect(readdirSync(bare)).toEqual(before)
  rmSync(join(bare, 'objects', 'pack'))
  expect((await append(sound)).kind).toBe('appended')
})

test('two first appends: the second one is stale', async () => {
  git('update-ref', '-d', LEDGER_REF)
  const empty = await sound.head()
  const late = faulty({ between: () => sound.append(empty, [evidence(a)]) })
  expect(await late.append(empty, [invalidation(a)])).toEqual({ kind: 'stale', head: await sound.head() })
  expect((await sound.head()).seq).toBe(1)
})

test('a lock that somebody died holding is named, and nothing is stored', async () => {
  const lock = join(bare, `${LEDGER_REF}.lock`)
  writeFileSync(lock, '')
  await expect(append(sound)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('cannot lock ref'),
    hint: expect.stringContaining(lock),
  })
  expect(existsSync(lock)).toBe(true)
  rmSync(lock)
  expect(await stored()).toBe(0)
  expect((await append(sound)).kind).toBe('appended')
})

test('what is written is sound to git, and packing it in between changes nothing', async () => {
  await append(sound)
  git('pack-refs', '--all', '--prune')
  git('gc', '--quiet', '--prune=now')
  const fresh = new GitLedger(repository, seal)
  expect((await fresh.append(await fresh.head(), [evidence(a)])).kind).toBe('appended')
  expect(git('fsck', '--strict', '--full')).toBe('')
  expect(git('rev-list', '--count', LEDGER_REF)).toBe('5')
})

test('a ref whose moves git logs is moved by git, which logs it', async () => {
  git('config', 'core.logAllRefUpdates', 'always')
  git('update-ref', '--create-reflog', LEDGER_REF, `${LEDGER_REF}~1`)
  git('update-ref', LEDGER_REF, `${LEDGER_REF}@{1}`)
  const before = git('reflog', 'show', LEDGER_REF).split('\n').length
  expect((await append(sound)).kind).toBe('appended')
  expect(git('reflog', 'show', LEDGER_REF).split('\n').length).toBe(before + 1)
})

test.each(['group', '2', 'yes', '0640', '0666', 'everybody'])(
  'with core.sharedRepository %s all that is written is as open as git makes it, whatever the umask',
  async (shared) => {
    rmSync(bare, { recursive: true })
    const umask = process.umask(0o077)
    onTestFinished(() => {
      process.umask(umask)
    })
    execFileSync('git', ['init', '-q', '--bare', `--shared=${shared}`, bare])
    repository.close()
    repository = await openRepository(bare)
    const ledger = new GitLedger(repository, seal)
    expect((await ledger.append(await ledger.head(), [evidence(a), evidence(a)])).kind).toBe('appended')
    // git's own object and ref, made by the same account.
    const own = execFileSync('git', ['--git-dir', bare, 'hash-object', '-w', '--stdin'], {
      input: 'own',
      encoding: 'utf8',
    }).trim()
    git('update-ref', 'refs/own/x', own)
    const mode = (name: string) => (statSync(join(bare, name)).mode & 0o7777).toString(8)
    const object = (oid: string) => join('objects', oid.slice(0, 2), oid.slice(2))
    const [file, folder] = [mode(object(own)), mode(join('objects', own.slice(0, 2)))]
    const objects = readdirSync(bare, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /^objects\/[0-9a-f]{2}(\/|$)/.test(name),
    )
    expect(objects.length).toBeGreaterThan(10)
    for (const name of objects)
      expect(`${name} ${mode(name)}`).toBe(`${name} ${name.length > 10 ? file : folder}`)
    expect(mode(LEDGER_REF)).toBe(mode('refs/own/x'))
    expect(mode('refs/headgate')).toBe(mode('refs/own'))
  },
)
