import { spawn } from 'node:child_process'
import type { Ran, TestRepository } from './make-repository.ts'

type Waiting = {
  readonly ran: Promise<Ran>
  /** Resolves when it has said this; rejects where it ends without. */
  told(words: string): Promise<void>
}

/** A push that runs beside others. */
export function pushAtOnce(repository: TestRepository, refspec: string, as: string): Promise<Ran> {
  return pushWaiting(repository, refspec, as).ran
}

/** The same, and what it says can be waited for. */
export function pushWaiting(repository: TestRepository, refspec: string, as: string): Waiting {
  const child = spawn('git', ['push', '--no-progress', 'origin', refspec], {
    cwd: repository.clone,
    env: { ...repository.env, TEST_PUSHER: as },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  const waiting = new Set<() => void>()
  const heard = () => {
    for (const look of waiting) look()
  }
  child.stdout.on('data', (part) => {
    stdout += part
    heard()
  })
  child.stderr.on('data', (part) => {
    stderr += part
    heard()
  })
  const ran = new Promise<Ran>((resolve) => {
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr, all: stdout + stderr }))
  })
  const told = (words: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!(stdout + stderr).includes(words)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
      ran.then(({ all }) => reject(new Error(`the push never said "${words}"\n${all}`)))
    })
  return { ran, told }
}
