/** Options that several commands share. It imports nothing, so that `--help` stays fast. */

export const keyOption = {
  key: {
    type: 'string',
    describe:
      'SSH key to sign with: a private key, or a public one whose private half is in the agent [default: $HEADGATE_KEY]',
  },
} as const

export const remoteOption = {
  remote: { type: 'string', default: 'origin', describe: 'the guarded remote' },
} as const

export const jsonOption = {
  json: { type: 'boolean', default: false, describe: 'print JSON' },
} as const

/** Of commands that move the release branch. */
export const moveOptions = {
  wait: {
    type: 'string',
    default: '10m',
    describe: 'how long to wait for production to serve the commit',
  },
  url: { type: 'string', describe: "base URL of production [default: the policy's]" },
  yes: { type: 'boolean', default: false, describe: 'do not ask' },
  json: { type: 'boolean', default: false, describe: 'print what came of it as JSON' },
  'smoke-key': {
    type: 'string',
    describe: 'SSH key that signs the result of the production smoke [default: --key]',
  },
  'log-branch': {
    type: 'string',
    describe: 'write the release log entry on this branch, to be reviewed, and not on the staging branch',
  },
} as const
