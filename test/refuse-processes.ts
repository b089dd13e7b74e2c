/** In `npm run test:fast`, whatever starts a process all the same says so. */
import processes from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'

for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork'] as const)
  Object.assign(processes, {
    [name]: (program: unknown) => {
      throw new Error(`a test of test:fast starts a process: ${program}`)
    },
  })
syncBuiltinESMExports()
