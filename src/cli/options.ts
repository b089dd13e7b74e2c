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
