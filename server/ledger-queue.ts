/**
 * Whoever appends waits for its turn here, so that nobody decides on a head that somebody else is about to move.
 *
 * The turn is a flock(2) on the seal key: whoever can append can read that file, and nobody else, whatever account, group
 * and umask. The kernel queues those who wait and frees the lock of whoever dies. Node cannot take one, so flock(1) takes it
 * on a file that this process has opened: it is this one's until it closes the file, or is gone.
 *
 * What the ledger is does not depend on it: an append compares and swaps. Where there is no flock(1), processes meet there.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { elapsedMs } from '../src/git/elapsed.ts'

const FLOCK = ['/usr/bin/flock', '/bin/flock', '/usr/local/bin/flock', '/run/current-system/sw/bin/flock']

/** The flock(1) of this machine; undefined where there is none. */
export function findFlock(): string | undefined {
  return FLOCK.find((path) => existsSync(path))
}

export type Turn = { end(): void }

const NOTHING: Turn = { end: () => {} }

export class LedgerQueue {
  readonly #file: string
  /** The end of the last turn that was asked for in this process. */
  #last: Promise<void> = Promise.resolve()

  /** `file` is locked and not touched. */
  constructor(file: string) {
    this.#file = file
  }

  /** One turn after the other, in the order in which they are asked for. Null if it does not come within `patienceMs`. */
  async take(patienceMs: number): Promise<Turn | null> {
    const start = elapsedMs()
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const before = this.#last
    this.#last = before.then(() => ended)
    const lock = (await within(before, patienceMs))
      ? await holdLock(this.#file, patienceMs - (elapsedMs() - start))
      : null
    if (lock === null) {
      end()
      return null
    }
    return {
      end: () => {
        lock.end()
        end()
      },
    }
  }
}

async function within(done: Promise<void>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false)
  })
  try {
    return await Promise.race([done.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

function holdLock(file: string, patienceMs: number): Promise<Turn | null> {
  const flock = findFlock()
  if (flock === undefined) return Promise.resolve(NOTHING)
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch {
    // The append itself says what is wrong, if anything is.
    return Promise.resolve(NOTHING)
  }
  const turn: Turn = { end: () => closeSync(descriptor) }
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(flock, ['3'], { cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'ignore', descriptor] })
  return new Promise((resolve) => {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, patienceMs)
    const settle = () => {
      clearTimeout(timer)
      if (isLate) turn.end()
      resolve(isLate ? null : turn)
    }
    child.once('exit', settle)
    child.once('error', settle)
  })
}
