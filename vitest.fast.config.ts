import { defineConfig } from 'vitest/config'
import { filesWithoutProcesses } from './test/without-processes.ts'

/** `npm run test:fast`: what starts no process, in less than a minute. It needs no build. */
export default defineConfig({
  test: {
    include: filesWithoutProcesses(),
    testTimeout: 60_000,
    // Nothing here leaves anything behind, so that modules need not be loaded anew for each file.
    isolate: false,
    setupFiles: ['test/refuse-processes.ts'],
  },
})
