import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/fresh-build.ts', './test/templates.ts'],
    // Most tests start real git, ssh-keygen and node processes; on two busy cores a push takes seconds.
    // Some wait for a lock, a grace period or a time-out meanwhile, so there are more workers than cores.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: process.env.CI ? ['default', './test/closing-line.ts'] : ['default'],
  },
})
