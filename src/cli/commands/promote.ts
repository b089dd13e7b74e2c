import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { keyOption, moveOptions, remoteOption } from '../options.ts'

export function promoteCommand(cli: Argv): Argv {
  return cli.command(
    'promote [commit]',
    'Move the release branch to a commit that staging has proved; wait for production, test it, log it (operator)',
    (command) =>
      command
        .positional('commit', {
          type: 'string',
          describe: 'the commit [default: the newest that can be promoted]',
        })
        .option('note', {
          type: 'string',
          describe: 'rollout notes, kept in the ledger and in the release log',
        })
        .option('plan', { type: 'string', describe: 'where the rollback plan is, kept like the note' })
        .option('despite-bar', {
          type: 'string',
          requiresArg: true,
          describe: 'promote although it contains this commit, which was rolled back from (several: ID,ID)',
        })
        .option('auto-rollback', {
          type: 'boolean',
          default: false,
          describe: 'roll back where the production smoke fails, as far as the policy permits that',
        })
        .option('record', {
          type: 'boolean',
          default: true,
          describe: 'record the production smoke; --no-record leaves that to somebody else',
        })
        .options({ ...moveOptions, ...keyOption, ...remoteOption })
        .epilogue(
          'Run it again after any interruption: it goes on where it stopped. ' +
            'It never pushes anything but the one commit that it has shown.\n',
        )
        .epilogue(
          examples(
            ['the newest commit of main that staging has proved', '$0 promote --key ~/.ssh/release'],
            [
              'one commit, with words for the log',
              '$0 promote 3f2c1ab --note "weekly release" --plan "ticket 4711" \\',
              '    --key ~/.ssh/release',
            ],
            [
              'from a script, and back if production fails',
              '$0 promote 3f2c1ab --yes --auto-rollback --key ~/.ssh/release',
            ],
          ),
        ),
    async (options) => {
      const { requireDuration } = await import('../../app/requirements.ts')
      const waitMs = requireDuration('wait', options.wait)
      const { promote } = await import('../../app/release/promote.ts')
      const { promoteLines, promotingOperator } = await import('../screens/promote.ts')
      const { showRelease } = await import('../screens/rollback.ts')
      const { show } = await import('../screens/lines.ts')
      const { thisCaller } = await import('../this-caller.ts')
      const result = await promote(thisCaller(), { ...options, waitMs }, promotingOperator, (event) =>
        show(promoteLines(event), options),
      )
      showRelease(result, options)
    },
  )
}
