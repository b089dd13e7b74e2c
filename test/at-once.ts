import { spawn } from 'node:child_process'
import type { Ran, TestRepository } from './make-repository.ts'

/** A push that runs beside others. */
export function pushAtOnce(repository: TestRepository, refspec: string, as: string): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn('git', ['push', '--no-progress', 'origin', refspec], {
      cwd: repository.clone,
      env: { ...repository.env, TEST_PUSHER: as },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (part) => {
      stdout += part
    })
    child.stderr.on('data', (part) => {
      stderr += part
    })
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr, all: stdout + stderr }))
  })
}
