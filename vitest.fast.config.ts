import { defineConfig } from 'vitest/config'
import { filesWithoutProcesses } from './test/without-processes.ts'

/** `npm run test:fast`: what starts no process, in less than a minute. It needs no build. */
export default defineConfig({
  test: {
    include: filesWithoutProcesses(),
    setupFiles: ['test/refuse-processes.ts'],
  },
})
