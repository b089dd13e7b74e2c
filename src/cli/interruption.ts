/** Ctrl-C and its like while a command works: the first one ends it in order, the next one at once. */
import { EXIT_CODES } from '../core/errors.ts'
import { note } from './output.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class Interruption {
  /** What an end at this moment means. */
  words: string
  readonly #abort = new AbortController()

  constructor(words: string) {
    this.words = words
    for (const signal of SIGNALS) process.on(signal, this.#receive)
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Lets go of the signals. */
  end(): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.#receive)
  }

  readonly #receive = (): void => {
    if (this.signal.aborted) {
      note(`headgate: ${this.words}`)
      // Listeners of `exit` end what still runs.
      process.exit(EXIT_CODES.unavailable)
    }
    this.#abort.abort()
  }
}

/** Runs what the first signal ends in order. `words`: what an end at this moment means. */
export async function interruptible<Result>(
  words: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const interruption = new Interruption(words)
  try {
    return await work(interruption.signal)
  } finally {
    interruption.end()
  }
}
