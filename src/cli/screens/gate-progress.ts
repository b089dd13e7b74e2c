/** What people see while gates run: a table that lives on a terminal, plain lines anywhere else. All of it on stderr. */

import type { Environment } from '../../app/caller.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import { escapeUnsafe, printable } from '../../core/printable.ts'
import { withoutSecrets } from '../../core/without-secrets.ts'
import type { GateOutcome } from '../../gate/run-gates.ts'
import { note } from '../output.ts'
import { outcomeWord, whyWords } from '../reports/gate-words.ts'

export type GateProgress = {
  waiting(found: string): void
  started(name: string): void
  retried(name: string, attempt: number, reason: string): void
  /** A line of a command's output, which may hold anything. */
  printed(name: string, line: string): void
  ended(outcome: GateOutcome): void
  /** Takes away what is only for the time of the run. */
  close(): void
}

type Options = {
  readonly gates: readonly string[]
  readonly target: string
  /** Leaves nothing but what commands print, for output that programs read. */
  readonly quiet: boolean
  readonly environment: Environment
}

export function gateProgress(options: Options): GateProgress {
  const { stderr } = process
  const { CI, NO_COLOR, TERM } = options.environment
  const height = stderr.rows ?? 0
  const alive =
    stderr.isTTY === true &&
    !CI &&
    !NO_COLOR &&
    TERM !== 'dumb' &&
    // What has scrolled away can't be drawn again.
    options.gates.length + 2 < height
  if (options.quiet) return { ...plainProgress(options), waiting() {}, retried() {}, ended() {} }
  return alive ? liveProgress(options) : plainProgress(options)
}

const MARKS = { passed: 'ok  ', failed: 'FAIL', warned: 'warn', skipped: 'skip' } as const
/** SGR codes: green, red, yellow, dim. */
const COLOURS = { passed: 32, failed: 31, warned: 33, skipped: 2 } as const

function outcomeLine(outcome: GateOutcome): string {
  const why = whyWords(outcome)
  return `  ${MARKS[outcomeWord(outcome)]} ${printable(outcome.name, 60)} (${formatDuration(outcome.durationMs)})${why === '' ? '' : `: ${printable(why, 400)}`}`
}

/** A line that the command of a gate prints. */
export function commandLine(name: string, line: string): string {
  // In this form GitHub's runner would take a line for a command to itself, wherever in the line it stands.
  return `  ${printable(name, 60)} | ${escapeUnsafe(line).replaceAll('##[', '## [')}`
}

/** Silence would look like a hang, and a line for every look would fill the log. */
const REMIND_MS = 30_000

function plainProgress({ target }: Options): GateProgress {
  const startedMs = performance.now()
  let told = { found: '', atMs: Number.NEGATIVE_INFINITY }
  return {
    waiting(found) {
      const nowMs = performance.now()
      if (found === told.found && nowMs - told.atMs < REMIND_MS) return
      told = { found, atMs: nowMs }
      note(`  waiting for ${target} (${formatDuration(nowMs - startedMs)}): ${printable(found)}`)
    },
    started() {},
    retried(name, attempt, reason) {
      note(`  again ${printable(name, 60)}: attempt ${attempt}: ${printable(reason, 400)}`)
    },
    printed(name, line) {
      note(commandLine(name, line))
    },
    ended(outcome) {
      note(outcomeLine(outcome))
    },
    close() {},
  }
}

const FRAMES = ['|', '/', '-', '\\']
const FRAME_MS = 120

function liveProgress({ gates, target }: Options): GateProgress {
  const { stderr } = process
  const startedMs = performance.now()
  const running = new Map<string, { sinceMs: number; remark: string }>()
  const ended = new Map<string, GateOutcome>()
  let waiting: string | null = null
  let drawn = 0

  /** One line never wraps: the block is erased by counting lines. */
  const fit = (line: string) => {
    const columns = Math.max(10, (stderr.columns ?? 80) - 1)
    // Some characters are two columns wide.
    return line.slice(0, /^[ -~]*$/.test(line) ? columns : Math.floor(columns / 2))
  }
  const row = (name: string, frame: string) => {
    const outcome = ended.get(name)
    if (outcome !== undefined)
      return `\x1b[${COLOURS[outcomeWord(outcome)]}m${fit(outcomeLine(outcome))}\x1b[0m`
    const state = running.get(name)
    if (state === undefined) return `\x1b[2m${fit(`       ${printable(name, 60)}`)}\x1b[0m`
    const time = formatDuration(Math.floor((performance.now() - state.sinceMs) / 1000) * 1000)
    return fit(`  ${frame}    ${printable(name, 60)} (${time})${state.remark}`)
  }
  const erase = () => {
    if (drawn > 0) stderr.write(`\x1b[${drawn}A\x1b[J`)
    drawn = 0
  }
  const draw = () => {
    const frame = FRAMES[Math.floor(performance.now() / FRAME_MS) % FRAMES.length] ?? ''
    const time = formatDuration(Math.floor((performance.now() - startedMs) / 1000) * 1000)
    const lines =
      waiting === null
        ? gates.map((name) => row(name, frame))
        : [fit(`  ${frame} waiting for ${target} (${time}): ${printable(waiting)}`)]
    erase()
    stderr.write(`${withoutSecrets(lines.join('\n'))}\n`)
    drawn = lines.length
  }
  const timer = setInterval(draw, FRAME_MS)
  timer.unref()
  return {
    waiting(found) {
      waiting = found
    },
    started(name) {
      waiting = null
      running.set(name, { sinceMs: performance.now(), remark: '' })
    },
    retried(name, attempt, reason) {
      const state = running.get(name)
      if (state !== undefined) state.remark = ` attempt ${attempt}: ${printable(reason, 200)}`
    },
    printed(name, line) {
      erase()
      stderr.write(`${withoutSecrets(commandLine(name, line))}\n`)
      draw()
    },
    ended(outcome) {
      waiting = null
      ended.set(outcome.name, outcome)
      draw()
    },
    close() {
      clearInterval(timer)
      // The table of the results follows, and says all of it again.
      erase()
    },
  }
}
