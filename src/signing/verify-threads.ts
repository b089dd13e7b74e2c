/**
 * Signatures checked on other threads. `crypto.verify` with a callback computes on the thread that calls it (seen in
 * Node 24), so that whoever checks thousands needs threads of their own. They start when there is enough to do, get
 * their work in bundles, and do not keep the process running.
 */
import { type KeyObject, verify } from 'node:crypto'
import type { Worker } from 'node:worker_threads'

export type Verification = {
  readonly hash: string | null
  readonly data: Uint8Array
  readonly key: KeyObject
  readonly signature: Uint8Array
}

type Job = Verification & {
  readonly resolve: (good: boolean) => void
  readonly reject: (error: Error) => void
}

/** A thread costs some fifty verifications to start. */
const CHECKED_HERE = 400
/** What goes over at once: enough to make the way cheap, few enough for all threads to have some. */
const BUNDLE = 32
/** Bundles under way with every thread, from which on the reader helps: it would only wait for them. */
const BEHIND = 8
/** One thread reads and judges; beyond this many others it cannot keep up. */
const MAX_THREADS = 4

/** Keys that a thread remembers: of a handful that sign a ledger each goes over once. */
const MAX_KEYS = 64

/**
 * Plain JavaScript that needs no file beside the program. An exception of OpenSSL is a no. All bytes of a bundle come in
 * one buffer that changes hands: of each small one the whole block of memory that it lies in would be copied.
 */
const CODE = `
const { parentPort } = require('node:worker_threads')
const { verify } = require('node:crypto')
let keys = []
parentPort.on('message', ({ forget, newKeys, bytes, jobs }) => {
  if (forget) keys = []
  keys.push(...newKeys)
  let at = 0
  const next = (length) => bytes.subarray(at, (at += length))
  parentPort.postMessage(jobs.map(([hash, key, dataLength, signatureLength]) => {
    const data = next(dataLength), signature = next(signatureLength)
    try { return verify(hash, data, { key: keys[key], dsaEncoding: 'ieee-p1363' }, signature) } catch { return false }
  }))
})`

type Thread = {
  readonly worker: Worker
  /** Bundles whose answer is still to come. */
  readonly under: Job[][]
  readonly keys: Map<KeyObject, number>
}

export class VerifyThreads {
  readonly #threads: Thread[] = []
  #waiting: Job[] = []
  #count = 0

  async verify(job: Verification): Promise<boolean> {
    this.#count += 1
    if (this.#count <= CHECKED_HERE) return checkHere(job)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...job, resolve, reject })
      if (this.#waiting.length >= BUNDLE) this.#send()
      else if (this.#waiting.length === 1) setImmediate(() => this.#send())
    })
  }

  #send(): void {
    const jobs = this.#waiting
    if (jobs.length === 0) return
    this.#waiting = []
    const idle = this.#threads.toSorted((a, b) => a.under.length - b.under.length)[0]
    const wanted = Math.min(MAX_THREADS, Math.max(1, cores() - 1))
    if (idle !== undefined && idle.under.length >= BEHIND && this.#threads.length >= wanted) {
      for (const job of jobs) job.resolve(checkHere(job))
      return
    }
    const thread =
      idle === undefined || (idle.under.length > 1 && this.#threads.length < wanted) ? this.#start() : idle
    thread.under.push(jobs)
    if (thread.under.length === 1) thread.worker.ref()
    const message = packed(jobs, thread.keys)
    thread.worker.postMessage(message, [message.bytes.buffer])
  }

  #start() {
    // Loaded here: a single decision starts no thread.
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    const worker = new Worker(CODE, { eval: true })
    const thread: Thread = { worker, under: [], keys: new Map() }
    worker.on('message', (results: readonly boolean[]) => {
      const jobs = thread.under.shift() ?? []
      for (const [index, job] of jobs.entries()) job.resolve(results[index] === true)
      if (thread.under.length === 0) worker.unref()
    })
    worker.on('error', (error) => {
      this.#threads.splice(this.#threads.indexOf(thread), 1)
      for (const job of thread.under.splice(0).flat()) job.reject(error)
    })
    this.#threads.push(thread)
    return thread
  }
}

/** Loaded here as `Worker` is. */
function cores(): number {
  return process.getBuiltinModule('node:os').availableParallelism()
}

function packed(jobs: readonly Job[], keys: Map<KeyObject, number>) {
  const forget = keys.size > MAX_KEYS
  if (forget) keys.clear()
  const newKeys: KeyObject[] = []
  const bytes = new Uint8Array(jobs.reduce((sum, job) => sum + job.data.length + job.signature.length, 0))
  let at = 0
  const lines = jobs.map(({ hash, data, key, signature }) => {
    const number = keys.get(key) ?? keys.size
    if (number === keys.size) {
      keys.set(key, number)
      newKeys.push(key)
    }
    bytes.set(data, at)
    bytes.set(signature, at + data.length)
    at += data.length + signature.length
    return [hash, number, data.length, signature.length] as const
  })
  return { forget, newKeys, bytes, jobs: lines }
}

function checkHere({ hash, data, key, signature }: Verification): boolean {
  try {
    return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}
