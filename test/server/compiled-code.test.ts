import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { runCompiled } from '../../server/compiled-code.ts'
import { PROGRAM, TestRepository } from '../make-repository.ts'

const load = createRequire(import.meta.url)
let folder: string
let program: string
let cache: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-test-'))
  program = join(folder, 'program.cjs')
  cache = join(folder, 'cache')
  file = join(cache, 'code')
  writeFileSync(program, source('one'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const source = (word: string) =>
  `const path = require('node:path')\nexports.say = () => path.join('a', '${word}')\nexports.where = [__filename, __dirname]\n`
const run = () => runCompiled<{ say(): string; where: string[] }>(program, cache, load)
const header = () => readFileSync(file, 'latin1').split('\n', 1)[0] ?? ''
const kinds = () => header().split(' ').at(-1)

test('a program runs as it would by itself, and what is compiled of it is kept for each kind of run', () => {
  const first = run()
  expect(first.exports.say()).toBe('a/one')
  expect(first.exports.where).toEqual([program, folder])
  first.keep('push')
  expect(kinds()).toBe('push')
  const kept = statSync(file).ino

  const second = run()
  expect(second.exports.say()).toBe('a/one')
  second.keep('push')
  expect(statSync(file).ino).toBe(kept)
  second.keep('move')
  expect(kinds()).toBe('push,move')
  expect(readdirSync(cache)).toEqual(['code'])
})

test('another program of the same length is never taken for this one', () => {
  run().keep('push')
  const before = header()
  const { identity } = run()
  writeFileSync(program, source('two'))
  const other = run()
  expect(other.exports.say()).toBe('a/two')
  expect(other.identity).not.toBe(identity)
  other.keep('push')
  expect(header()).not.toBe(before)
})

test('what a crash has torn, and what another V8 has made, is compiled again', () => {
  run().keep('push')
  const whole = readFileSync(file)
  const start = whole.indexOf('\n') + 1
  const junk = Buffer.from('no code at all')
  const [form, version, identity] = header().split(' ')
  const flipped = Buffer.from(whole)
  flipped[start + 100]! ^= 1
  const broken = {
    empty: Buffer.alloc(0),
    'cut in its header': whole.subarray(0, 20),
    'only a header': whole.subarray(0, start),
    'cut short': whole.subarray(0, -1),
    'with a bit flipped': flipped,
    'without an end of its header': Buffer.alloc(5000, 0x20),
    'of another V8': Buffer.concat([
      Buffer.from(`${form} ${version} ${identity} ${crc32(junk).toString(16).padStart(8, '0')} push\n`),
      junk,
    ]),
  }
  for (const [what, bytes] of Object.entries(broken)) {
    writeFileSync(file, bytes)
    const again = run()
    expect(again.exports.say(), what).toBe('a/one')
    again.keep('push')
    expect(header().slice(0, 40), what).toBe(whole.toString('latin1', 0, 40))
  }
})

test('without a folder nothing is kept, wherever the process is', () => {
  const before = process.cwd()
  process.chdir(folder)
  try {
    const { exports, keep } = runCompiled<{ say(): string }>(program, undefined, load)
    expect(exports.say()).toBe('a/one')
    keep('push')
    expect(readdirSync(folder)).toEqual(['program.cjs'])
  } finally {
    process.chdir(before)
  }
})

test('a repository that was removed meanwhile does not come back', () => {
  const gone = join(folder, 'app.git', 'headgate', 'cache')
  runCompiled(program, gone, load).keep('push')
  expect(readdirSync(folder)).toEqual(['program.cjs'])
})

test('where nothing can be kept, the program runs all the same', () => {
  writeFileSync(cache, 'a file where the folder would be')
  run().keep('push')
  expect(run().exports.say()).toBe('a/one')
  rmSync(cache)
  mkdirSync(file, { recursive: true })
  run().keep('push')
  expect(run().exports.say()).toBe('a/one')
  expect(readdirSync(cache)).toEqual(['code'])
})

test('hooks keep what they compiled, go on without it, and tell where the program is gone', async () => {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  const code = join(repository.bare, 'headgate', 'cache', 'code')
  const kept = async (kind: string, isNew: (bytes: Buffer) => boolean = () => true): Promise<Buffer> => {
    for (let i = 0; i < 600; i++) {
      // The hook answers first.
      const bytes = existsSync(code) ? readFileSync(code) : Buffer.alloc(0)
      const [header = ''] = bytes.toString('latin1').split('\n', 1)
      if (header.split(/[ ,]/).includes(kind) && isNew(bytes)) return bytes
      await new Promise((done) => setTimeout(done, 50))
    }
    throw new Error(`no code of ${kind} was kept`)
  }
  repository.release('first release')
  repository.release('second release')
  const whole = await kept('pre-receive-branch-yes-move')

  const torn = whole.subarray(0, -1000)
  writeFileSync(code, torn)
  repository.release('third release')
  await kept('pre-receive-branch-yes-move', (bytes) => !bytes.subarray(0, torn.length).equals(torn))

  const moved = join(repository.folder, 'moved')
  mkdirSync(moved)
  writeFileSync(join(moved, 'hook.cjs'), readFileSync(join(dirname(PROGRAM), 'hook.cjs')))
  const hook = join(repository.bare, 'hooks', 'pre-receive')
  const text = readFileSync(hook, 'utf8')
  writeFileSync(hook, text.replace(/APP='[^']*'/, `APP='${join(moved, 'hook.cjs')}'`))
  const commit = repository.commit('fourth release')
  const refused = repository.push(`${commit}:refs/heads/release`)
  expect(refused.code).toBe(1)
  expect(refused.all).toMatch(/decide-hook\.cjs cannot run: ENOENT.*\n.*headgate server install/)
  repository.mustRun(repository.push(`${commit}:refs/heads/topic`))
})
