/** What is begun on disk and not needed, or not finished: nothing of it stays. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { SpareFiles } from '../../src/git/spare-files.ts'
import { TestRepository } from '../make-repository.ts'

const SOURCES = join(import.meta.dirname, '..', '..', 'src', 'git')

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('files that are still being made when they are given back are removed, too', async () => {
  const spare = new SpareFiles(folder, 7)
  spare.fill()
  await spare.close()
  expect(readdirSync(folder)).toEqual([])
})

test('files that cannot be removed end nobody', async () => {
  const objects = join(folder, 'objects')
  mkdirSync(objects)
  const spare = new SpareFiles(objects, 2)
  spare.fill()
  while (readdirSync(objects).length < 2) await new Promise((done) => setTimeout(done, 1))
  await new Promise((done) => setTimeout(done, 20))
  rmSync(objects, { recursive: true })
  writeFileSync(objects, 'a file in its place')
  await spare.close()
})

test('a hook that refuses leaves no file behind', async () => {
  const repository = new TestRepository()
  onTestFinished(() => repository.remove())
  repository.release('first release')
  const commit = repository.commit('unproved')
  repository.mustRun(repository.push('main'))
  for (let i = 0; i < 3; i++) expect(repository.push(`${commit}:refs/heads/release`).code).toBe(1)
  const left = () =>
    readdirSync(join(repository.bare, 'objects')).filter((name) => name.startsWith('tmp_obj_'))
  // The hook answers first, and tidies up after that.
  for (let i = 0; i < 200 && left().length > 0; i++) await new Promise((done) => setTimeout(done, 25))
  expect(left()).toEqual([])
})

const LOCK = () => join(folder, 'refs', 'heads', 'x.lock')

/** Runs a process that moves a ref: `before` it, and `next` once it holds the lock. */
function moveAndThen(next: string, { before = '', within = [] as readonly string[] } = {}) {
  mkdirSync(join(folder, 'refs', 'heads'), { recursive: true })
  const code = `
    import fs, { existsSync } from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    import { moveRefFile } from ${JSON.stringify(join(SOURCES, 'ref-lock.ts'))}
    ${before}
    moveRefFile(${JSON.stringify(folder)}, 'refs/heads/x', null, 'a'.repeat(40))
    for (let turn = 0; turn < 20; turn++) await null
    console.log(existsSync(${JSON.stringify(LOCK())}))
    ${next}
    setTimeout(() => console.log('lives on'), 500)`
  const [program = '', ...args] = [...within, process.execPath, '--input-type=module', '-e', code]
  const ran = spawnSync(program, args, { encoding: 'utf8' })
  expect(ran.stderr).toBe('')
  expect(ran.stdout).toBe('true\n')
  expect(existsSync(LOCK())).toBe(false)
  return ran
}

test('a process that ends while the disk syncs leaves no lock', () => {
  moveAndThen('process.exit()')
  expect(readdirSync(join(folder, 'refs', 'heads'))).toEqual([])
})

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

test.for(SIGNALS)('neither does one that gets %s then, and that ends it', (name) => {
  expect(moveAndThen(`process.kill(process.pid, '${name}')`).signal).toBe(name)
})

test.for(SIGNALS)('%s is not lost when it comes while the lock is given back', (name) => {
  const before = `
    const { renameSync } = fs
    fs.renameSync = (...names) => (process.kill(process.pid, '${name}'), renameSync(...names))
    syncBuiltinESMExports()`
  expect(moveAndThen('', { before }).signal).toBe(name)
  expect(readdirSync(join(folder, 'refs', 'heads'))).toEqual(['x'])
})

test('who listens by itself decides alone: the move goes on', () => {
  const before = "process.on('SIGTERM', () => setTimeout(() => process.exit(3), 200))"
  expect(moveAndThen("process.kill(process.pid, 'SIGTERM')", { before }).status).toBe(3)
  expect(readdirSync(join(folder, 'refs', 'heads'))).toEqual(['x'])
})

const CONTAINED = ['unshare', '--pid', '--fork', '--mount-proc']
const cannotContain = spawnSync(CONTAINED[0] ?? '', [...CONTAINED.slice(1), 'true']).status !== 0

test.skipIf(cannotContain)(
  'the first process of a container ends, too (needs util-linux and the right to unshare)',
  () => {
    const ran = moveAndThen("process.kill(process.pid, 'SIGTERM')", { within: CONTAINED })
    expect(ran.status).toBe(143)
  },
)
