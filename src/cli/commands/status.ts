import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'

export function statusCommand(cli: Argv): Argv {
  return cli.command(
    'status',
    'Where the branches and environments stand, what can be promoted, and what stands in the way',
    (command) =>
      command
        .option('limit', { type: 'number', default: 10, describe: 'how many candidates are listed' })
        .option('environments', {
          type: 'boolean',
          default: true,
          describe: 'ask staging and production what they serve',
        })
        .options(remoteOption)
        .options(jsonOption)
        .epilogue(
          examples(
            ['before a promotion', '$0 status'],
            ['for a dashboard', '$0 status --json'],
            ['without a word to staging and production', '$0 status --no-environments'],
          ),
        ),
    async (options) => {
      const { requireCount } = await import('../../app/requirements.ts')
      const { showStatus } = await import('../status.ts')
      await showStatus({ ...options, limit: requireCount('limit', options.limit) })
    },
  )
}
