/** The git ledger under several processes, and under processes that die. */

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LEDGER_REF } from '../../src/core/refs.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import { EMPTY_HEAD, type LedgerRecord } from '../../src/ledger/ledger.ts'
import { openRepository } from '../open-repository.ts'
import { collect } from './ledger-contract.ts'
import { evidence, oidOf, seal } from './records.ts'

const PROGRAM = join(import.meta.dirname, 'append-records.ts')

let folder: string
let bare: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-ledger-'))
  bare = join(folder, 'app.git')
  execFileSync('git', ['init', '-q', '--bare', bare])
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Starts an appender in a process group with all the git processes that it starts. */
function startAppender(name: string, count: number) {
  const child = spawn(process.execPath, [PROGRAM, bare, name, String(count)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  const ready = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.startsWith('ready\n')) resolve()
    })
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  /** Numbers that were answered for. A line that breaks off was not. */
  const acknowledged = () => [...output.matchAll(/^(\d+)\n/gm)].map((match) => Number(match[1]))
  return { pid: child.pid!, ready, ended, acknowledged }
}

async function wholeChain(): Promise<LedgerRecord[]> {
  const repository = await openRepository(bare)
  const ledger = new GitLedger(repository, seal)
  const records = await collect(ledger.read(1))
  let previous = EMPTY_HEAD
  for (const record of records) {
    expect(record).toMatchObject({ seq: previous.seq + 1, previous: previous.hash })
    previous = { seq: record.seq, hash: record.hash }
  }
  expect(await ledger.head()).toEqual(previous)
  repository.close()
  return records
}

function git(...args: string[]): string {
  return execFileSync('git', ['--git-dir', bare, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}

test('two processes that append 25 records each lose nothing', async () => {
  const [one, two] = [startAppender('one', 25), startAppender('two', 25)]
  expect(await Promise.all([one.ended, two.ended])).toEqual([0, 0])
  const records = await wholeChain()
  expect(records).toHaveLength(50)
  const numbers = [...one.acknowledged(), ...two.acknowledged()].sort((a, b) => a - b)
  expect(numbers).toEqual(records.map(({ seq }) => seq))
  const commits = ['one', 'two'].flatMap((name) =>
    Array.from({ length: 25 }, (_, index) => oidOf(`${name} ${index}`)),
  )
  expect(new Set(records.map(({ statement }) => statement.commit))).toEqual(new Set(commits))
  expect(git('rev-list', '--count', LEDGER_REF)).toBe('50')
  expect(git('rev-list', '--merges', LEDGER_REF)).toBe('')
  expect(git('fsck', '--strict', '--no-dangling', '--connectivity-only')).not.toContain('missing')
})

test('kill -9 at any moment leaves the old head or the new one, and everything that was answered for', async () => {
  let stored = 0
  for (let round = 0; round < 20; round++) {
    const appender = startAppender(`round ${round}`, 1000)
    await appender.ready
    // Early and in mid-stream, however fast the machine appends.
    for (let waited = 0; appender.acknowledged().length < round % 3 && waited < 2000; waited++)
      await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 120))
    process.kill(-appender.pid, 'SIGKILL')
    await appender.ended
    const answered = appender.acknowledged().length
    const lock = join(bare, `${LEDGER_REF}.lock`)
    // The one thing that git leaves to people: its lock, if it died holding it.
    if (existsSync(lock)) rmSync(lock)
    const now = (await wholeChain()).length
    expect(now - stored).toBeGreaterThanOrEqual(answered)
    expect(now - stored).toBeLessThanOrEqual(answered + 1)
    stored = now
    const repository = await openRepository(bare)
    const ledger = new GitLedger(repository, seal)
    expect((await ledger.append(await ledger.head(), [evidence(oidOf(`after ${round}`))])).kind).toBe(
      'appended',
    )
    repository.close()
    stored += 1
  }
  expect(stored).toBeGreaterThan(20)
  // What a dead process left is not reachable; the rest is sound.
  expect(git('fsck', '--strict', '--no-dangling')).toBe('')
  git('gc', '--quiet', '--prune=now')
  expect(await wholeChain()).toHaveLength(stored)
  expect(readdirSync(join(bare, 'objects', 'pack')).filter((name) => name.endsWith('.pack'))).toHaveLength(1)
})
