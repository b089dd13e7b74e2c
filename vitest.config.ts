import { defineConfig } from 'vitest/config'

/**
 * Every variant of an attack, every host, every hook runner: an hour of two slow cores all together. `npm test` must be
 * over in a quarter of one, so these run with `npm run test:all`, before whatever they are about is changed and before a
 * release.
 */
const EXHAUSTIVE = [
  'audit/eventful',
  'cli/bad-input',
  'cli/clone',
  'cli/gate-reports',
  'cli/readme',
  'cli/usage',
  'client/init',
  'client/verdicts',
  'server/attack-aliases',
  'server/attack-ancestry',
  'server/attack-drift',
  'server/attack-environment',
  'server/attack-evaluate',
  'server/attack-odd-objects',
  'server/attack-policies',
  'server/attack-release-log',
  'server/attack-sha256',
  'server/attack-streams',
  'server/by-hand',
  'server/hosts',
  'server/lost-ledger',
  'server/ssh-auth-info',
].map((name) => `test/${name}.test.ts`)
const all = process.env.HEADGATE_TESTS === 'all'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: all ? [] : EXHAUSTIVE,
    globalSetup: './test/templates.ts',
    // Most tests start real git, ssh-keygen and node processes; on two busy cores a push takes seconds.
    // They wait for processes more than they compute, so every core gets a worker.
    maxWorkers: '100%',
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: process.env.CI ? ['default', './test/closing-line.ts'] : ['default'],
  },
})
