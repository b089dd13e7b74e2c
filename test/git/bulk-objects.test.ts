import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { GitRepository } from '../../src/git/repository.ts'
import { openRepository } from '../open-repository.ts'

let folder: string
let repository: GitRepository
const oids: string[] = []
const texts = Array.from({ length: 400 }, (_, index) => `${index}\n`.repeat(1 + ((index * 37) % 900)))

function store(text: string): string {
  const options = { encoding: 'utf8', input: text } as const
  return execFileSync('git', ['--git-dir', folder, 'hash-object', '-w', '--stdin'], options).trim()
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-bulk-'))
  execFileSync('git', ['init', '-q', '--bare', folder])
  const paths = texts.map((text, index) => {
    const path = join(folder, `text-${index}`)
    writeFileSync(path, text)
    return path
  })
  const options = { encoding: 'utf8', input: paths.join('\n') } as const
  const stored = execFileSync('git', ['--git-dir', folder, 'hash-object', '-w', '--stdin-paths'], options)
  oids.push(...stored.trim().split('\n'))
  repository = await openRepository(folder)
}, 60_000)
afterAll(() => {
  repository.close()
  rmSync(folder, { recursive: true, force: true })
})

async function read(wanted: readonly string[], { maxBytes = 100_000, each = 50 } = {}): Promise<string[]> {
  const some = async function* () {
    for (let at = 0; at < wanted.length; at += each) yield wanted.slice(at, at + each)
  }
  const found: string[] = []
  for await (const { body } of repository.readInOrder(some(), maxBytes)) found.push(body.toString())
  return found
}

test('all objects in the order of their ids, however they are asked for', async () => {
  expect(await read(oids)).toEqual(texts)
  expect(await read([...oids].reverse(), { each: 1 })).toEqual([...texts].reverse())
  expect(await read([])).toEqual([])
  expect(await read([oids[3]!, oids[3]!])).toEqual([texts[3], texts[3]])
})

test('it ends before an object that is missing, larger than wanted, or damaged', async () => {
  expect(await read([...oids.slice(0, 100), 'f'.repeat(40), ...oids.slice(100)])).toEqual(texts.slice(0, 100))
  const large = store('x'.repeat(200_000))
  expect(await read([...oids.slice(0, 70), large, ...oids.slice(70)])).toEqual(texts.slice(0, 70))
  expect((await read([large], { maxBytes: 200_000 }))[0]).toHaveLength(200_000)

  const damaged = store('to be damaged\n')
  const path = join(folder, 'objects', damaged.slice(0, 2), damaged.slice(2))
  rmSync(path)
  writeFileSync(path, 'no object')
  const before = await read([...oids.slice(0, 30), damaged, ...oids]).catch(() => 'an error')
  expect([texts.slice(0, 30), 'an error']).toContainEqual(before)
})

test('a reader slower than git holds it up, and nothing piles up', { timeout: 60_000 }, async () => {
  const warnings: string[] = []
  const note = (warning: Error) => warnings.push(warning.message)
  process.on('warning', note)
  let asked = 0
  const many = async function* () {
    for (let round = 0; round < 60; round++) {
      asked += oids.length
      yield oids
    }
  }
  let read = 0
  let most = 0
  for await (const _ of repository.readInOrder(many(), 100_000)) {
    read += 1
    most = Math.max(most, asked - read)
    if (read % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  process.off('warning', note)
  expect(read).toBe(60 * oids.length)
  // What the pipes hold.
  expect(most).toBeLessThan(20_000)
  expect(warnings).toEqual([])
})

test('who reads no further ends git, and what goes wrong with the ids is told', async () => {
  let asked = 0
  const endless = async function* () {
    for (;;) {
      asked += 1
      yield oids
    }
  }
  for await (const { oid } of repository.readInOrder(endless(), 100_000)) if (oid === oids[2]) break
  const then = asked
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(asked).toBeLessThanOrEqual(then + 1)

  const failing = async function* () {
    yield oids.slice(0, 5)
    throw new Error('no more ids')
  }
  await expect(
    (async () => {
      for await (const _ of repository.readInOrder(failing(), 100_000));
    })(),
  ).rejects.toThrow('no more ids')
})
