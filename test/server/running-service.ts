/** The built service as a process of its own, its log lines, and questions to its socket. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { PROGRAM } from '../make-repository.ts'

export type LogLine = Record<string, unknown> & { readonly msg: string }

export class RunningService {
  readonly socket: string
  readonly child: ChildProcess
  readonly #exited: Promise<number | null>
  #isOver = false
  stderr = ''
  #stdout = ''

  private constructor(repositories: readonly string[], args: readonly string[]) {
    const index = args.indexOf('--socket')
    this.socket = index < 0 ? join(repositories[0] ?? '', 'headgate', 'socket') : (args[index + 1] ?? '')
    this.child = spawn(process.execPath, [PROGRAM, 'serve', ...repositories, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH },
    })
    this.child.stdout?.on('data', (part: Buffer) => {
      this.#stdout += part
    })
    this.child.stderr?.on('data', (part: Buffer) => {
      this.stderr += part
    })
    // Not its exit: what it said last may still be in the pipe.
    this.#exited = once(this.child, 'close').then(([code]) => {
      this.#isOver = true
      return code as number | null
    })
  }

  /** Resolves when it says that it serves. */
  static async start(repositories: readonly string[], ...args: string[]): Promise<RunningService> {
    const service = new RunningService(repositories, args)
    await service.logged('serving')
    return service
  }

  /** Resolves at once, before it serves. */
  static spawn(repositories: readonly string[], ...args: string[]): RunningService {
    return new RunningService(repositories, args)
  }

  /** For one that will not start: its exit code. */
  static async refused(
    repositories: readonly string[],
    ...args: string[]
  ): Promise<{ code: number | null; text: string }> {
    const service = new RunningService(repositories, args)
    const code = await service.exited()
    return { code, text: service.stderr }
  }

  get log(): LogLine[] {
    return this.#stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine)
  }

  /** Waits until `count` lines of this message are there, at most a minute. */
  async logged(message: string, count = 1): Promise<LogLine[]> {
    for (let i = 0; i < 2400; i++) {
      const lines = this.#stdout.endsWith('\n') ? this.log.filter(({ msg }) => msg === message) : []
      if (lines.length >= count) return lines
      if (this.#isOver) break
      await new Promise((done) => setTimeout(done, 25))
    }
    throw new Error(`the service never said "${message}"\n${this.#stdout}${this.stderr}`)
  }

  /** Ids of the processes that it has started and that live. */
  children(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((name) => parentOf(name) === this.child.pid)
      .map(Number)
  }

  /** Waits until it has started a program of this name that lives, at most a minute. */
  async started(name: string): Promise<void> {
    for (let i = 0; i < 2400; i++) {
      if (this.children().some((pid) => nameOf(pid) === name)) return
      await new Promise((done) => setTimeout(done, 25))
    }
    throw new Error(`the service never started ${name}`)
  }

  exited(): Promise<number | null> {
    return this.#exited
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal)
    return this.exited()
  }

  ask(path: string, body: string | Buffer | null): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const asking = request(
        { socketPath: this.socket, path, method: body === null ? 'GET' : 'POST' },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (part: string) => {
            text += part
          })
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
          answer.on('error', reject)
        },
      )
      asking.on('error', reject)
      asking.end(body ?? undefined)
    })
  }
}

/** Null for a process that has just ended. */
function parentOf(pid: string): number | null {
  try {
    // The name stands in brackets, and may hold anything.
    return Number(/^.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1])
  } catch {
    return null
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim()
  } catch {
    return ''
  }
}

/**
 * From here on the service decides for this repository, with the words and the verdicts that its hooks alone would have.
 * Returns what ends that.
 */
export async function served(repository: { readonly bare: string }): Promise<() => Promise<void>> {
  const service = await RunningService.start([repository.bare])
  return async () => {
    await service.stop()
  }
}
