import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/fresh-build.ts', './test/templates.ts'],
    // Most tests start real git, ssh-keygen and node processes; on two busy cores a push takes seconds.
    // They wait for processes more than they compute, so every core gets a worker; more of them gained nothing.
    maxWorkers: '100%',
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: process.env.CI ? ['default', './test/closing-line.ts'] : ['default'],
  },
})
