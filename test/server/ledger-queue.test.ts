/** Those who append to one ledger: served in turn, told while they wait, and in nobody's way when they die. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { findFlock, LedgerQueue } from '../../server/ledger-queue.ts'
import { pushAtOnce } from '../at-once.ts'
import { TestRepository } from '../make-repository.ts'
import { expectSoundLedger, ledgerRecords } from './attack.ts'
import { RunningService } from './running-service.ts'

const MODULE = join(import.meta.dirname, '..', '..', 'server', 'ledger-queue.ts')
const MINUTE = 60_000
const without = findFlock() === undefined
const where = without ? 'the queue (skipped: no flock(1) here)' : 'the queue'

function makeFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'key')
  writeFileSync(file, 'key\n')
  return file
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** A process that takes its turn, says so, and keeps it until its input ends. */
function taker(file: string, said: (word: string) => void, umask = '022'): ChildProcess {
  const code = `
    import { LedgerQueue } from ${JSON.stringify(MODULE)}
    console.log('asks')
    const turn = await new LedgerQueue(${JSON.stringify(file)}).take(${MINUTE})
    console.log('has')
    for await (const _ of process.stdin) {}
    turn.end()`
  const program = [process.execPath, '--input-type=module', '-e', code]
  const child = spawn('/bin/sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdout?.on('data', (part: Buffer) => {
    for (const word of part.toString().split('\n').filter(Boolean)) said(word)
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 2400 && !isSo(); i++) await pause(25)
  expect(isSo()).toBe(true)
}

/** Whether somebody waits in the kernel's list of locks for this file. */
function waiting(file: string): number {
  const { ino } = statSync(file)
  return readFileSync('/proc/locks', 'latin1')
    .split('\n')
    .filter((line) => line.includes('-> FLOCK') && line.includes(`:${ino} `)).length
}

describe.skipIf(without)(where, () => {
  test('serves processes in the order in which they ask, whatever their umask', async () => {
    const file = makeFile()
    chmodSync(file, 0o440)
    const turn = await new LedgerQueue(file).take(MINUTE)
    const served: number[] = []
    const children = []
    for (let index = 0; index < 8; index++) {
      const child = taker(
        file,
        (word) => {
          if (word !== 'has') return
          served.push(index)
          child.stdin?.end()
        },
        index % 2 === 0 ? '077' : '002',
      )
      children.push(child)
      await until(() => waiting(file) === index + 1)
    }
    turn?.end()
    await until(() => served.length === 8)
    expect(served).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(statSync(file).mode & 0o777).toBe(0o440)
  })

  test('the turn of a process that is killed is the next one’s', async () => {
    const file = makeFile()
    const words: string[] = []
    const holder = taker(file, (word) => words.push(word))
    await until(() => words.includes('has'))
    // And one that dies while it waits is nobody's turn.
    const waiter = taker(file, () => {})
    await until(() => waiting(file) === 1)
    waiter.kill('SIGKILL')
    const next = new LedgerQueue(file).take(MINUTE)
    await until(() => waiting(file) === 2)
    holder.kill('SIGKILL')
    const turn = await next
    expect(turn).not.toBeNull()
    turn?.end()
  })

  test('in one process it serves in order, and who waits too long leaves without being in the way', async () => {
    const file = makeFile()
    const queue = new LedgerQueue(file)
    const first = await queue.take(MINUTE)
    const [second, third, fourth] = [queue.take(50), queue.take(MINUTE), queue.take(MINUTE)]
    expect(await second).toBeNull()
    expect(await new LedgerQueue(file).take(50)).toBeNull()
    const served: string[] = []
    const serve = async (name: string, asked: typeof third) => {
      const turn = await asked
      served.push(name)
      turn?.end()
    }
    const watched = [serve('third', third), serve('fourth', fourth)]
    first?.end()
    await Promise.all(watched)
    expect(served).toEqual(['third', 'fourth'])
  })

  test('where the file cannot be opened nobody waits for ever', async () => {
    const queue = new LedgerQueue('/nonexistent/folder/key')
    const turn = await queue.take(MINUTE)
    turn?.end()
    expect(await queue.take(MINUTE)).not.toBeNull()
  })
})

describe.skipIf(without).each(['embedded', 'through the service'])(`${where}, %s`, (way) => {
  let repository: TestRepository
  let service: RunningService | undefined
  afterEach(async () => {
    await service?.stop()
    service = undefined
    repository.remove()
  })
  const make = async () => {
    repository = new TestRepository()
    repository.release('first')
    if (way !== 'embedded') service = await RunningService.start([repository.bare])
    return new LedgerQueue(join(repository.bare, 'headgate', 'seal-key.pem'))
  }

  test('a pusher who waits for the ledger is told after two seconds, and served then', async () => {
    const queue = await make()
    const second = repository.commit('second')
    repository.mustRun(repository.push('main'))
    const before = ledgerRecords(repository).length
    const turn = await queue.take(MINUTE)
    const evidence = repository.sign(repository.evidencePayload(second), 'ci', 'headgate-evidence')
    let ended = false
    const pushed = pushAtOnce(repository, repository.inboxRefspec(evidence), 'ci')
    pushed.then(() => {
      ended = true
    })
    await pause(4_000)
    expect(ended).toBe(false)
    expect(ledgerRecords(repository).length).toBe(before)
    turn?.end()
    const { code, all } = await pushed
    expect(code, all).toBe(0)
    expect(all).toContain(
      'remote: headgate: waiting, at most a minute: others write to the ledger, and are served in turn',
    )
    expect(ledgerRecords(repository).length).toBe(before + 1)
    expectSoundLedger(repository)
  })

  test('who has nothing to write does not wait: what is refused, main, other branches', async () => {
    const queue = await make()
    const second = repository.commit('second')
    const turn = await queue.take(MINUTE)
    try {
      repository.mustRun(repository.push('main'))
      repository.mustRun(repository.push(`${second}:refs/heads/topic`))
      const { code, all } = repository.push(`${second}:refs/heads/release`)
      expect(code).toBe(1)
      expect(all).toContain('[evidence]')
      expect(all).not.toContain('waiting')
    } finally {
      turn?.end()
    }
  })
})
