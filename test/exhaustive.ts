/**
 * Every variant of an attack, every host, every hook runner, every fault: half an hour of two slow cores. `npm test` must be
 * over in a quarter of one, so these run with `npm run test:all`, before whatever they are about is changed and before a
 * release.
 */
export const EXHAUSTIVE: readonly string[] = [
  'audit/eventful',
  'audit/tamper',
  'cli/bad-input',
  'cli/clone',
  'cli/deploy-check',
  'cli/evidence',
  'cli/gate-reports',
  'cli/readme',
  'cli/release-log',
  'cli/status',
  'cli/usage',
  'client/doctor',
  'client/init',
  'client/verdicts',
  'server/attack-aliases',
  'server/attack-ancestry',
  'server/attack-approvals',
  'server/attack-certificates',
  'server/attack-crashes',
  'server/attack-drift',
  'server/attack-environment',
  'server/attack-evaluate',
  'server/attack-evidence',
  'server/attack-names',
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

/** Whether these run, too. */
export const isComplete = process.env.HEADGATE_TESTS === 'all'
