/**
 * Signatures by the thousand. An auditor parses the signatures of many records, has them all checked here at once, and
 * judges the records then, one after the other. `crypto.verify` with a callback computes on the thread that calls it
 * (seen in Node 24), so that other cores help only through threads of their own.
 */
import type { KeyObject } from 'node:crypto'
import type { Worker } from 'node:worker_threads'
import { isValid, type Verification } from './ssh-key.ts'
import { type IsGenuine, type ParsedSignature, sshsigVerification, verifySshsig } from './sshsig.ts'

/** A signature and what it should be over. */
export type Signed = { readonly signature: ParsedSignature; readonly message: Uint8Array }

/** To start a thread costs some fifty verifications. */
const CHECKED_HERE = 200
/** One thread reads and judges; beyond this many others it cannot keep up. */
const MAX_THREADS = 4

/**
 * Checks them all, on other threads where there are enough of them. The answer is to be asked about these very signatures;
 * any other one is checked when it is asked about.
 */
export async function verifyBatch(batch: readonly Signed[]): Promise<IsGenuine> {
  const jobs = batch.map(({ signature, message }) => sshsigVerification(signature, message))
  const genuine = new Map<ParsedSignature, boolean>()
  const take = (from: number, results: readonly boolean[]) => {
    for (const [index, result] of results.entries()) genuine.set(batch[from + index]!.signature, result)
  }
  if (jobs.length < CHECKED_HERE) take(0, jobs.map(isValid))
  else {
    const threads = startedThreads()
    const share = Math.ceil(jobs.length / threads.length)
    await Promise.all(
      threads.map(async (thread, index) => {
        const from = index * share
        take(from, await thread.check(jobs.slice(from, from + share)))
      }),
    )
  }
  return (signature, message) => genuine.get(signature) ?? verifySshsig(signature, message)
}

const THREADS: CheckingThread[] = []

function startedThreads(): readonly CheckingThread[] {
  // Loaded here, as `Worker` is: a single decision starts no thread.
  const cores = process.getBuiltinModule('node:os').availableParallelism()
  while (THREADS.length < Math.min(MAX_THREADS, Math.max(1, cores - 1))) THREADS.push(new CheckingThread())
  return THREADS
}

/**
 * Plain JavaScript that needs no file beside the program. An exception of OpenSSL is a no. All bytes come in one buffer
 * that changes hands: of each small one the whole block of memory that it lies in would be copied.
 */
const CODE = `
const { parentPort } = require('node:worker_threads')
const { verify } = require('node:crypto')
parentPort.on('message', ({ keys, bytes, jobs }) => {
  let at = 0
  const next = (length) => bytes.subarray(at, (at += length))
  parentPort.postMessage(jobs.map(([hash, key, dataLength, signatureLength]) => {
    const data = next(dataLength), signature = next(signatureLength)
    try { return verify(hash, data, { key: keys[key], dsaEncoding: 'ieee-p1363' }, signature) } catch { return false }
  }))
})`

type Waiting = {
  readonly resolve: (results: readonly boolean[]) => void
  readonly reject: (error: Error) => void
}

/** Does not keep the process running while it has nothing to check. */
class CheckingThread {
  readonly #worker: Worker
  /** In the order in which they were asked, which is that of the answers. */
  readonly #waiting: Waiting[] = []

  constructor() {
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    this.#worker = new Worker(CODE, { eval: true })
    this.#worker.unref()
    this.#worker.on('message', (results: readonly boolean[]) => {
      this.#waiting.shift()?.resolve(results)
      if (this.#waiting.length === 0) this.#worker.unref()
    })
    this.#worker.on('error', (error) => {
      THREADS.splice(THREADS.indexOf(this), 1)
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    })
  }

  check(jobs: readonly Verification[]): Promise<readonly boolean[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.ref()
      const message = packed(jobs)
      this.#worker.postMessage(message, [message.bytes.buffer])
    })
  }
}

function packed(jobs: readonly Verification[]) {
  const keys = new Map<KeyObject, number>()
  const bytes = new Uint8Array(jobs.reduce((sum, job) => sum + job.data.length + job.signature.length, 0))
  let at = 0
  const lines = jobs.map(({ hash, data, key, signature }) => {
    const number = keys.get(key) ?? keys.size
    keys.set(key, number)
    bytes.set(data, at)
    bytes.set(signature, at + data.length)
    at += data.length + signature.length
    return [hash, number, data.length, signature.length] as const
  })
  return { keys: [...keys.keys()], bytes, jobs: lines }
}
