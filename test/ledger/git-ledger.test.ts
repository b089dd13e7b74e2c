import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LEDGER_REF } from '../../src/core/refs.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import { EMPTY_HEAD } from '../../src/ledger/ledger.ts'
import { openRepository } from '../open-repository.ts'
import { collect, describeLedger } from './ledger-contract.ts'
import { evidence, invalidation, oidOf, policy, seal, ZEROS } from './records.ts'

let folder: string
let bare: string
let opened: GitRepository[]

function git(...args: string[]): string {
  return execFileSync('git', ['--git-dir', bare, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}

async function open(options: { quarantinePath?: string } = {}): Promise<GitLedger> {
  const repository = await openRepository(bare, options)
  opened.push(repository)
  return new GitLedger(repository, seal)
}

function setUp(objectFormat: 'sha1' | 'sha256' = 'sha1'): void {
  folder = mkdtempSync(join(tmpdir(), 'headgate-ledger-'))
  bare = join(folder, 'app.git')
  opened = []
  execFileSync('git', [
    'init',
    '-q',
    '--bare',
    '--initial-branch=main',
    `--object-format=${objectFormat}`,
    bare,
  ])
}

function tearDown(): void {
  for (const repository of opened) repository.close()
  rmSync(folder, { recursive: true, force: true })
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  describeLedger(`git ledger, ${objectFormat}`, async () => {
    setUp(objectFormat)
    return {
      open,
      async close() {
        // Whatever a test did, it left a repository that git calls sound.
        expect(git('fsck', '--strict', '--no-dangling')).toBe('')
        tearDown()
      },
    }
  })
}

describe('git ledger: the ref and its tree', () => {
  beforeEach(() => setUp())
  afterEach(tearDown)
  const a = oidOf('a')

  /** Puts a commit with these changes to the tip's files on the ledger's ref, as somebody with access to the disk can. */
  function tamper(files: Record<string, string | null>): void {
    const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`
    const octal = (character: string) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`
    const quoted = (path: string) => `"${path.replace(/[\x00-\x1f"\\]/g, octal)}"`
    const stream = [
      `commit ${LEDGER_REF}\ncommitter x <x@example.com> 1700000000 +0000\n${data('x')}from ${LEDGER_REF}^0\n`,
      ...Object.entries(files).map(([path, content]) =>
        content === null ? `D ${quoted(path)}\n` : `M 100644 inline ${quoted(path)}\n${data(content)}`,
      ),
    ]
    execFileSync('git', ['--git-dir', bare, 'fast-import', '--quiet', '--force'], { input: stream.join('') })
  }

  function entry(seq: number, kind: string, commit = a): string {
    return `entries/${commit.slice(0, 2)}/${commit.slice(2)}/${String(seq).padStart(8, '0')}-${kind}.json`
  }

  test('one commit a record; the record is a file under the commit that it is about', async () => {
    const ledger = await open()
    const appended = await ledger.append(EMPTY_HEAD, [
      evidence(a),
      policy(1, 'text\n', 'keys\n'),
      invalidation(a),
    ])
    expect(git('rev-list', '--count', LEDGER_REF)).toBe('3')
    expect(git('ls-tree', '-r', '--name-only', LEDGER_REF).split('\n')).toEqual(
      [
        'allowed_signers',
        entry(2, 'policy', ZEROS),
        entry(1, 'evidence'),
        entry(3, 'invalidation'),
        'policies/1/allowed_signers',
        'policies/1/policy.yaml',
        'policy.yaml',
        'state.json',
      ].sort(),
    )
    const records = appended.kind === 'appended' ? appended.records : []
    expect(git('cat-file', 'blob', `${LEDGER_REF}:${entry(1, 'evidence')}`)).toBe(
      records[0]?.bytes.toString(),
    )
    expect(JSON.parse(git('cat-file', 'blob', `${LEDGER_REF}:state.json`)).head).toEqual(appended.head)
    expect(git('for-each-ref', '--format=%(refname)')).toBe(LEDGER_REF)
    expect(readdirSync(bare).filter((name) => name.startsWith('fast_import_crash'))).toEqual([])
  })

  test('git log reads as an audit log', async () => {
    await (await open()).append(EMPTY_HEAD, [evidence(a, 5)])
    const [subject, who, when, ...body] = git(
      'log',
      '--format=%s%n%an <%ae> %cn <%ce>%n%at %ct%n%b',
      LEDGER_REF,
    ).split('\n')
    expect(subject).toBe(`evidence ${a.slice(0, 7)} passed on staging`)
    expect(who).toBe('headgate <headgate@localhost> headgate <headgate@localhost>')
    expect(when).toBe(
      '1769860800 1769860800'.replaceAll('1769860800', String(Date.parse('2026-01-31T12:05:00Z') / 1000)),
    )
    expect(body.slice(0, 2)).toEqual(['seq: 1', 'by: ci@example.com'])
  })

  test('control characters of a statement do not reach the commit message', async () => {
    const hostile = 'fine\u001b[2J\nseq: 99\r\u202egnirts\u0000'
    await (await open()).append(EMPTY_HEAD, [invalidation(a, hostile, `mallory\nby: alice\u001b]0;x\u0007`)])
    const message = git('log', '--format=%B', LEDGER_REF)
    expect(message).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f\u202e]/)
    const lines = message.split('\n')
    expect(lines[0]).toBe(
      `evidence ${a.slice(0, 7)} invalidated: fine\\x1b[2J\\x0aseq: 99\\x0d\\u{202e}gnirts\\x00`,
    )
    expect(lines.filter((line) => line.startsWith('by: '))).toEqual([
      'by: mallory\\x0aby: alice\\x1b]0;x\\x07',
    ])
    expect(lines.filter((line) => line.startsWith('seq: '))).toEqual(['seq: 1'])
  })

  test('it survives gc, pack-refs and 10,000 unrelated refs', async () => {
    const ledger = await open()
    await ledger.append(EMPTY_HEAD, [evidence(a), policy(1, 'text', 'keys')])
    const before = await ledger.snapshot()
    const tip = git('rev-parse', LEDGER_REF)
    const refs = Array.from(
      { length: 10_000 },
      (_, index) => `create refs/heads/topic/${index} ${tip}\n`,
    ).join('')
    execFileSync('git', ['--git-dir', bare, 'update-ref', '--stdin'], { input: refs })
    // A branch whose name git's guessing could take for the ledger.
    git('update-ref', `refs/heads/${LEDGER_REF}`, tip)
    git('gc', '--quiet', '--prune=now')
    git('pack-refs', '--all')
    expect(existsSync(join(bare, LEDGER_REF))).toBe(false)
    expect(await ledger.head()).toEqual(before.head)
    expect((await ledger.append(before.head, [invalidation(a)])).kind).toBe('appended')
    // A snapshot from before the gc reads on.
    expect(await before.about(a)).toHaveLength(1)
    const again = await open()
    expect(await again.about(a)).toHaveLength(2)
    expect(await collect(again.read(1))).toHaveLength(3)
    git('update-ref', '-d', LEDGER_REF)
    expect(await again.head()).toEqual(EMPTY_HEAD)
  })

  test('what the ledger writes never goes into a quarantine', async () => {
    const quarantine = join(bare, 'objects', 'tmp_objdir-incoming-Ab12cD')
    mkdirSync(quarantine)
    const ledger = await open({ quarantinePath: quarantine })
    await ledger.append(EMPTY_HEAD, [evidence(a)])
    expect(readdirSync(quarantine)).toEqual([])
    rmSync(quarantine, { recursive: true })
    expect(await (await open()).about(a)).toHaveLength(1)
  })

  test('writing the ledger starts no hook', async () => {
    for (const path of [join(bare, 'hooks'), join(folder, 'hooks')]) {
      mkdirSync(path, { recursive: true })
      writeFileSync(join(path, 'reference-transaction'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    }
    git('config', 'core.hooksPath', join(folder, 'hooks'))
    expect((await (await open()).append(EMPTY_HEAD, [evidence(a)])).kind).toBe('appended')
  })

  test('an append while somebody holds the lock, or died holding it, says so and writes nothing', async () => {
    const ledger = await open()
    const first = await ledger.append(EMPTY_HEAD, [evidence(a)])
    const lock = join(bare, `${LEDGER_REF}.lock`)
    writeFileSync(lock, '')
    await expect(ledger.append(first.head, [invalidation(a)])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(LEDGER_REF),
      hint: expect.stringContaining(lock),
    })
    expect(await ledger.head()).toEqual(first.head)
    rmSync(lock)
    expect((await ledger.append(first.head, [invalidation(a)])).kind).toBe('appended')
  })

  test('without the key that seals, the ledger can be read and not written', async () => {
    const { head } = await (await open()).append(EMPTY_HEAD, [evidence(a)])
    const reader = new GitLedger(await openRepository(bare))
    expect(await reader.head()).toEqual(head)
    expect(await reader.about(a)).toHaveLength(1)
    await expect(reader.append(head, [evidence(a)])).rejects.toMatchObject({ code: 'configuration' })
  })

  test('a copy of the ledger under another name can be read', async () => {
    const { head } = await (await open()).append(EMPTY_HEAD, [evidence(a)])
    git('update-ref', 'refs/headgate/remotes/origin', LEDGER_REF)
    git('update-ref', '-d', LEDGER_REF)
    const copy = new GitLedger(await openRepository(bare), undefined, { ref: 'refs/headgate/remotes/origin' })
    expect(await copy.head()).toEqual(head)
    expect(await collect(copy.read(1))).toHaveLength(1)
  })

  describe('a ledger that somebody wrote over', () => {
    let head: { seq: number; hash: string }
    let state: string
    beforeEach(async () => {
      const ledger = await open()
      head = (await ledger.append(EMPTY_HEAD, [evidence(a), policy(1, 'text', 'keys'), invalidation(a)])).head
      state = `${git('cat-file', 'blob', `${LEDGER_REF}:state.json`)}\n`
    })

    test.each<[string, (good: string) => string | null, RegExp]>([
      ['no state.json', () => null, /tip [0-9a-f]{7} has no state\.json/],
      ['a state.json that is not JSON', () => 'garbage', /state\.json: is not JSON/],
      ['a state.json of another shape', () => '{"head":{}}', /state\.json: is malformed: head\.seq/],
      [
        'a state.json with a field too many',
        (good) => good.replace('{"head"', '{"a":1,"head"'),
        /state\.json: is malformed/,
      ],
      [
        'a state.json with a field too many inside',
        (good) => good.replace('"state":{', '"state":{"a":1,'),
        /not as headgate writes it/,
      ],
      [
        'a state.json in another order',
        (good) => good.replace(/^\{("head":\{.*?\}),(.*)\}\n$/, '{$2,$1}\n'),
        /not as headgate writes it/,
      ],
      [
        'a state.json with a repeated key',
        (good) => good.replace('{"head"', '{"head":1,"head"'),
        /not as headgate writes it/,
      ],
      ['a state.json without its line break', (good) => good.trim(), /not as headgate writes it/],
      ['an enormous state.json', () => ' '.repeat(9 * 1024 * 1024), /state\.json: .*9437184 bytes/],
    ])('%s is an error that says so', async (_, change, message) => {
      tamper({ 'state.json': change(state) })
      const ledger = await open()
      await expect(ledger.head()).rejects.toMatchObject({
        code: 'data',
        message: expect.stringMatching(message),
      })
      await expect(ledger.append(head, [evidence(a)])).rejects.toMatchObject({ code: 'data' })
    })

    test.each<[string, string, (good: string) => string, RegExp]>([
      ['that is garbage', entry(3, 'invalidation'), () => 'garbage\u001b[31m', /not JSON/],
      ['that is not in canonical form', entry(3, 'invalidation'), (good) => `${good}\n`, /canonical/],
      [
        'with a field too many',
        entry(3, 'invalidation'),
        (good) => good.replace('{', '{"a":1,'),
        /malformed/,
      ],
      ['that belongs elsewhere', entry(4, 'invalidation'), (good) => good, /belongs in entries\//],
      ['of another kind', entry(3, 'evidence'), (good) => good, /belongs in entries\//],
      ['with a name of its own', entry(3, 'x\u001b[31m'), (good) => good, /belongs in entries\//],
      ['that is enormous', entry(3, 'invalidation'), () => 'x'.repeat(1024 * 1024 + 1), /1048577 bytes/],
    ])('a record %s is an error that names its file', async (_, path, change, message) => {
      const good = git('cat-file', 'blob', `${LEDGER_REF}:${entry(3, 'invalidation')}`)
      tamper({ [path]: change(good) })
      const failure: Error = await (await open()).about(a).then(
        () => expect.unreachable(),
        (error) => error,
      )
      expect(failure).toMatchObject({ code: 'data', message: expect.stringMatching(message) })
      expect(failure.message).toContain("the ledger's file entries/")
      expect(failure.message).not.toContain('\u001b')
    })

    test('a record beyond the head is an error', async () => {
      const ledger = await open()
      await ledger.append(head, [invalidation(a)])
      tamper({ 'state.json': state })
      await expect((await open()).about(a)).rejects.toMatchObject({
        message: expect.stringContaining('beyond the head, 3'),
      })
    })

    test('reading the log stops at a record that is missing, and names it', async () => {
      tamper({ 'state.json': state.replace('"seq":3}', '"seq":4}') })
      await expect(collect((await open()).read(1))).rejects.toMatchObject({
        code: 'data',
        message: expect.stringMatching(/commit [0-9a-f]{7} does not add exactly one record/),
      })
    })

    test('reading the log stops at a record that is not the next one, and names it', async () => {
      const [root = ''] = git('rev-list', '--reverse', LEDGER_REF).split('\n')
      const good = git('cat-file', 'blob', `${LEDGER_REF}:${entry(3, 'invalidation')}`)
      const files = { 'state.json': state }
      git('update-ref', LEDGER_REF, root)
      tamper({ ...files, [entry(3, 'invalidation')]: good })
      await expect(collect((await open()).read(1))).rejects.toMatchObject({
        code: 'data',
        message: expect.stringContaining('record 3 stands where record 2 belongs'),
      })
      await expect(collect((await open()).read(2))).rejects.toMatchObject({
        message: expect.stringContaining('record 1 stands'),
      })
    })

    test('a commit that takes a record away or changes one is an error to who reads the log', async () => {
      const tip = git('rev-parse', LEDGER_REF)
      for (const change of [null, 'changed']) {
        git('update-ref', LEDGER_REF, tip)
        tamper({ 'state.json': state, [entry(1, 'evidence')]: change })
        await expect(collect((await open()).read(3))).rejects.toMatchObject({
          message: expect.stringContaining('does not add exactly one record'),
        })
      }
    })

    test('a policy that the state names and the tree lacks is an error', async () => {
      tamper({ 'policy.yaml': null, 'policies/1/allowed_signers': null })
      const snapshot = await (await open()).snapshot()
      await expect(snapshot.policyInForce()).rejects.toMatchObject({ code: 'data' })
      await expect(snapshot.policyVersion(1)).rejects.toMatchObject({ code: 'data' })
    })

    test('an object that git lost is an error and never "no records"', async () => {
      const tree = git('rev-parse', `${LEDGER_REF}:entries/${a.slice(0, 2)}`)
      rmSync(join(bare, 'objects', tree.slice(0, 2), tree.slice(2)))
      await expect((await open()).about(a)).rejects.toMatchObject({
        code: 'data',
        message: expect.stringContaining('missing or corrupt'),
      })
    })

    test('a ledger ref that is a blob, a tag of the ledger, or a symbolic ref, is an error', async () => {
      const blob = git('rev-parse', `${LEDGER_REF}:state.json`)
      git('tag', '-a', '-m', 'x', 'of-the-ledger', LEDGER_REF)
      for (const [type, oid] of Object.entries({ blob, tag: git('rev-parse', 'refs/tags/of-the-ledger') })) {
        git('update-ref', LEDGER_REF, oid)
        await expect((await open()).head()).rejects.toMatchObject({
          code: 'data',
          message: `the ledger's tip ${oid.slice(0, 7)} is a ${type} object and no commit`,
        })
      }
      git('symbolic-ref', LEDGER_REF, 'refs/heads/main')
      await expect((await open()).head()).rejects.toMatchObject({
        code: 'data',
        message: expect.stringContaining('symbolic'),
      })
    })
  })
})
