import { createInterface } from 'node:readline/promises'
import { HeadgateError } from '../core/errors.ts'

/** Whether there is somebody to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}

/** Asks on the terminal; anything but yes is no. */
export async function confirm(question: string): Promise<boolean> {
  return /^\s*y(?:es)?\s*$/i.test(await ask(`${question} [y/N]`))
}

/** What is typed on the terminal. The question goes to stderr, like all that is no result. */
export async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  let answered = false
  try {
    // Ctrl-C and Ctrl-D say nothing.
    const closed = new Promise<string>((resolve) => {
      terminal.once('close', () => {
        if (!answered) process.stderr.write('\n')
        resolve('')
      })
    })
    const answer = await Promise.race([terminal.question(`${question} `), closed])
    answered = true
    return answer
  } finally {
    terminal.close()
  }
}

/** For what must not happen unasked. Throws 'usage' without a terminal, 'refused' where the answer is no. */
export async function requireConsent(question: string): Promise<void> {
  if (!canAsk()) {
    throw new HeadgateError('usage', 'there is no terminal to ask on', {
      hint: 'look at what would be done, above, and say --yes',
    })
  }
  if (await confirm(question)) return
  throw new HeadgateError('refused', 'not done: the answer was no', { hint: 'nothing was changed' })
}
