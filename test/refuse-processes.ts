/** In `npm run test:fast`, whatever starts a process all the same says so. */
import processes from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, expect } from 'vitest'

const started: unknown[] = []

for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork'] as const)
  Object.assign(processes, {
    [name]: (program: unknown) => {
      started.push(program)
      throw new Error(`a test of test:fast starts a process: ${program}`)
    },
  })
syncBuiltinESMExports()

// The error may have been caught, or awaited.
afterEach(() => expect(started.splice(0), 'processes that were started').toEqual([]))
