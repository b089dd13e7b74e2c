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

/** Runs a process that moves a ref and, once it holds the lock, does `next`. */
function endWithLock(next: string): void {
  mkdirSync(join(folder, 'refs', 'heads'), { recursive: true })
  const lock = join(folder, 'refs', 'heads', 'x.lock')
  const code = `
    import { existsSync } from 'node:fs'
    import { moveRefFile } from ${JSON.stringify(join(SOURCES, 'ref-lock.ts'))}
    moveRefFile(${JSON.stringify(folder)}, 'refs/heads/x', null, 'a'.repeat(40))
    for (let turn = 0; turn < 20; turn++) await null
    console.log(existsSync(${JSON.stringify(lock)}))
    ${next}`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
  expect(ran.stderr).toBe('')
  expect(ran.stdout).toBe('true\n')
  expect(existsSync(lock)).toBe(false)
}

test('a process that ends while the disk syncs leaves no lock', () => {
  endWithLock('process.exit()')
  expect(readdirSync(join(folder, 'refs', 'heads'))).toEqual([])
})

test.for(['SIGINT', 'SIGTERM', 'SIGHUP'])('neither does one that gets %s then', (signal) => {
  endWithLock(`process.kill(process.pid, '${signal}')`)
})
