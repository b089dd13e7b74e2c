/**
 * Moves a ref that is a file, as git does: `REF.lock` is made where none may be, the present value compared, the new
 * one written, synced and renamed into place. Whoever holds the lock, git or headgate, keeps the other out.
 */
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { elapsedMs } from './elapsed.ts'
import { type OpenFile, openNow } from './files.ts'
import { readRefFile } from './ref-files.ts'

/** Writers hold the lock for milliseconds and meet often; git would wait 100 ms. */
const LOCK_TIMEOUT_MS = 2_000

/**
 * Moves `ref` from exactly `from` (null: it must not exist) to `to`, durably but for its name in the folder. False, with
 * nothing moved, if it is elsewhere; 'ask-git', with nothing moved, if the files do not tell where it is. Throws
 * HeadgateError 'unavailable' if the lock cannot be had or written.
 */
export async function moveRefFile(
  commonDirectory: string,
  ref: string,
  from: Oid | null,
  to: Oid,
): Promise<boolean | 'ask-git'> {
  listen()
  try {
    return await moveLocked(commonDirectory, ref, from, to)
  } finally {
    listenNoLonger()
  }
}

async function moveLocked(
  commonDirectory: string,
  ref: string,
  from: Oid | null,
  to: Oid,
): Promise<boolean | 'ask-git'> {
  const path = join(commonDirectory, ref)
  const lock = `${path}.lock`
  const file = await takeLock(lock)
  try {
    const found = readRefFile(commonDirectory, ref, to.length as 40 | 64)
    if (found === 'ask-git' || found?.symref !== undefined) return 'ask-git'
    if ((found?.oid ?? null) !== from) return false
    file.write(`${to}\n`)
    await file.sync()
    // Without it what is there may be another's.
    if (!HELD.has(lock)) throw new Error('the process was told to end')
    renameSync(lock, path)
    HELD.delete(lock)
    return true
  } catch (cause) {
    throw new HeadgateError('unavailable', `could not write ${ref}: ${(cause as Error).message}`, { cause })
  } finally {
    file.close()
    if (HELD.has(lock)) giveBack(lock)
  }
}

/** A process may be told to end while a slow disk syncs: nobody would remove the lock of one that has ended. */
const HELD = new Set<string>()
process.on('exit', giveBackAll)

/** What ends a process that does not listen: somebody interrupts a push or a command, or the machine goes down. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
type Ending = keyof typeof ENDING
const SIGNALS = Object.keys(ENDING) as readonly Ending[]

let moving = 0

/** Whoever listens already, as the service does, finishes what is under way. */
function listen(): void {
  moving += 1
  for (const signal of SIGNALS) if (process.listenerCount(signal) === 0) process.on(signal, giveUp)
}

/** A signal that came meanwhile is told when the event loop has polled once more, and would be lost without a listener. */
function listenNoLonger(): void {
  moving -= 1
  setImmediate(() => setImmediate(() => moving > 0 || stopListening()))
}

function stopListening(): void {
  for (const signal of SIGNALS) process.off(signal, giveUp)
}

function giveUp(signal: Ending): void {
  // Somebody else has begun to listen, and has the say.
  if (process.listenerCount(signal) > 1) return
  giveBackAll()
  stopListening()
  process.kill(process.pid, signal)
  // Nothing happens by default to the first process of a container.
  process.exit(128 + ENDING[signal])
}

function giveBackAll(): void {
  for (const lock of HELD) giveBack(lock)
}

/** Never throws: what went wrong before is what matters. */
function giveBack(lock: string): void {
  HELD.delete(lock)
  try {
    rmSync(lock, { force: true })
  } catch {
    // The lock stays, and whoever comes next is told of it.
  }
}

async function takeLock(lock: string): Promise<OpenFile> {
  const start = elapsedMs()
  for (;;) {
    try {
      const file = openNow(lock, 'wx', 0o666)
      HELD.add(lock)
      return file
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException
      // git removes folders that have become empty.
      if (code === 'ENOENT') makeFolder(dirname(lock))
      else if (code !== 'EEXIST') throw problem(message, cause)
      if (elapsedMs() - start > LOCK_TIMEOUT_MS) throw problem(message, cause)
    }
    await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 5))
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (cause) {
    throw problem((cause as Error).message, cause)
  }
}

function problem(message: string, cause: unknown): HeadgateError {
  return new HeadgateError('unavailable', `cannot lock ref: ${message}`, { cause })
}
