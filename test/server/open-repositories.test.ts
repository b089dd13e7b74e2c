/** Which repositories stay open, and when one is opened anew. */
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GuardedRepository, viewServer } from '../../server/guarded-repository.ts'
import { OpenRepositories } from '../../server/service/open-repositories.ts'
import type { ObjectReader } from '../../src/git/object-reader.ts'
import { TestRepository } from '../make-repository.ts'

let repository: TestRepository
let paths: string[]
let now: number
let open: OpenRepositories

beforeEach(() => {
  repository = new TestRepository()
  paths = ['a', 'b', 'c'].map((name) => {
    const path = join(repository.folder, `${name}.git`)
    cpSync(repository.bare, path, { recursive: true, verbatimSymlinks: true })
    return path
  })
  now = 0
  open = new OpenRepositories(2, () => now)
})
afterEach(() => {
  open.retireAll()
  repository.remove()
})

const readers = new WeakMap<GuardedRepository, ObjectReader>()

/** The same object as long as it stays open. */
const opened = (index: number): Promise<GuardedRepository> =>
  open.use(paths[index]!, async (guarded) => {
    await viewServer(guarded)
    readers.set(guarded, guarded.repository.objects())
    return guarded
  })

/** Whether what read its objects has ended. */
async function isClosed(guarded: GuardedRepository): Promise<boolean> {
  try {
    await readers.get(guarded)!.info(repository.git('rev-parse', 'main'))
    return false
  } catch (error) {
    expect((error as Error).message).toBe('the object reader is closed')
    return true
  }
}

test('it opens what is asked for, and keeps what was asked last', async () => {
  expect(open.size).toBe(0)
  const [a, b] = [await opened(0), await opened(1)]
  expect(await opened(0)).toBe(a)
  await opened(2)
  expect(open.size).toBe(2)
  expect(await opened(0)).toBe(a)
  expect(await opened(1)).not.toBe(b)
  expect([await isClosed(a), await isClosed(b)]).toEqual([false, true])
})

test('what is in use stays open beyond the limit, and is closed afterwards', async () => {
  const together = Promise.withResolvers<void>()
  const working = paths.map((path) =>
    open.use(path, async (guarded) => {
      await together.promise
      await viewServer(guarded)
    }),
  )
  expect(open.size).toBe(3)
  together.resolve()
  await Promise.all(working)
  expect(open.size).toBe(2)
})

test('what nobody used for a while is closed', async () => {
  await opened(0)
  now = 60
  const b = await opened(1)
  open.closeIdle(50)
  expect(open.size).toBe(1)
  expect(await opened(1)).toBe(b)
  now = 200
  await open.use(paths[1]!, async () => open.closeIdle(50))
  expect(open.size).toBe(1)
})

test('a repository is opened anew once it is another one, and who is at work hears of it', async () => {
  const path = paths[0]!
  const before = await opened(0)
  const after = await open.use(path, async (guarded, isCurrent) => {
    expect(isCurrent()).toBe(true)
    renameSync(path, `${path}.old`)
    renameSync(paths[1]!, path)
    expect(isCurrent()).toBe(false)
    const other = await opened(0)
    expect(guarded).toBe(before)
    expect(await isClosed(before)).toBe(false)
    return other
  })
  expect(after).not.toBe(before)
  expect(await isClosed(before)).toBe(true)
  expect(await opened(0)).toBe(after)
})

test('another key or other settings are noticed', async () => {
  const before = await opened(0)
  rmSync(join(paths[0]!, 'headgate', 'seal-key.pem'))
  repository.mustRun(repository.headgate('server', 'install', paths[0]!, '--identity', 'env:OTHER'))
  const after = await opened(0)
  expect(after.settings.identity).toBe('env:OTHER')
  expect(after.sealKey.publicKeyLine).not.toBe(before.sealKey.publicKeyLine)
})

test('what cannot be opened is tried again', async () => {
  const settings = join(paths[0]!, 'headgate', 'server.json')
  renameSync(settings, `${settings}.aside`)
  await expect(opened(0)).rejects.toThrow('has no readable headgate/server.json')
  expect(open.size).toBe(0)
  renameSync(`${settings}.aside`, settings)
  await opened(0)
})
