import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { exactDuration } from '../core/policy/duration.ts'
import type { CommandGate } from '../core/policy/policy.ts'
import type { Attempt, GateContext } from './gate-context.ts'

/** From the friendly signal to the other one. */
const GRACE_MS = 2000
/** How long what a program has left running may hold its output open. */
const LINGER_MS = 500
/** A test suite prints hundreds of lines; nobody reads thousands in a CI log, and a runaway prints millions. */
const MAX_LINES = 2000
const MAX_LINE_LENGTH = 1000

/**
 * Runs the command of a gate, in a process group of its own that ends with it: a program that a timeout or Ctrl-C
 * stops leaves nothing behind that still talks to the environment. Its output is shown and kept nowhere.
 */
export async function tryCommandGate(gate: CommandGate, context: GateContext): Promise<Attempt> {
  const objection = context.signal.aborted ? 'interrupted' : await runCommand(gate, context)
  return {
    objections: objection === null ? [] : [objection],
    status: null,
    statuses: null,
    reached: null,
    cookies: context.cookies,
  }
}

/** What the run has against it; null with exit code 0. */
function runCommand(gate: CommandGate, context: GateContext): Promise<string | null> {
  const { command } = gate
  const [program = '', ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: context.folder,
      env: factsFor(gate, context),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let stopped: string | null = null
    let last: NodeJS.Timeout | undefined
    const signalGroup = (name: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name)
      } catch {
        // The group has ended already.
      }
    }
    const killNow = () => signalGroup('SIGKILL')
    // However headgate itself ends, this must not go on without it.
    process.once('exit', killNow)
    const stop = (reason: string) => {
      if (stopped !== null) return
      stopped = reason
      signalGroup('SIGTERM')
      last = setTimeout(killNow, GRACE_MS)
    }
    const interrupt = () => stop('interrupted')
    context.signal.addEventListener('abort', interrupt, { once: true })
    const timer = setTimeout(
      () => stop(`did not end within ${exactDuration(gate.timeoutMs)}`),
      gate.timeoutMs,
    )
    const tell = limitedTeller(context)
    const outputs = [child.stdout, child.stderr].map((stream) =>
      readLines(stream, tell, MAX_LINE_LENGTH + context.secrets.longestStruck),
    )
    const end = (result: string | null) => {
      clearTimeout(timer)
      clearTimeout(last)
      context.signal.removeEventListener('abort', interrupt)
      process.removeListener('exit', killNow)
      resolve(stopped ?? result)
    }
    child.once('error', (error: NodeJS.ErrnoException) => end(`cannot be started: ${describeStart(error)}`))
    child.once('exit', async (code, signal) => {
      await Promise.race([Promise.all(outputs), pause(LINGER_MS)])
      killNow()
      child.stdout.destroy()
      child.stderr.destroy()
      end(code === 0 ? null : code === null ? `was ended by ${signal}` : explainExit(code))
    })
  })
}

function describeStart({ code = '' }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such program'
  if (code === 'EACCES') return 'not executable (chmod +x)'
  return /^[A-Z0-9_]{1,40}$/.test(code) ? code : 'unknown error'
}

/** The shell's own codes, in words. */
function explainExit(code: number): string {
  if (code === 126) return 'exit code 126: not executable (chmod +x)'
  if (code === 127) return 'exit code 127: command not found'
  return `exit code ${code}`
}

/** The caller's environment and the facts of the gate; scripts written for MODE and BASE find these, too. */
function factsFor(gate: CommandGate, context: GateContext): Record<string, string | undefined> {
  // Where the key to sign with is, is none of the business of a script that belongs to the commit it checks.
  const { HEADGATE_KEY: _, ...inherited } = context.variables
  return {
    ...inherited,
    MODE: context.environment === 'production' ? 'prod' : 'staging',
    BASE: context.base.text,
    HEADGATE_GATE: gate.name,
    HEADGATE_ENVIRONMENT: context.environment,
    HEADGATE_COMMIT: context.commit,
    HEADGATE_BASE_URL: context.base.text,
  }
}

function limitedTeller({ onOutput, secrets }: GateContext): (line: string) => void {
  let lines = 0
  return (line) => {
    lines += 1
    if (lines <= MAX_LINES) onOutput(secrets.strike(line).slice(0, MAX_LINE_LENGTH))
    else if (lines === MAX_LINES + 1) onOutput(`(only the first ${MAX_LINES} lines are shown)`)
  }
}

/** Tells every line; of a long one at least the first `enough` characters, so that a secret in what is shown is whole. */
async function readLines(stream: Readable, tell: (line: string) => void, enough: number): Promise<void> {
  let rest = ''
  let cut = false
  stream.setEncoding('utf8')
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!cut) tell(line.replace(/\r$/, ''))
        cut = false
      }
      if (rest.length > enough) {
        if (!cut) tell(rest)
        cut = true
        rest = ''
      }
    }
  } catch {
    // Destroyed, since the program has ended and something that it left behind has not.
  }
  if (rest !== '' && !cut) tell(rest)
}
