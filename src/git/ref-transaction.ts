import type { GitRepository } from './repository.ts'

/** A held lock is a matter of milliseconds; longer means that somebody died holding it. */
const PREPARE_TIMEOUT_MS = 3_000

/**
 * Runs `action` between `prepare` and `abort` of a ref transaction: while git holds the locks of the refs that
 * `commands` (lines of `git update-ref --stdin`) name, and their values are as the commands say. Nothing is written.
 * Returns false, without running `action`, if git cannot lock them or a value differs.
 */
export async function withRefTransaction(
  repository: GitRepository,
  commands: readonly string[],
  action: () => Promise<boolean>,
): Promise<boolean> {
  const child = repository.start(['update-ref', '--stdin'])
  child.stderr.resume()
  const exited = new Promise<void>((resolve) =>
    child.on('close', () => resolve()).on('error', () => resolve()),
  )
  // git dies of a lock that it can't have while we write; that is told by the missing answer, not by the pipe.
  child.stdin.on('error', () => {})
  const prepared = new Promise<boolean>((resolve) => {
    let answer = ''
    child.stdout.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
      if (answer.includes('prepare: ok\n')) resolve(true)
    })
    const timer = setTimeout(() => resolve(false), PREPARE_TIMEOUT_MS)
    exited.then(() => {
      clearTimeout(timer)
      resolve(false)
    })
  })
  child.stdin.write(['start', ...commands, 'prepare', ''].join('\n'))
  try {
    return (await prepared) ? await action() : false
  } finally {
    child.stdin.end('abort\n')
    await exited
  }
}
