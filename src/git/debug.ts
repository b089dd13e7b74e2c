/**
 * What `--debug`, `HEADGATE_DEBUG=1` and `server install --debug-hooks` tell: what was asked of git, what was looked at, and
 * why a decision came out so. Nobody listens unless the caller of the command or the server admin wants it; a line is made
 * only where somebody does. Every line goes out without the passwords and tokens of URLs, and without the environment.
 */
import type { AsyncLocalStorage } from 'node:async_hooks'
import { printable, shellWord } from '../core/printable.ts'
import { withoutSecrets } from '../core/without-secrets.ts'
import { elapsedMs } from './elapsed.ts'

/** Takes one line. */
export type Listener = (line: string) => void

/** Commands have a dozen words; a list of refs is cut. */
const MAX_LINE_LENGTH = 1000

let ofProcess: Listener | undefined
let ofWork: AsyncLocalStorage<Listener> | undefined

/** For all that this process does from now on. */
export function debugTo(listener: Listener | undefined): void {
  ofProcess = listener
}

/** For what this work does, while others do theirs in the same process: what is told of one pusher goes to that one. */
export function debugging<T>(listener: Listener, work: () => Promise<T>): Promise<T> {
  ofWork ??= new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)()
  return ofWork.run(listener, work)
}

/** `lines` is called only where somebody listens. */
export function debug(lines: () => string | readonly string[]): void {
  const listener = listening()
  if (listener !== undefined) for (const line of [lines()].flat()) tell(listener, line)
}

/** A git process that begins now. How it ended, as `exit 0`, is told by the function that is returned, in whatever context. */
export function debugGit(args: readonly string[]): (how: string) => void {
  const listener = listening()
  if (listener === undefined) return () => {}
  const start = elapsedMs()
  return (how) => tell(listener, `${shownCommand(args)}: ${how}, ${Math.round(elapsedMs() - start)} ms`)
}

function listening(): Listener | undefined {
  return ofWork?.getStore() ?? ofProcess
}

function tell(listener: Listener, line: string): void {
  // A piece of a URL is no URL any more: what is cut to a length loses its secrets before.
  listener(`headgate: debug: ${printable(withoutSecrets(line), MAX_LINE_LENGTH)}`)
}

/** Without the settings that every process of headgate's gets: a configuration can hold credentials, too. */
export function shownCommand(args: readonly string[]): string {
  const words = args.filter((word, index) => word !== '-c' && args[index - 1] !== '-c')
  return ['git', ...words.map((word) => shellWord(withoutSecrets(word)))].join(' ')
}
