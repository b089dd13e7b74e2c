/** Running other programs so that an interruption leaves none behind, and nothing of the user's own set-up matters. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'

export type Ran = {
  readonly code: number
  /** Standard output and standard error, in the order in which they were written. */
  readonly output: string
  readonly seconds: number
}

export type Call = {
  readonly program: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

/** How long a program may take to clean up after itself once it is told to end. */
const PATIENCE_MS = 2_000

/** Runs programs. When `signal` aborts, those that run are ended, and no other is started. */
export class Programs {
  readonly #folder: string
  #count = 0
  readonly #signal: AbortSignal

  constructor(folder: string, signal: AbortSignal) {
    this.#folder = folder
    this.#signal = signal
  }

  async run({ program, args, cwd, env }: Call): Promise<Ran> {
    this.#signal.throwIfAborted()
    const start = performance.now()
    // A file and not two pipes: only so the order of the two streams is the one that a terminal would show.
    const path = join(this.#folder, `output-${++this.#count}`)
    const file = openSync(path, 'w+', 0o600)
    let code: number
    try {
      // In a group of its own: Ctrl-C reaches the demo alone, which ends the group, hooks and all.
      const child = spawn(program, args, { cwd, env, stdio: ['ignore', file, file], detached: true })
      code = await ended(child, this.#signal)
    } finally {
      closeSync(file)
    }
    this.#signal.throwIfAborted()
    const seconds = (performance.now() - start) / 1000
    const output = readFileSync(path, 'utf8')
    rmSync(path)
    return { code, output, seconds }
  }

  /** Waits until `time`, in ms since the epoch. */
  async waitUntil(time: number): Promise<void> {
    this.#signal.throwIfAborted()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, time - Date.now()))
      this.#signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true })
    })
    this.#signal.throwIfAborted()
  }
}

async function ended(child: ChildProcess, signal: AbortSignal): Promise<number> {
  let impatience: NodeJS.Timeout | undefined
  const stop = () => {
    endGroup(child, 'SIGTERM')
    impatience = setTimeout(() => endGroup(child, 'SIGKILL'), PATIENCE_MS)
  }
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(
          new HeadgateError('configuration', `${child.spawnfile} cannot be started: ${cause.message}`, {
            cause,
          }),
        )
      })
      child.once('exit', (code) => resolve(code ?? -1))
    })
  } finally {
    clearTimeout(impatience)
    signal.removeEventListener('abort', stop)
    // What is left of the group now, such as a hook whose git has died, must not write into the folder any more.
    if (signal.aborted) endGroup(child, 'SIGKILL')
  }
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended already.
  }
}
