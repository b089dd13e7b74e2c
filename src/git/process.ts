/** One git process from start to end: argument arrays only, a built environment, limits on time and output. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import type { Writable } from 'node:stream'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { debugGit } from './debug.ts'
import { isShallow } from './locate.ts'
import { isPartial, MAKE_WHOLE } from './missing-object.ts'

export type GitCommand = {
  readonly gitPath: string
  /** Everything after the binary's name. `name` is the git command among them, for messages. */
  readonly args: readonly string[]
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

export type RunOptions = {
  /**
   * Standard input. A promise lets the process start while its input is still being made; if the promise rejects, the
   * process is killed before it has read anything and the rejection is passed on.
   */
  readonly input?: string | Uint8Array | Promise<string | Uint8Array>
  /** 64 MiB unless told; more than that should be streamed. */
  readonly maxOutputBytes?: number
  /** One minute unless told: no single git command of a decision takes a second on a healthy disk. */
  readonly timeoutMs?: number
  /** Exit codes besides 0 that are answers and not failures. */
  readonly allowExit?: readonly number[]
  /** Hears the id of the process. */
  readonly started?: (pid: number | undefined) => void
}

export type RunResult = { readonly stdout: Buffer; readonly stderr: string; readonly exitCode: number }

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024
const TIMEOUT_MS = 60_000
/** Enough for any message; git prints the cause first. */
const MAX_STDERR_BYTES = 64 * 1024

/**
 * Runs a command to its end. Throws HeadgateError 'unavailable' when it cannot start, takes too long, prints too much,
 * dies, or exits with a code that is neither 0 nor allowed.
 */
export async function runGit(command: GitCommand, options: RunOptions = {}): Promise<RunResult> {
  const { maxOutputBytes = MAX_OUTPUT_BYTES, timeoutMs = TIMEOUT_MS, allowExit = [] } = options
  const child = startGit(command)
  options.started?.(child.pid)
  let failure: unknown
  const fail = (error: unknown) => {
    failure ??= error
    child.kill('SIGKILL')
  }
  const timer = setTimeout(() => fail(problem(command, `took longer than ${timeoutMs} ms`)), timeoutMs)
  const chunks: Buffer[] = []
  let size = 0
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxOutputBytes) return fail(problem(command, `printed more than ${maxOutputBytes} bytes`))
    chunks.push(chunk)
  })
  const stderr = collectStderr(child)
  feed(child, options.input, fail)
  try {
    const { exitCode, signal } = await ended(child, command)
    if (failure !== undefined) throw failure
    if (exitCode === null) throw problem(command, `was killed by ${signal}`)
    if (exitCode !== 0 && !allowExit.includes(exitCode)) throw exitProblem(command, exitCode, stderr())
    return { stdout: Buffer.concat(chunks), stderr: stderr(), exitCode }
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The standard output of a command, chunk by chunk, at the reader's pace, and `input` at the pace of git. It
 * has no time limit, since a slow reader is no fault of git's; leaving the loop early kills the process. Throws as
 * `runGit` does, and what `input` throws.
 */
export async function* streamGit(
  command: GitCommand,
  input?: AsyncIterable<string>,
): AsyncGenerator<Buffer, void, undefined> {
  const child = startGit(command)
  const stderr = collectStderr(child)
  const end = ended(child, command)
  // Awaited below; until then a rejection is not yet anybody's.
  end.catch(() => {})
  child.stdin.on('error', () => {})
  const fed = input === undefined ? child.stdin.end() : pour(input, child)
  try {
    try {
      yield* child.stdout as AsyncIterable<Buffer>
    } catch (cause) {
      // Why the process could not be started says more than that its output broke off.
      await end
      throw problem(command, 'broke off its output', cause)
    }
    const { exitCode, signal } = await end
    await fed
    if (exitCode === null) throw problem(command, `was killed by ${signal}`)
    if (exitCode !== 0) throw exitProblem(command, exitCode, stderr())
  } finally {
    child.kill('SIGKILL')
  }
}

/** Resolves when all was written or git reads no more; rejects with what `input` throws, which ends git, too. */
function pour(input: AsyncIterable<string>, child: ChildProcessWithoutNullStreams): Promise<void> {
  const writing = (async () => {
    try {
      for await (const text of input) {
        if (child.stdin.destroyed) return
        if (!child.stdin.write(text)) await takesMore(child.stdin)
      }
    } finally {
      child.stdin.end()
    }
  })()
  // The caller that awaits it gets the error; where the output is left early, there is none.
  writing.catch(() => {})
  return writing
}

/**
 * Starts git with three pipes. Node's own module for that is loaded with the first process and not before: a hook that
 * decides alone starts none, as a rule, and would spend a thirtieth of its time on it.
 */
export function startGit(command: GitCommand): ChildProcessWithoutNullStreams {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const { gitPath, args, cwd, env } = command
  const told = debugGit(args)
  const child = spawn(gitPath, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true })
  if (child.stdin !== undefined) {
    child.once('close', (code, signal) => told(signal === null ? `exit ${code}` : `killed by ${signal}`))
    return child
  }
  // No file descriptor is left for the pipes. Node tells that later, by an event.
  child.on('error', () => {})
  throw problem(command, 'could not be started (EMFILE)')
}

function takesMore(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
  })
}

function ended(
  child: ChildProcessWithoutNullStreams,
  command: GitCommand,
): Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) =>
      reject(problem(command, `could not be started (${cause.code ?? cause.message})`, cause)),
    )
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal }))
  })
}

/** A process may end without reading its input; how it ended says more than the broken pipe. */
function feed(
  child: ChildProcessWithoutNullStreams,
  input: RunOptions['input'],
  fail: (error: unknown) => void,
): void {
  child.stdin.on('error', () => {})
  if (input instanceof Promise) input.then((bytes) => child.stdin.end(bytes), fail)
  else child.stdin.end(input ?? '')
}

function collectStderr(child: ChildProcessWithoutNullStreams): () => string {
  const chunks: Buffer[] = []
  let size = 0
  child.stderr.on('data', (chunk: Buffer) => {
    if (size < MAX_STDERR_BYTES) chunks.push(chunk)
    size += chunk.length
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

function exitProblem(command: GitCommand, exitCode: number, stderr: string): HeadgateError {
  return (
    incompleteProblem(command, stderr) ??
    problem(command, `failed with exit code ${exitCode}${stderr === '' ? '' : `: ${firstLines(stderr)}`}`)
  )
}

/** What git says of an object that it needs and that is not there; older versions say nothing of partial clones. */
const LACKING =
  /lazy fetching disabled|promisor remote|could not (?:read|parse) (?:object |commit )?[0-9a-f]{40}|unable to read (?:tree|sha1 file|object)|failed to traverse parents|bad (?:tree )?object|missing (?:blob|tree|commit)|not a valid (?:commit|object) name/i

/** Where git stopped since this clone is not whole: what it lacks must not be fetched while something is decided. */
export function incompleteProblem({ name, cwd }: GitCommand, stderr: string): HeadgateError | null {
  if (!LACKING.test(stderr)) return null
  if (isPartial(cwd) || /lazy fetching disabled|promisor remote/.test(stderr))
    return new HeadgateError('unavailable', `git ${name}: objects are missing in this partial clone`, {
      hint: MAKE_WHOLE,
    })
  if (!isShallow(cwd)) return null
  return new HeadgateError('unavailable', `git ${name}: history is missing in this shallow clone`, {
    hint: 'git fetch --unshallow',
  })
}

function problem(command: GitCommand, what: string, cause?: unknown): HeadgateError {
  return new HeadgateError('unavailable', `git ${command.name} ${what}`, cause === undefined ? {} : { cause })
}

/** The first lines of what a program printed, as one printable line. */
export function firstLines(text: string): string {
  return printable(text.trim().split('\n').slice(0, 3).join('; '), 400)
}
