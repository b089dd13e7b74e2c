import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { keyOption, moveOptions, remoteOption } from '../options.ts'

export function rollbackCommand(cli: Argv): Argv {
  return cli.command(
    'rollback [commit]',
    'Move the release branch back to a release that worked; verify production, log it (operator)',
    (command) =>
      command
        .positional('commit', {
          type: 'string',
          describe: 'the release to go back to [default: the last known-good one]',
        })
        .option('trigger', { type: 'string', demandOption: true, describe: 'what raised the alarm' })
        .option('symptoms', { type: 'string', demandOption: true, describe: 'what users see' })
        .option('reason', { type: 'string', describe: 'why it is approved [default: the trigger]' })
        .options({ ...moveOptions, ...keyOption, ...remoteOption })
        .epilogue(
          'Where the policy lets whoever pushes approve, it signs the approval with --key. Else it says who must ' +
            'approve and how, and goes on when it is run again.\n',
        )
        .epilogue(
          examples(
            [
              'to the last known-good release',
              '$0 rollback --trigger "pager: checkout" --symptoms "500 on /pay" \\',
              '    --key ~/.ssh/release',
            ],
            [
              'to a certain one, without a question',
              '$0 rollback 9d0e1f2 --trigger smoke --symptoms "chat fails" --yes \\',
              '    --key ~/.ssh/release',
            ],
          ),
        ),
    async (options) => {
      const { requireDuration } = await import('../../app/requirements.ts')
      const call = { ...options, record: true, waitMs: requireDuration('wait', options.wait) }
      const { rollback } = await import('../../app/release/rollback.ts')
      const { rollbackLines, rollingBackOperator, showRelease } = await import('../screens/rollback.ts')
      const { show } = await import('../screens/lines.ts')
      const { thisCaller } = await import('../this-caller.ts')
      const result = await rollback(thisCaller(), call, rollingBackOperator, (event) =>
        show(rollbackLines(event), options),
      )
      showRelease(result, options)
    },
  )
}
